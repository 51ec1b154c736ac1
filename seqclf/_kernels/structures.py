"""The structures of `csrc/interface.h`, field by field: what the kernels are called with."""

import ctypes


class Batch(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("n_rows", "n_times")] + [
        (name, ctypes.c_void_p) for name in ("active", "starts")
    ]


_WEIGHTS = ("weight_input", "weight_recurrent", "bias", "bias_recurrent")


class Direction(ctypes.Structure):
    _fields_ = [
        ("reverse", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in (*_WEIGHTS, "projected")),
    ]


class Layer(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("cell", "units", "n_directions", "n_looked_up", "n_numbers")),
        ("directions", 2 * Direction),
    ]


class Inputs(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("numbers", "ids", "table", "mask")]


class Forward(ctypes.Structure):
    _fields_ = [
        ("batch", Batch),
        ("layer", Layer),
        ("inputs", Inputs),
        *((name, ctypes.c_void_p) for name in ("outputs", "gates", "memory")),
        ("n_threads", ctypes.c_int64),
    ]


class Gradients(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in _WEIGHTS]


class Backward(ctypes.Structure):
    _fields_ = [
        ("batch", Batch),
        ("layer", Layer),
        ("inputs", Inputs),
        *((name, ctypes.c_void_p) for name in ("outputs", "memory", "gates", "grad_outputs")),
        ("grad_stride", ctypes.c_int64),
        ("grad_inputs", ctypes.c_void_p),
        ("gradients", 2 * Gradients),
        ("n_threads", ctypes.c_int64),
    ]


class Projection(ctypes.Structure):
    _fields_ = [
        ("layer", Layer),
        ("n_ids", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("table", "projected")),
        ("n_threads", ctypes.c_int64),
    ]


class EmbeddingBackward(ctypes.Structure):
    _fields_ = [
        ("batch", Batch),
        *((name, ctypes.c_int64) for name in ("dim", "n_rows")),
        *((name, ctypes.c_void_p) for name in ("ids", "mask", "grad_vectors", "places", "grad_table")),
        ("n_threads", ctypes.c_int64),
    ]


class Arrangement(ctypes.Structure):
    _fields_ = [
        ("batch", Batch),
        ("offsets", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("widened", "step_bytes", "stride")),
        *((name, ctypes.c_void_p) for name in ("steps", "arranged")),
    ]


class Table(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("n_versions", "n_entries", "n_channels")] + [
        ("values", ctypes.c_void_p)
    ]


class LookUp(ctypes.Structure):
    _fields_ = [
        ("batch", Batch),
        *((name, ctypes.c_void_p) for name in ("offsets", "versions")),
        ("n_tables", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("tables", "entries")),
        ("stride", ctypes.c_int64),
        ("found", ctypes.c_void_p),
        ("n_threads", ctypes.c_int64),
    ]


class EmbeddingRows(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("n_steps", "n_ids")),
        *((name, ctypes.c_void_p) for name in ("ids", "rows", "places")),
    ]


class Pooling(ctypes.Structure):
    _fields_ = [
        ("batch", Batch),
        *((name, ctypes.c_int64) for name in ("kind", "n_features", "stride")),
        *((name, ctypes.c_void_p) for name in ("values", "keys", "query", "pooled", "chosen", "scales")),
        ("n_threads", ctypes.c_int64),
    ]


class PoolingBackward(ctypes.Structure):
    _fields_ = [
        ("batch", Batch),
        *((name, ctypes.c_int64) for name in ("kind", "n_features")),
        *((name, ctypes.c_void_p) for name in ("grad_pooled", "chosen", "grad_values")),
        ("n_threads", ctypes.c_int64),
    ]


class AttentionBackward(ctypes.Structure):
    _fields_ = [
        ("batch", Batch),
        *((name, ctypes.c_int64) for name in ("n_features", "stride")),
        *((name, ctypes.c_void_p) for name in ("values", "keys", "query", "pooled", "scales", "grad_pooled")),
        *((f"grad_{name}", ctypes.c_void_p) for name in ("values", "keys", "query")),
        ("n_threads", ctypes.c_int64),
    ]


class Linear(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("n_rows", "n_inputs", "n_outputs")),
        *((name, ctypes.c_void_p) for name in ("values", "weight", "bias", "outputs")),
    ]


class Parameter(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("n_rows", "dim")),
        *((name, ctypes.c_void_p) for name in ("values", "mean", "square", "n_steps")),
        *((name, ctypes.c_int64) for name in ("sparse", "n_touched")),
        *((name, ctypes.c_void_p) for name in ("gradient", "rows", "last", "missed")),
        *((name, ctypes.c_int64) for name in ("n_recent", "room")),
        *((name, ctypes.c_double) for name in ("learning_rate", "weight_decay", "momentum", "decay", "eps")),
    ]


class Step(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("rule", "n_parameters")),
        ("parameters", ctypes.c_void_p),
        ("max_norm", ctypes.c_double),
        ("n_threads", ctypes.c_int64),
    ]


class CatchUp(ctypes.Structure):
    _fields_ = [
        ("parameter", ctypes.c_void_p),
        ("n_ids", ctypes.c_int64),
        ("ids", ctypes.c_void_p),
        ("n_threads", ctypes.c_int64),
    ]
