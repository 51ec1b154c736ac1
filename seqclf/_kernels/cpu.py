"""The recurrences on our own fused CPU kernels (`csrc/`): ragged, float32, no step ever computed for padding.

A plain C library behind ctypes, which releases the interpreter's lock during a call.
"""

import ctypes
import os
from functools import cache
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from seqclf._kernels.inputs import Inputs
from seqclf._kernels.layout import StepLayout
from seqclf._kernels.structures import (
    Arrangement,
    AttentionBackward,
    Backward,
    Embedding,
    EmbeddingBackward,
    EmbeddingRows,
    Forward,
    Layer,
    Linear,
    Pooling,
    PoolingBackward,
    Projection,
)
from seqclf._kernels.threads import n_threads
from seqclf._kernels.weights import N_GATES, Weights

_CELL = {("rnn", "tanh"): 0, ("rnn", "relu"): 1, ("lstm", "tanh"): 2, ("gru", "tanh"): 3}
# Names another build of the library, as `make sanitize` does.
_VARIABLE = "SEQCLF_KERNELS_LIBRARY"
_POOL = {"max": 0, "mean": 1, "attention": 2}
# Below so many multiplications, a quarter of a millisecond or so, a call is done by one thread. What is done once for a
# gate, or for a value to pool, takes the time of some more.
_WORTH_A_THREAD = 10_000_000
_PER_GATE, _PER_VALUE = 24, 12


def _file() -> Path | None:
    """The compiled library: the one that an environment variable names (another build of it), or that of the package.

    Found through `importlib.resources`: after an editable install it lies in site-packages and this file does not.
    """
    if named := os.environ.get(_VARIABLE):
        return Path(named)
    folder = resources.files("seqclf._kernels")
    found = [Path(str(entry)) for entry in folder.iterdir() if entry.name in ("_cpu.so", "_cpu.dll")]
    return found[0] if found else None


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
    library.seqclf_embedding_rows.restype = ctypes.c_int64
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


def run(
    cell: str, inputs: Tensor | Inputs, layout: StepLayout, weights: Weights, activation: str, reverse: bool
) -> Tensor:
    """Hidden states of every step, shape (n_steps, units); see :func:`seqclf._kernels.recurrence`."""
    numbers, ids, projected = Inputs.of(inputs)
    # Inside a Function's forward the gradient mode is off already, so it is asked here.
    training = torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in (numbers, *weights)
    )
    if training and projected is not None:
        raise RuntimeError("There are no gradients through projected ids: they are for reading only.")
    return _Recurrence.apply(cell, activation, layout, reverse, training, ids, projected, numbers, *weights)


class _Recurrence(Function):
    """Forward and backward of one layer in one direction."""

    @staticmethod
    def forward(ctx, cell, activation, layout, reverse, training, ids, projected, numbers, *weights):
        weights = [None if weight is None else weight.contiguous() for weight in weights]
        weight_input, weight_recurrent = weights[:2]
        n_numbers = 0
        if numbers is not None:
            numbers = numbers.to(torch.float32).contiguous()
            n_numbers = numbers.shape[1]
        n_looked_up = weight_input.shape[1] - n_numbers
        if ids is not None:
            ids = ids.to(torch.int64).contiguous()
            _check_ids(ids, n_looked_up if projected is None else len(projected))
        units = weight_recurrent.shape[1]
        width = _width(units)
        outputs = weight_input.new_empty(layout.n_steps, width)
        gates = memory = None
        if training and cell != "rnn":
            gates = outputs.new_empty(layout.n_steps, 4 * width)
            memory = torch.empty_like(outputs) if cell == "lstm" else None
        layer = Layer(_CELL[cell, activation], units, reverse, n_looked_up, n_numbers, *map(_address, weights))
        call = Forward(
            layout.structure,
            layer,
            *map(_address, (numbers, ids, projected, outputs, gates, memory)),
            _share(n_threads(), layout, _work(weight_recurrent, n_numbers)),
        )
        _loaded().seqclf_forward(ctypes.byref(call))
        ctx.n_threads = n_threads()
        ctx.save_for_backward(numbers, ids, outputs, memory, *weights)
        ctx.cell, ctx.activation, ctx.layout, ctx.reverse, ctx.gates = cell, activation, layout, reverse, gates
        return outputs[:, :units]

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_outputs):
        numbers, ids, outputs, memory, *weights = ctx.saved_tensors
        weight_input, weight_recurrent = weights[:2]
        units, gates = weight_recurrent.shape[1], None
        if ctx.cell != "rnn":
            if ctx.gates is None:
                raise RuntimeError("backward was called a second time: the kernels keep the gates for one call only.")
            gates, ctx.gates = ctx.gates, None
        elif ids is not None:
            gates = torch.empty_like(outputs)
        if grad_outputs.stride(1) != 1:
            grad_outputs = grad_outputs.contiguous()
        n_numbers = 0 if numbers is None else numbers.shape[1]
        grad_numbers = torch.empty_like(numbers) if ctx.needs_input_grad[7] else None
        gradients = [None if weight is None else torch.empty_like(weight) for weight in weights]
        code, n_looked_up = _CELL[ctx.cell, ctx.activation], weight_input.shape[1] - n_numbers
        layer = Layer(code, units, ctx.reverse, n_looked_up, n_numbers, *map(_address, weights))
        call = Backward(
            ctx.layout.structure,
            layer,
            *map(_address, (numbers, ids, outputs, memory, gates, grad_outputs)),
            grad_outputs.stride(0),
            *map(_address, (grad_numbers, *gradients)),
            _share(ctx.n_threads, ctx.layout, _work(weight_recurrent, n_numbers)),
        )
        _loaded().seqclf_backward(ctypes.byref(call))
        return *[None] * 7, grad_numbers, *gradients


def project(cell: str, table: Tensor, weights: Weights) -> Tensor:
    """What each id gives to the gates, in the kernels' own order; see :func:`seqclf._kernels.project`."""
    arrays = [None if weight is None else weight.detach().contiguous() for weight in weights]
    table, n_columns = table.detach().contiguous(), weights.input.shape[1]
    n_ids, dim = table.shape
    projected = table.new_empty(n_ids, N_GATES[cell] * _width(weights.units))
    layer = Layer(_CELL[cell, "tanh"], weights.units, False, dim, n_columns - dim, *map(_address, arrays))
    call = Projection(layer, n_ids, _address(table), _address(projected), n_threads())
    _loaded().seqclf_project(ctypes.byref(call))
    return projected


def arrange(values: Tensor, layout: StepLayout) -> Tensor:
    """Steps in the order of `layout`; see :func:`seqclf._kernels.arrange`. It has no gradients."""
    values = values.contiguous()
    arranged = torch.empty_like(values)
    step_bytes = values.nbytes // max(len(values), 1)
    addresses = map(_address, (values, arranged))
    call = Arrangement(layout.structure, layout.offsets.ctypes.data, step_bytes, *addresses)
    _loaded().seqclf_arrange(ctypes.byref(call))
    return arranged


def embed(
    ids: Tensor,
    table: Tensor,
    layout: StepLayout,
    mask: Tensor | None = None,
    channels: Tensor | None = None,
    sparse: bool = False,
) -> Tensor:
    """Vectors of every step, shape (n_steps, dim + n_channels); see :func:`seqclf._kernels.embed`."""
    return _Embed.apply(ids, table, layout, mask, channels, sparse)


class _Embed(Function):
    """Rows of a table, and their gradient back into it."""

    @staticmethod
    def forward(ctx, ids, table, layout, mask, channels, sparse):
        table, ids = table.contiguous(), ids.to(torch.int64).contiguous()
        rows = places = None
        if sparse and ctx.needs_input_grad[1]:
            rows, places = _rows(ids, len(table))
        else:
            _check_ids(ids, len(table))
        if mask is not None:
            mask = mask.to(torch.float32).contiguous()
        if channels is not None:
            channels = channels.to(torch.float32).contiguous()
        dim, n_channels = table.shape[1], 0 if channels is None else channels.shape[1]
        vectors = table.new_empty(layout.n_steps, dim + n_channels)
        n = _share(n_threads(), layout, _PER_VALUE * dim)
        call = Embedding(layout.structure, dim, n_channels, *map(_address, (ids, table, mask, channels, vectors)), n)
        _loaded().seqclf_embed(ctypes.byref(call))
        ctx.save_for_backward(ids, mask, rows, places)
        ctx.layout, ctx.shape, ctx.n_threads = layout, table.shape, n
        return vectors

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_vectors):
        if not ctx.needs_input_grad[1]:
            return None, None, None, None, None, None
        ids, mask, rows, places = ctx.saved_tensors
        if grad_vectors.stride(1) != 1:
            grad_vectors = grad_vectors.contiguous()
        n_ids, dim = ctx.shape
        gradient = grad_vectors.new_empty(n_ids if rows is None else rows.shape[1], dim)
        call = EmbeddingBackward(
            ctx.layout.structure,
            dim,
            len(gradient),
            *map(_address, (ids, mask, grad_vectors)),
            grad_vectors.stride(0),
            *map(_address, (places, gradient)),
            ctx.n_threads,
        )
        _loaded().seqclf_embed_backward(ctypes.byref(call))
        if rows is not None:
            gradient = torch.sparse_coo_tensor(rows, gradient, ctx.shape, is_coalesced=True, check_invariants=False)
        return None, gradient, None, None, None, None


def _rows(ids: Tensor, n_ids: int) -> tuple[Tensor, Tensor]:
    """The ids that occur, rising, shape (1, n), and where each of all ids stands among them."""
    rows = ids.new_empty(1, min(len(ids), n_ids) + 1)
    places = torch.empty(n_ids, dtype=torch.int32)
    call = EmbeddingRows(len(ids), n_ids, *map(_address, (ids, rows, places)))
    n = _loaded().seqclf_embedding_rows(ctypes.byref(call))
    if n < 0:
        _check_ids(ids, n_ids)
    return rows[:, :n], places


def _check_ids(ids: Tensor, n_ids: int) -> None:
    if not len(ids):
        return
    lowest, highest = map(int, torch.aminmax(ids))
    if not 0 <= lowest <= highest < n_ids:
        raise IndexError(f"The ids run from {lowest} to {highest}; expected 0 to {n_ids - 1}.")


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
        ctx.kind, ctx.layout, ctx.n_threads = kind, layout, n_threads()
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_pooled):
        (chosen,) = ctx.saved_tensors
        layout, grad_pooled = ctx.layout, grad_pooled.contiguous()
        grad_values = grad_pooled.new_empty(layout.n_steps, grad_pooled.shape[1])
        call = PoolingBackward(
            layout.structure,
            _POOL[ctx.kind],
            grad_pooled.shape[1],
            *map(_address, (grad_pooled, chosen, grad_values)),
            _share(ctx.n_threads, layout, _PER_VALUE * grad_pooled.shape[1]),
        )
        _loaded().seqclf_pool_backward(ctypes.byref(call))
        return None, grad_values, None, None


def attend(values: Tensor, layout: StepLayout, weight: Tensor, bias: Tensor, query: Tensor) -> Tensor:
    """One vector per row, shape (n_rows, features); see :func:`seqclf._kernels.attend`."""
    # A simple RNN whose sequences have one step each is tanh(W h + b).
    steps = StepLayout([1] * layout.n_steps)
    keys = run("rnn", values, steps, Weights(weight, torch.zeros_like(weight), bias), "tanh", False)
    return _Attend.apply(values, keys, query, layout)


class _Attend(Function):
    """The mean of values over the steps of each row, weighted by the softmax of keys . query."""

    @staticmethod
    def forward(ctx, values, keys, query, layout):
        if values.stride(1) != 1:
            values = values.contiguous()
        keys, query = keys.contiguous(), query.contiguous()
        pooled = values.new_empty(layout.n_rows, values.shape[1])
        scales = values.new_empty(layout.n_rows, dtype=torch.float64)
        call = _pooling(_POOL["attention"], values, layout, pooled, keys=keys, query=query, scales=scales)
        _loaded().seqclf_pool(ctypes.byref(call))
        ctx.save_for_backward(values, keys, query, pooled, scales)
        ctx.layout, ctx.n_threads = layout, n_threads()
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_pooled):
        values, keys, query, pooled, scales = ctx.saved_tensors
        layout, grad_pooled = ctx.layout, grad_pooled.contiguous()
        gradients = [keys.new_empty(tensor.shape) for tensor in (values, keys, query)]
        call = AttentionBackward(
            layout.structure,
            values.shape[1],
            values.stride(0),
            *map(_address, (values, keys, query, pooled, scales, grad_pooled, *gradients)),
            _share(ctx.n_threads, layout, 4 * _PER_VALUE * values.shape[1]),
        )
        _loaded().seqclf_attend_backward(ctypes.byref(call))
        return *gradients, None


def convolve_relu(values: Tensor, layout: StepLayout, weight: Tensor, bias: Tensor) -> Tensor:
    """Shape (n_steps, n_filters); see :func:`seqclf._kernels.convolve_relu`. It has no gradients."""
    n_filters, n_inputs, width = weight.shape
    steps = torch.cat((values, values.new_zeros(1, n_inputs)))  # what lies beyond the ends of a row
    windows = steps.index_select(0, layout.windows(width).reshape(-1)).reshape(layout.n_steps, width * n_inputs)
    # A simple RNN that hears nothing from its past is relu(W x + b), each row by itself.
    flat = weight.transpose(1, 2).reshape(n_filters, width * n_inputs)
    return run("rnn", windows, layout, Weights(flat, weight.new_zeros(n_filters, n_filters), bias), "relu", False)


def linear(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``values weight' + bias`` in float64, each row by itself; it has no gradients."""
    values, weight, bias = values.contiguous(), weight.contiguous(), bias.contiguous()
    outputs = torch.empty(len(values), len(weight), dtype=torch.float64)
    call = Linear(*values.shape, len(weight), *map(_address, (values, weight, bias, outputs)))
    _loaded().seqclf_linear(ctypes.byref(call))
    return outputs


def _pooling(kind: int, values: Tensor, layout: StepLayout, pooled: Tensor, **others: Tensor | None):
    return Pooling(
        layout.structure,
        kind,
        values.shape[1],
        values.stride(0),
        *map(_address, (values, others.get("keys"), others.get("query"), pooled)),
        *map(_address, (others.get("chosen"), others.get("scales"))),
        _share(n_threads(), layout, _PER_VALUE * values.shape[1]),
    )


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _width(units: int) -> int:
    """Units in the kernels' memory."""
    return -(-units // 8) * 8


def _work(weight_recurrent: Tensor, n_numbers: int) -> int:
    """Multiplications for a step."""
    return len(weight_recurrent) * (n_numbers + weight_recurrent.shape[1] + _PER_GATE)


def _share(n_threads: int, layout: StepLayout, work_per_step: int) -> int:
    """How many of the threads a call is worth."""
    return n_threads if layout.n_steps * work_per_step > _WORTH_A_THREAD else 1
