"""The recurrences on our own fused CPU kernels (`csrc/`): ragged, float32, no step ever computed for padding.

A plain C library behind ctypes, which releases the interpreter's lock during a call. The gradients of weights and
inputs that are one big matrix product are left to torch; everything that walks over time is ours.
"""

import ctypes
import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

from seqclf._kernels.layout import StepLayout
from seqclf._kernels.weights import N_GATES, Weights

_CELL = {("rnn", "tanh"): 0, ("rnn", "relu"): 1, ("lstm", "tanh"): 2, ("gru", "tanh"): 3}
# Gates as backward gets them back: how many there are, and where those of the input and of the recurrent weights begin.
# The gru's are n, r, z and the recurrent part of n: its input weights see the first three, its recurrent ones the last.
_N_SLOTS = {"rnn": 1, "lstm": 4, "gru": 4}
_RECURRENT_SLOT = {"rnn": 0, "lstm": 0, "gru": 1}
# Names another build of the library, as `make sanitize` does.
_VARIABLE = "SEQCLF_KERNELS_LIBRARY"
_POOL = {"max": 0, "mean": 1, "attention": 2}
# Below so many multiplications (steps * units * (inputs + units)), or values to pool, a call is done by one thread.
_WORTH_A_THREAD = 10_000_000


class _Batch(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("n_rows", "n_times")] + [
        (name, ctypes.c_void_p) for name in ("active", "starts")
    ]


class _Layer(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("cell", "n_inputs", "units", "reverse")] + [
        (name, ctypes.c_void_p) for name in ("weight_input", "weight_recurrent", "bias", "bias_recurrent")
    ]


class _Forward(ctypes.Structure):
    _fields_ = [
        ("batch", _Batch),
        ("layer", _Layer),
        *((name, ctypes.c_void_p) for name in ("inputs", "ids", "outputs", "gates", "memory")),
        ("n_threads", ctypes.c_int64),
    ]


class _Backward(ctypes.Structure):
    _fields_ = [
        ("batch", _Batch),
        ("layer", _Layer),
        *((name, ctypes.c_void_p) for name in ("outputs", "grad_outputs", "memory", "gates", "grad_bias")),
        ("n_threads", ctypes.c_int64),
    ]


def _file() -> Path | None:
    """The compiled library: the one that an environment variable names (another build of it), or that of the package.

    Found through `importlib.resources`: after an editable install it lies in site-packages and this file does not.
    """
    if named := os.environ.get(_VARIABLE):
        return Path(named)
    folder = resources.files("seqclf._kernels")
    found = [Path(str(entry)) for entry in folder.iterdir() if entry.name in ("_cpu.so", "_cpu.dll")]
    return found[0] if found else None


class _Pooling(ctypes.Structure):
    _fields_ = [
        ("batch", _Batch),
        *((name, ctypes.c_int64) for name in ("kind", "n_features", "stride")),
        *((name, ctypes.c_void_p) for name in ("values", "keys", "query", "pooled", "chosen")),
        ("n_threads", ctypes.c_int64),
    ]


class _PoolingBackward(ctypes.Structure):
    _fields_ = [
        ("batch", _Batch),
        *((name, ctypes.c_int64) for name in ("kind", "n_features")),
        *((name, ctypes.c_void_p) for name in ("grad_pooled", "chosen", "grad_values")),
        ("n_threads", ctypes.c_int64),
    ]


class _Linear(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("n_rows", "n_inputs", "n_outputs")),
        *((name, ctypes.c_void_p) for name in ("values", "weight", "bias", "outputs")),
    ]


_forked = False


def forked() -> bool:
    """Whether this process is a fork of one that had this module loaded.

    The threads of GNU OpenMP's pool, which torch and we use, are not there in a fork: whoever calls for them waits for
    ever. There everything is done by one thread.
    """
    return _forked


def _mark_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_fork)


def _torch_threads() -> int:
    return 1 if _forked else torch.get_num_threads()


@contextmanager
def _safe_in_a_fork() -> Iterator[None]:
    """torch's own operations on one thread, if this is a fork."""
    before = torch.get_num_threads()
    if not _forked or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def _library() -> tuple[ctypes.CDLL | None, str]:
    """The loaded library and what to say about it, or None and why there is none."""
    file = _file()
    if file is None:
        return (
            None,
            "the package was installed without its compiled kernels (no C++ compiler was found, or the build failed)",
        )
    try:
        library = ctypes.CDLL(str(file))
    except OSError as error:
        return None, f"the compiled library could not be loaded: {error}"
    library.seqclf_instructions.restype = ctypes.c_char_p
    library.seqclf_use_gomp.argtypes = [ctypes.c_void_p]
    for pool in glob.glob(str(Path(torch.__file__).parent / "lib" / "libgomp*.so*")):
        # The pool that torch has loaded already; a second one would fight it for the cores.
        library.seqclf_use_gomp(ctypes.cast(ctypes.CDLL(pool).GOMP_parallel, ctypes.c_void_p))
    return library, f"fused kernels for {library.seqclf_instructions().decode()}"


def _loaded() -> ctypes.CDLL:
    library, text = _library()
    if library is None:
        raise RuntimeError(f"There are no compiled kernels: {text}.")
    return library


def available() -> tuple[bool, str]:
    """Whether the library is there, and which instructions it uses or why it is not."""
    library, text = _library()
    return library is not None, text


def supports(cell: str, activation: str) -> bool:
    """Whether there is a kernel for this cell with this activation."""
    return (cell, activation) in _CELL


def run(cell: str, inputs: Tensor, layout: StepLayout, weights: Weights, activation: str, reverse: bool) -> Tensor:
    """Hidden states of every step, shape (n_steps, units); see :func:`seqclf._kernels.recurrence`."""
    # Inside a Function's forward the gradient mode is off already, so it is asked here.
    training = torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in (inputs, *weights)
    )
    return _Recurrence.apply(cell, activation, layout, reverse, training, inputs, *weights)


class _Recurrence(Function):
    """Forward and backward of one layer in one direction."""

    @staticmethod
    def forward(
        ctx, cell, activation, layout, reverse, training, inputs, weight_input, weight_recurrent, bias, bias_recurrent
    ):
        weights = [
            None if weight is None else weight.contiguous()
            for weight in (weight_input, weight_recurrent, bias, bias_recurrent)
        ]
        one_hot = not inputs.is_floating_point()
        inputs = inputs.to(torch.int64 if one_hot else torch.float32).contiguous()
        if one_hot and len(inputs) and not 0 <= inputs.min() <= inputs.max() < weight_input.shape[1]:
            raise IndexError(
                f"The ids run from {int(inputs.min())} to {int(inputs.max())}; "
                f"expected 0 to {weight_input.shape[1] - 1}."
            )
        units = weight_recurrent.shape[1]
        width = -(-units // 8) * 8
        outputs = inputs.new_empty(layout.n_steps, width, dtype=torch.float32)
        gates = memory = None
        if training and cell != "rnn":
            gates = outputs.new_empty(layout.n_steps, _N_SLOTS[cell], width)
            memory = torch.empty_like(outputs) if cell == "lstm" else None
        layer = _Layer(_CELL[cell, activation], weight_input.shape[1], units, reverse, *map(_address, weights))
        call = _Forward(
            _batch(layout),
            layer,
            None if one_hot else _address(inputs),
            _address(inputs) if one_hot else None,
            *map(_address, (outputs, gates, memory)),
            _n_threads(layout, units * (units + weight_input.shape[1])),
        )
        _loaded().seqclf_forward(ctypes.byref(call))
        ctx.save_for_backward(inputs, outputs, memory, *weights)
        ctx.cell, ctx.activation, ctx.layout, ctx.reverse, ctx.gates = cell, activation, layout, reverse, gates
        return outputs[:, :units]

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_outputs):
        _, outputs, memory, *weights = ctx.saved_tensors
        weight_input, weight_recurrent, _, _ = weights
        cell, layout = ctx.cell, ctx.layout
        units, width = weight_recurrent.shape[1], outputs.shape[1]
        n_slots = _N_SLOTS[cell]
        if cell == "rnn":
            gates = outputs.new_empty(layout.n_steps, 1, width)
        elif ctx.gates is None:
            raise RuntimeError("backward was called a second time: the kernels keep the gates for one call only.")
        else:
            gates, ctx.gates = ctx.gates, None
        grad_outputs = functional.pad(grad_outputs, (0, width - units)) if width > units else grad_outputs.contiguous()
        sums = outputs.new_empty(n_slots, width)
        layer = _Layer(_CELL[cell, ctx.activation], weight_input.shape[1], units, ctx.reverse, *map(_address, weights))
        call = _Backward(
            _batch(layout),
            layer,
            *map(_address, (outputs, grad_outputs, memory, gates, sums)),
            _n_threads(layout, units * units),
        )
        _loaded().seqclf_backward(ctypes.byref(call))
        with _safe_in_a_fork():
            return _Recurrence._weight_gradients(ctx, gates, sums)

    @staticmethod
    def _weight_gradients(ctx, gates, sums):
        """What is left when the gates have their gradients: matrix products over all steps at once."""
        inputs, outputs, _, weight_input, weight_recurrent, _, _ = ctx.saved_tensors
        cell, layout = ctx.cell, ctx.layout
        units, width = weight_recurrent.shape[1], outputs.shape[1]
        n_gates, first = N_GATES[cell], _RECURRENT_SLOT[cell]
        input_gates = gates[:, :n_gates].reshape(layout.n_steps, n_gates * width)
        recurrent_gates = gates[:, first : first + n_gates].reshape(layout.n_steps, n_gates * width)
        order = [1, 2, 0] if cell == "gru" else list(range(n_gates))  # of the input gates, as torch has them

        def as_weight(product: Tensor, gate_order) -> Tensor:
            """(n_gates * width, columns) -> (n_gates * units, columns) in torch's order."""
            return product.reshape(n_gates, width, -1)[gate_order, :units].reshape(n_gates * units, -1)

        grad_inputs = None
        if not inputs.is_floating_point():
            by_id = torch.ops.aten.embedding_dense_backward(input_gates, inputs, weight_input.shape[1], -1, False)
            grad_weight_input = as_weight(by_id.t(), order)
        else:
            grad_weight_input = as_weight((inputs.t() @ input_gates).t(), order)
            if ctx.needs_input_grad[5]:
                padded = functional.pad(weight_input.reshape(n_gates, units, -1), (0, 0, 0, width - units))
                if cell == "gru":
                    padded = padded[[2, 0, 1]]
                grad_inputs = input_gates @ padded.reshape(n_gates * width, -1)
        now, before = layout.successors(ctx.reverse)
        # Narrow products are faster with the wide matrix on the right.
        product = _rows(outputs, before)[:, :units].t() @ _rows(recurrent_gates, now)
        grad_recurrent = as_weight(product.t(), slice(None))
        grad_bias = sums[order, :units].reshape(-1)
        grad_bias_recurrent = sums[[1, 2, 3], :units].reshape(-1) if cell == "gru" else None
        return (
            None,
            None,
            None,
            None,
            None,
            grad_inputs,
            grad_weight_input,
            grad_recurrent,
            grad_bias,
            grad_bias_recurrent,
        )


def pool(kind: str, values: Tensor, layout: StepLayout) -> Tensor:
    """One vector per row, shape (n_rows, features); see :func:`seqclf._kernels.pool`."""
    return _Pool.apply(kind, values, layout, torch.is_grad_enabled() and values.requires_grad)


class _Pool(Function):
    """Maximum or mean over the steps of each row."""

    @staticmethod
    def forward(ctx, kind, values, layout, training):
        if values.stride(1) != 1:
            values = values.contiguous()
        pooled = values.new_empty(layout.n_rows, values.shape[1])
        chosen = None
        if kind == "max" and training:
            chosen = torch.empty(pooled.shape, dtype=torch.int32)
        call = _pooling(_POOL[kind], values, layout, pooled, chosen=chosen)
        _loaded().seqclf_pool(ctypes.byref(call))
        ctx.save_for_backward(chosen)
        ctx.kind, ctx.layout = kind, layout
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_pooled):
        (chosen,) = ctx.saved_tensors
        layout, grad_pooled = ctx.layout, grad_pooled.contiguous()
        grad_values = grad_pooled.new_empty(layout.n_steps, grad_pooled.shape[1])
        call = _PoolingBackward(
            _batch(layout),
            _POOL[ctx.kind],
            grad_pooled.shape[1],
            *map(_address, (grad_pooled, chosen, grad_values)),
            _n_threads(layout, grad_pooled.shape[1]),
        )
        _loaded().seqclf_pool_backward(ctypes.byref(call))
        return None, grad_values, None, None


def attend(values: Tensor, layout: StepLayout, weight: Tensor, bias: Tensor, query: Tensor) -> Tensor:
    """One vector per row, shape (n_rows, features); see :func:`seqclf._kernels.attend`. It has no gradients."""
    # A simple RNN that hears nothing from its past is tanh(W h + b), each row by itself.
    keys = run("rnn", values, layout, Weights(weight, torch.zeros_like(weight), bias), "tanh", False).contiguous()
    values = values.contiguous()
    pooled = values.new_empty(layout.n_rows, values.shape[1])
    call = _pooling(_POOL["attention"], values, layout, pooled, keys=keys, query=query)
    _loaded().seqclf_pool(ctypes.byref(call))
    return pooled


def linear(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``values weight' + bias`` in float64, each row by itself; it has no gradients."""
    values, weight, bias = values.contiguous(), weight.contiguous(), bias.contiguous()
    outputs = torch.empty(len(values), len(weight), dtype=torch.float64)
    call = _Linear(*values.shape, len(weight), *map(_address, (values, weight, bias, outputs)))
    _loaded().seqclf_linear(ctypes.byref(call))
    return outputs


def _pooling(kind: int, values: Tensor, layout: StepLayout, pooled: Tensor, *, keys=None, query=None, chosen=None):
    return _Pooling(
        _batch(layout),
        kind,
        values.shape[1],
        values.stride(0),
        *map(_address, (values, keys, query, pooled, chosen)),
        _n_threads(layout, values.shape[1]),
    )


def _rows(matrix: Tensor, which: Tensor | slice) -> Tensor:
    return matrix[which] if isinstance(which, slice) else matrix.index_select(0, which)


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _batch(layout: StepLayout) -> _Batch:
    return _Batch(layout.n_rows, layout.n_times, layout.active.ctypes.data, layout.starts.ctypes.data)


def _n_threads(layout: StepLayout, work_per_step: int) -> int:
    threads = _torch_threads() if layout.n_steps * work_per_step > _WORTH_A_THREAD else 1
    return max(1, min(threads, layout.n_rows))
