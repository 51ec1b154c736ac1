"""The structures of `csrc/abi.h`, field by field, and the entry points of the library that take them."""

import ctypes
from typing import Any

from numpy.typing import NDArray

# As in csrc/abi.h.
INTERFACE, OUT_OF_MEMORY = 3, -2
POOLING_KINDS = {"max": 0, "mean": 1, "attention": 2}


def address(values: NDArray[Any] | None) -> int | None:
    """The address of the memory of an array, for a pointer field. The caller has to keep the array alive."""
    if values is None:
        return None
    address: int = values.__array_interface__["data"][0]  # several times faster than values.ctypes.data
    return address


def _ints(*names: str) -> list[tuple[str, type]]:
    return [(name, ctypes.c_int64) for name in names]


def _floats(*names: str) -> list[tuple[str, type]]:
    return [(name, ctypes.c_double) for name in names]


def _pointers(*names: str) -> list[tuple[str, type]]:
    return [(name, ctypes.c_void_p) for name in names]


class Batch(ctypes.Structure):
    _fields_ = [*_ints("n_rows", "max_length"), *_pointers("batch_sizes", "time_offsets")]


class DescribeCell(ctypes.Structure):
    _fields_ = [*_ints("cell"), *_pointers("description")]


class Activate(ctypes.Structure):
    _fields_ = [*_ints("activation", "n"), *_pointers("inputs", "values", "slopes")]


_WEIGHTS = ("weight_input", "weight_recurrent", "bias", "bias_recurrent")


class Direction(ctypes.Structure):
    _fields_ = [*_ints("reverse"), *_pointers(*_WEIGHTS, "projected")]


class Layer(ctypes.Structure):
    _fields_ = [
        *_ints("cell", "activation", "units", "n_directions", "n_looked_up", "n_values"),
        ("directions", 2 * Direction),
    ]


class Inputs(ctypes.Structure):
    _fields_ = _pointers("values", "ids", "embedding", "mask")


class Forward(ctypes.Structure):
    _fields_ = [
        ("batch", Batch),
        ("layer", Layer),
        ("inputs", Inputs),
        *_pointers("outputs", "gates", "memory"),
        *_ints("n_threads"),
    ]


class Gradients(ctypes.Structure):
    _fields_ = _pointers(*_WEIGHTS)


class Backward(ctypes.Structure):
    _fields_ = [
        ("batch", Batch),
        ("layer", Layer),
        ("inputs", Inputs),
        *_pointers("outputs", "memory", "gates", "grad_outputs"),
        *_ints("grad_stride"),
        *_pointers("grad_inputs"),
        ("gradients", 2 * Gradients),
        *_ints("n_threads"),
    ]


class Projection(ctypes.Structure):
    _fields_ = [("layer", Layer), *_ints("n_ids"), *_pointers("embedding", "projected"), *_ints("n_threads")]


class Gather(ctypes.Structure):
    _fields_ = [
        ("batch", Batch),
        *_pointers("data_offsets"),
        *_ints("widens_ids", "step_bytes", "stride"),
        *_pointers("steps", "gathered"),
    ]


class Table(ctypes.Structure):
    _fields_ = [*_ints("n_versions", "n_entries", "n_channels"), *_pointers("values")]


class TableLookUp(ctypes.Structure):
    _fields_ = [
        ("batch", Batch),
        *_pointers("data_offsets", "versions"),
        *_ints("n_tables"),
        *_pointers("tables", "entries"),
        *_ints("stride"),
        *_pointers("features"),
        *_ints("n_threads"),
    ]


class EmbeddingBackward(ctypes.Structure):
    _fields_ = [
        ("batch", Batch),
        *_ints("dim", "n_vectors"),
        *_pointers("ids", "mask", "grad_vectors", "inverse", "grad_embedding"),
        *_ints("n_threads"),
    ]


class UniqueIds(ctypes.Structure):
    _fields_ = [*_ints("n_steps", "n_ids"), *_pointers("step_ids", "ids", "inverse")]


class Pooling(ctypes.Structure):
    _fields_ = [
        ("batch", Batch),
        *_ints("kind", "n_features", "stride"),
        *_pointers("values", "keys", "query", "pooled", "max_positions", "scales"),
        *_ints("n_threads"),
    ]


class PoolingBackward(ctypes.Structure):
    _fields_ = [
        ("batch", Batch),
        *_ints("kind", "n_features"),
        *_pointers("grad_pooled", "max_positions", "grad_values"),
        *_ints("n_threads"),
    ]


class AttentionBackward(ctypes.Structure):
    _fields_ = [
        ("batch", Batch),
        *_ints("n_features", "stride"),
        *_pointers("values", "keys", "query", "pooled", "scales", "grad_pooled"),
        *_pointers("grad_values", "grad_keys", "grad_query"),
        *_ints("n_threads"),
    ]


class Linear(ctypes.Structure):
    _fields_ = [*_ints("n_rows", "n_inputs", "n_outputs"), *_pointers("values", "weight", "bias", "outputs")]


class CountEntries(ctypes.Structure):
    _fields_ = [
        *_ints("n_rows", "n_columns"),
        *_pointers("offsets", "ids"),
        *_ints("n_known", "n_new"),
        *_pointers("known_offsets", "known_columns", "new_offsets", "new_columns"),
        *_pointers("write_offsets", "lengths", "columns", "counts"),
        *_ints("n_threads"),
    ]


class SparseLinear(ctypes.Structure):
    _fields_ = [
        *_ints("n_rows", "n_columns", "n_outputs"),
        *_pointers("offsets", "columns", "values", "coef", "intercept", "outputs"),
        *_ints("n_threads"),
    ]


class LinearModels(ctypes.Structure):
    _fields_ = [
        *_ints("n_rows", "n_features", "n_outputs", "n_folds"),
        *_pointers("offsets", "features", "values", "targets", "slack", "fold"),
        *_ints("hinge", "max_epochs"),
        *_pointers("order"),
        *_floats("tolerance"),
        *_pointers("coef", "intercept", "held_out", "centers"),
        *_ints("n_threads"),
    ]


class Convolutions(ctypes.Structure):
    _fields_ = [
        *_ints("n_series", "n_channels"),
        *_pointers("values", "offsets"),
        *_ints("n_convolutions", "n_biases"),
        *_pointers("dilations", "taps", "padded", "channel_offsets", "channels", "bias_offsets", "biases", "features"),
        *_ints("stride", "n_threads"),
    ]


class Parameter(ctypes.Structure):
    _fields_ = [
        *_ints("n_rows", "dim"),
        *_pointers("values", "mean", "square", "n_updates"),
        *_ints("sparse", "n_touched"),
        *_pointers("gradient", "rows", "last_update", "decay_log"),
        *_ints("n_logged", "max_logged"),
        *_floats("learning_rate", "weight_decay", "momentum", "decay", "eps"),
    ]


class OptimizerUpdate(ctypes.Structure):
    _fields_ = [*_ints("rule", "n_parameters"), *_pointers("parameters"), *_floats("max_norm"), *_ints("n_threads")]


class SyncLazyRows(ctypes.Structure):
    _fields_ = [*_pointers("parameter"), *_ints("n_ids"), *_pointers("ids"), *_ints("n_threads")]


class SplitState(ctypes.Structure):
    _fields_ = _ints(
        *("text", "read", "n_cleaned", "split", "n_ids", "n_tokens", "n_token_bytes", "n_hashed", "stop", "character")
    )


class SplitCall(ctypes.Structure):
    _fields_ = [
        *_ints("n_texts", "lowercase"),
        *_pointers("bytes", "offsets", "page_index", "pages", "cleaned", "lengths", "ids"),
        *_pointers("tokens", "starts", "slots"),
        *_ints("ids_capacity", "token_bytes_capacity", "tokens_capacity", "n_slots"),
        *_ints("seed", "second_seed"),
        *_pointers("state"),
    ]


# The entry points, without the prefix "seqclf_", and the structure that each takes. csrc/entry_points.h describes their
# results; "split" is in csrc/word_splitter.cpp.
ENTRY_POINTS: dict[str, type[ctypes.Structure]] = {
    "describe_cell": DescribeCell,
    "activate": Activate,
    "gather": Gather,
    "look_up": TableLookUp,
    "embed_backward": EmbeddingBackward,
    "project": Projection,
    "forward": Forward,
    "backward": Backward,
    "pool": Pooling,
    "pool_backward": PoolingBackward,
    "attend_backward": AttentionBackward,
    "linear": Linear,
    "count_entries": CountEntries,
    "sparse_linear": SparseLinear,
    "fit_linear_models": LinearModels,
    "convolve": Convolutions,
    "unique_ids": UniqueIds,
    "optimize": OptimizerUpdate,
    "sync_lazy_rows": SyncLazyRows,
    "split": SplitCall,
}
