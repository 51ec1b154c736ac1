"""The recurrences on our own fused CPU kernels (`csrc/`): ragged, float32, no step ever computed for padding.

A plain C library behind ctypes, which releases the interpreter's lock during a call.
"""

import ctypes
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from seqclf._kernels import structures
from seqclf._kernels.inputs import Inputs
from seqclf._kernels.layout import StepLayout
from seqclf._kernels.structures import (
    AttentionBackward,
    Backward,
    Direction,
    EmbeddingBackward,
    EmbeddingRows,
    Forward,
    Gradients,
    Layer,
    Linear,
    Pooling,
    PoolingBackward,
    Projection,
)
from seqclf._kernels.threads import n_threads
from seqclf._kernels.weights import N_GATES, Weights
from seqclf._library import library as _library

_CELL = {("rnn", "tanh"): 0, ("rnn", "relu"): 1, ("lstm", "tanh"): 2, ("gru", "tanh"): 3}
_POOL = {"max": 0, "mean": 1, "attention": 2}
# Below so many multiplications, a quarter of a millisecond or so, a call is done by one thread. What is done once for a
# gate, or for a value to pool, takes the time of some more.
_WORTH_A_THREAD = 10_000_000
_PER_GATE, _PER_VALUE = 24, 12


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
    return _run(cell, Inputs.of(inputs), layout, weights, activation, (reverse,))


def run_both(
    cell: str, inputs: Tensor | Inputs, layout: StepLayout, weights: tuple[Weights, Weights], activation: str
) -> Tensor:
    """Those of both directions, shape (n_steps, 2 * units); see :func:`seqclf._kernels.bidirectional`."""
    return _run(cell, Inputs.of(inputs), layout, (*weights[0], *weights[1]), activation, (False, True))


def _run(cell, inputs, layout, weights, activation, reverse):
    # Inside a Function's forward the gradient mode is off already, so it is asked here.
    training = torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in (inputs.numbers, inputs.table, *weights)
    )
    if training and inputs.projected is not None:
        raise RuntimeError("There are no gradients through projected ids: they are for reading only.")
    beside = (inputs.numbers, inputs.mask)
    if training and inputs.table is not None and any(each is not None and each.requires_grad for each in beside):
        raise RuntimeError("Numbers beside the vectors of a table, and their mask, have no gradients here.")
    settings = _Settings(cell, activation, layout, reverse, training, n_threads())
    return _Recurrence.apply(settings, inputs, inputs.numbers, inputs.table, *weights)


class _Settings(NamedTuple):
    """What a call is made with beside tensors."""

    cell: str
    activation: str
    layout: StepLayout
    reverse: tuple[bool, ...]  # of each direction
    training: bool
    n_threads: int

    def layer(
        self, weights: list[Tensor | None], units: int, n_looked_up: int, n_numbers: int, projected=None
    ) -> Layer:
        """The structure of the weights, of both directions one after the other."""
        each = [weights[first : first + len(Weights._fields)] for first in range(0, len(weights), len(Weights._fields))]
        directions = [
            Direction(reverse, *map(_address, weights), None if projected is None else _address(projected[index]))
            for index, (reverse, weights) in enumerate(zip(self.reverse, each, strict=True))
        ]
        code = _CELL[self.cell, self.activation]
        return Layer(code, units, len(each), n_looked_up, n_numbers, (2 * Direction)(*directions))

    def share(self, weight_recurrent: Tensor, n_read: int) -> int:
        """How many threads the call is worth."""
        return _share(self.n_threads, self.layout, len(self.reverse) * _work(weight_recurrent, n_read))


class _Recurrence(Function):
    """Forward and backward of one layer in one direction or both."""

    @staticmethod
    def forward(ctx, settings, inputs, numbers, table, *weights):
        layout, n_directions = settings.layout, len(settings.reverse)
        weights = [None if weight is None else weight.contiguous() for weight in weights]
        weight_input, weight_recurrent = weights[:2]
        units = weight_recurrent.shape[1]
        width = _width(units)
        numbers, ids, table, mask = _as_read(inputs)
        n_numbers = 0 if numbers is None else numbers.shape[1]
        n_looked_up = weight_input.shape[1] - n_numbers
        rows = places = None
        if table is not None and inputs.sparse and ctx.needs_input_grad[3]:
            rows, places = _rows(ids, len(table))
        elif ids is not None:
            looked_up_in = table if inputs.projected is None else inputs.projected[0]
            _check_ids(ids, n_looked_up if looked_up_in is None else len(looked_up_in))
        _check_shapes(layout, numbers, ids, table, mask, weights, n_looked_up)
        n_shared = settings.share(weight_recurrent, n_numbers if table is None else n_numbers + n_looked_up)
        outputs = weight_input.new_empty(layout.n_steps, n_directions * width)
        gates = memory = None
        if settings.training and settings.cell != "rnn":
            gates = outputs.new_empty(n_directions, layout.n_steps, 4 * width)
            memory = torch.empty_like(outputs) if settings.cell == "lstm" else None
        call = Forward(
            layout.structure,
            settings.layer(weights, units, n_looked_up, n_numbers, inputs.projected),
            structures.Inputs(*map(_address, (numbers, ids, table, mask))),
            *map(_address, (outputs, gates, memory)),
            n_shared,
        )
        _loaded().seqclf_forward(ctypes.byref(call))
        ctx.save_for_backward(numbers, ids, table, mask, rows, places, outputs, memory, *weights)
        ctx.settings, ctx.n_shared, ctx.gates = settings, n_shared, gates
        if width == units:
            return outputs.view(outputs.shape)
        outputs = outputs.view(layout.n_steps, n_directions, width)[..., :units]
        return outputs.reshape(layout.n_steps, n_directions * units)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_outputs):
        numbers, ids, table, mask, rows, places, outputs, memory, *weights = ctx.saved_tensors
        settings, layout = ctx.settings, ctx.settings.layout
        weight_input, units, gates = weights[0], weights[1].shape[1], None
        if settings.cell != "rnn":
            if ctx.gates is None:
                raise RuntimeError("backward was called a second time: the kernels keep the gates for one call only.")
            gates, ctx.gates = ctx.gates, None
        elif ids is not None and table is None:
            gates = torch.empty_like(outputs)
        if grad_outputs.stride(1) != 1:
            grad_outputs = grad_outputs.contiguous()
        n_numbers = 0 if numbers is None else numbers.shape[1]
        n_looked_up = weight_input.shape[1] - n_numbers
        grad_inputs = None
        if table is not None:
            grad_inputs = table.new_empty(layout.n_steps, n_looked_up) if ctx.needs_input_grad[3] else None
        elif ctx.needs_input_grad[2]:
            grad_inputs = torch.empty_like(numbers)
        gradients = [None if weight is None else torch.empty_like(weight) for weight in weights]
        n_weights = len(Weights._fields)
        each = [Gradients(*map(_address, some)) for some in (gradients[:n_weights], gradients[n_weights:])]
        call = Backward(
            layout.structure,
            settings.layer(weights, units, n_looked_up, n_numbers),
            structures.Inputs(*map(_address, (numbers, ids, table, mask))),
            *map(_address, (outputs, memory, gates, grad_outputs)),
            grad_outputs.stride(0),
            _address(grad_inputs),
            (2 * Gradients)(*each),
            ctx.n_shared,
        )
        _loaded().seqclf_backward(ctypes.byref(call))
        if table is None:
            return None, None, grad_inputs, None, *gradients
        if grad_inputs is not None:
            grad_inputs = _table_gradient(settings, ids, table, mask, rows, places, grad_inputs)
        return None, None, None, grad_inputs, *gradients


def _as_read(inputs: Inputs) -> tuple[Tensor | None, ...]:
    """Numbers, ids, table and mask as the kernels read them."""

    def floats(tensor):
        return None if tensor is None else tensor.to(torch.float32).contiguous()

    ids = None if inputs.ids is None else inputs.ids.to(torch.int64).contiguous()
    return floats(inputs.numbers), ids, floats(inputs.table), floats(inputs.mask)


def _check_shapes(layout, numbers, ids, table, mask, weights, n_looked_up) -> None:
    """Nothing is read beyond its end."""
    n_weights = len(Weights._fields)
    fits = all(each is None or len(each) == layout.n_steps for each in (numbers, ids))
    fits = fits and (table is None or table.shape[1] == n_looked_up)
    fits = fits and (mask is None or mask.shape == (layout.n_rows, n_looked_up))
    for first, second in zip(weights[:n_weights], weights[n_weights:], strict=False):
        fits = fits and (first is None) == (second is None) and (first is None or first.shape == second.shape)
    if not fits:
        shapes = [None if each is None else tuple(each.shape) for each in (numbers, ids, table, mask, *weights)]
        raise ValueError(f"The shapes of numbers, ids, table, mask and weights do not fit together: {shapes}.")


def _table_gradient(settings, ids, table, mask, rows, places, grad_vectors) -> Tensor:
    """From the gradients of the vectors of all steps: dense, or of the rows that occur."""
    n_ids, dim = table.shape
    gradient = grad_vectors.new_empty(n_ids if rows is None else rows.shape[1], dim)
    call = EmbeddingBackward(
        settings.layout.structure,
        dim,
        len(gradient),
        *map(_address, (ids, mask, grad_vectors, places, gradient)),
        _share(settings.n_threads, settings.layout, _PER_VALUE * dim),
    )
    _loaded().seqclf_embed_backward(ctypes.byref(call))
    if rows is None:
        return gradient
    return torch.sparse_coo_tensor(rows, gradient, table.shape, is_coalesced=True, check_invariants=False)


def project(cell: str, table: Tensor, weights: Weights) -> Tensor:
    """What each id gives to the gates, in the kernels' own order; see :func:`seqclf._kernels.project`."""
    arrays = [None if weight is None else weight.detach().contiguous() for weight in weights]
    table, n_columns = table.detach().contiguous(), weights.input.shape[1]
    n_ids, dim = table.shape
    projected = table.new_empty(n_ids, N_GATES[cell] * _width(weights.units))
    directions = (2 * Direction)(Direction(False, *map(_address, arrays)))
    layer = Layer(_CELL[cell, "tanh"], weights.units, 1, dim, n_columns - dim, directions)
    call = Projection(layer, n_ids, _address(table), _address(projected), n_threads())
    _loaded().seqclf_project(ctypes.byref(call))
    return projected


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


def _work(weight_recurrent: Tensor, n_read: int) -> int:
    """Multiplications for a step."""
    return len(weight_recurrent) * (n_read + weight_recurrent.shape[1] + _PER_GATE)


def _share(n_threads: int, layout: StepLayout, work_per_step: int) -> int:
    """How many of the threads a call is worth."""
    return n_threads if layout.n_steps * work_per_step > _WORTH_A_THREAD else 1
