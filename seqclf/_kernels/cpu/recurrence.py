"""The recurrences on the compiled CPU kernels: forward and backward."""

import ctypes
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from seqclf._cells import ACTIVATIONS, CELLS, Weights
from seqclf._kernels.cpu.call import address
from seqclf._kernels.cpu.embedding import check_ids, embedding_gradient, unique_ids
from seqclf._kernels.inputs import Inputs
from seqclf._kernels.layout import StepLayout
from seqclf._native import abi
from seqclf._native.call import GATE_COST, loaded, thread_count
from seqclf._native.cell_layout import CellLayout, cell_layout, padded_units
from seqclf._native.threads import n_threads


def run(
    cell: str, inputs: Tensor | Inputs, layout: StepLayout, weights: Weights, activation: str, reverse: bool
) -> Tensor:
    """Hidden states of every step, shape (n_steps, units); see :func:`seqclf._kernels.recurrence`."""
    return _run(cell, Inputs.of(inputs), layout, weights, activation, (reverse,))


def run_both(
    cell: str, inputs: Tensor | Inputs, layout: StepLayout, weights: tuple[Weights, Weights], activation: str
) -> Tensor:
    """Hidden states of both directions, shape (n_steps, 2 * units); see :func:`seqclf._kernels.bidirectional`."""
    return _run(cell, Inputs.of(inputs), layout, (*weights[0], *weights[1]), activation, (False, True))


def _run(cell, inputs, layout, weights, activation, reverse):
    # The gradient mode is checked here because it is already off inside Function.forward.
    training = torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in (inputs.values, inputs.embedding, *weights)
    )
    without_gradient = (inputs.values, inputs.mask)
    if training and inputs.embedding is not None and any(t is not None and t.requires_grad for t in without_gradient):
        raise RuntimeError("With an embedding, values and mask get no gradients, but they require them.")
    code = _cell_code(cell)
    settings = _Settings(
        code, ACTIVATIONS[activation].code, _native_layout(code), layout, reverse, training, n_threads()
    )
    return _Recurrence.apply(settings, inputs, inputs.values, inputs.embedding, *weights)


class _Settings(NamedTuple):
    """The arguments of a call that are not tensors."""

    cell_code: int
    activation_code: int
    cell: CellLayout
    layout: StepLayout
    reverse: tuple[bool, ...]  # for each direction
    training: bool
    n_threads: int

    def layer(self, weights: list[Tensor | None], units: int, n_looked_up: int, n_values: int) -> abi.Layer:
        """The layer as a C struct. `weights` has those of the first direction, then those of the second if any."""
        each = [weights[first : first + len(Weights._fields)] for first in range(0, len(weights), len(Weights._fields))]
        directions = [
            abi.Direction(reverse, *map(address, weights), None)
            for reverse, weights in zip(self.reverse, each, strict=True)
        ]
        return abi.Layer(
            self.cell_code,
            self.activation_code,
            units,
            len(each),
            n_looked_up,
            n_values,
            (2 * abi.Direction)(*directions),
        )

    def slots(self, units: int) -> Tensor:
        """Uninitialised memory for the saved slots of every step."""
        shape = (len(self.reverse), self.layout.n_steps, self.cell.n_slots * padded_units(units))
        return torch.empty(shape, dtype=torch.float32)

    def thread_count(self, weight_recurrent: Tensor, n_multiplied: int) -> int:
        """The number of threads to use for the call."""
        macs_per_step = len(self.reverse) * _macs_per_step(weight_recurrent, n_multiplied)
        return thread_count(self.n_threads, self.layout.n_steps * macs_per_step)


class _Recurrence(Function):
    """Forward and backward of one layer in one direction or both."""

    @staticmethod
    def forward(ctx, settings, inputs, values, embedding, *weights):
        layout, n_directions = settings.layout, len(settings.reverse)
        weights = [None if weight is None else weight.contiguous() for weight in weights]
        weight_input, weight_recurrent = weights[:2]
        units = weight_recurrent.shape[1]
        width = padded_units(units)
        values, ids, embedding, mask = _as_kernel_inputs(inputs)
        n_values = 0 if values is None else values.shape[1]
        n_looked_up = weight_input.shape[1] - n_values
        occurring = inverse = None
        if embedding is not None and inputs.sparse and ctx.needs_input_grad[3]:
            occurring, inverse = unique_ids(ids, len(embedding))
        elif ids is not None:
            check_ids(ids, n_looked_up if embedding is None else len(embedding))
        _check_shapes(layout, values, ids, embedding, mask, weights, n_looked_up)
        n_threads_used = settings.thread_count(
            weight_recurrent, n_values if embedding is None else n_values + n_looked_up
        )
        outputs = weight_input.new_empty(layout.n_steps, n_directions * width)
        gates = memory = None
        if settings.training and settings.cell.saves_slots:
            gates = settings.slots(units)
        if settings.training and settings.cell.has_memory:
            memory = torch.empty_like(outputs)
        call = abi.Forward(
            layout.as_c_struct,
            settings.layer(weights, units, n_looked_up, n_values),
            abi.Inputs(*map(address, (values, ids, embedding, mask))),
            *map(address, (outputs, gates, memory)),
            n_threads_used,
        )
        loaded().seqclf_forward(ctypes.byref(call))
        ctx.save_for_backward(values, ids, embedding, mask, occurring, inverse, outputs, memory, *weights)
        ctx.settings, ctx.n_threads_used, ctx.gates = settings, n_threads_used, gates
        if width == units:
            return outputs.view(outputs.shape)
        outputs = outputs.view(layout.n_steps, n_directions, width)[..., :units]
        return outputs.reshape(layout.n_steps, n_directions * units)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_outputs):
        values, ids, embedding, mask, occurring, inverse, outputs, memory, *weights = ctx.saved_tensors
        settings, layout = ctx.settings, ctx.settings.layout
        weight_input, units, gates = weights[0], weights[1].shape[1], None
        if settings.cell.saves_slots:
            if ctx.gates is None:
                raise RuntimeError("backward was called a second time: the kernels keep the gates for one call only.")
            gates, ctx.gates = ctx.gates, None
        elif ids is not None and embedding is None:
            gates = settings.slots(units)
        if grad_outputs.stride(1) != 1:
            grad_outputs = grad_outputs.contiguous()
        n_values = 0 if values is None else values.shape[1]
        n_looked_up = weight_input.shape[1] - n_values
        grad_inputs = None
        if embedding is not None:
            grad_inputs = embedding.new_empty(layout.n_steps, n_looked_up) if ctx.needs_input_grad[3] else None
        elif ctx.needs_input_grad[2]:
            grad_inputs = torch.empty_like(values)
        gradients = [None if weight is None else torch.empty_like(weight) for weight in weights]
        n_weights = len(Weights._fields)
        each = [abi.Gradients(*map(address, some)) for some in (gradients[:n_weights], gradients[n_weights:])]
        call = abi.Backward(
            layout.as_c_struct,
            settings.layer(weights, units, n_looked_up, n_values),
            abi.Inputs(*map(address, (values, ids, embedding, mask))),
            *map(address, (outputs, memory, gates, grad_outputs)),
            grad_outputs.stride(0),
            address(grad_inputs),
            (2 * abi.Gradients)(*each),
            ctx.n_threads_used,
        )
        loaded().seqclf_backward(ctypes.byref(call))
        if embedding is None:
            return None, None, grad_inputs, None, *gradients
        if grad_inputs is not None:
            unique = None if occurring is None else (occurring, inverse)
            grad_inputs = embedding_gradient(layout, ids, embedding, mask, unique, grad_inputs, settings.n_threads)
        return None, None, None, grad_inputs, *gradients


def _as_kernel_inputs(inputs: Inputs) -> tuple[Tensor | None, ...]:
    """Values, ids, embedding and mask as contiguous tensors of the dtypes that the kernels expect."""

    def floats(tensor):
        return None if tensor is None else tensor.to(torch.float32).contiguous()

    ids = None if inputs.ids is None else inputs.ids.to(torch.int64).contiguous()
    return floats(inputs.values), ids, floats(inputs.embedding), floats(inputs.mask)


def _check_shapes(layout, values, ids, embedding, mask, weights, n_looked_up) -> None:
    """Raise ValueError for shapes with which the kernels would read out of bounds."""
    n_weights = len(Weights._fields)
    fits = all(each is None or len(each) == layout.n_steps for each in (values, ids))
    fits = fits and (embedding is None or embedding.shape[1] == n_looked_up)
    fits = fits and (mask is None or mask.shape == (layout.n_rows, n_looked_up))
    for first, second in zip(weights[:n_weights], weights[n_weights:], strict=False):
        fits = fits and (first is None) == (second is None) and (first is None or first.shape == second.shape)
    if not fits:
        shapes = [None if each is None else tuple(each.shape) for each in (values, ids, embedding, mask, *weights)]
        raise ValueError(f"The shapes of values, ids, embedding, mask and weights do not match: {shapes}.")


def _cell_code(cell: str) -> int:
    code = CELLS[cell].code
    assert code is not None, f"the compiled kernels do not support {cell}"
    return code


def _native_layout(code: int) -> CellLayout:
    layout = cell_layout(code)
    if layout is None:
        raise RuntimeError(f"The compiled library has no cell with the code {code}: it was built from other sources.")
    return layout


def _macs_per_step(weight_recurrent: Tensor, n_multiplied: int) -> int:
    """Multiply-accumulates per step."""
    return len(weight_recurrent) * (n_multiplied + weight_recurrent.shape[1] + GATE_COST)
