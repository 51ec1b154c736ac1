"""The reference implementation of all operations in plain torch. Every faster kernel is tested against it.

It is slow. Autograd computes the gradients. The equations of the recurrences are in `_cells`.
"""

import torch
from torch import Tensor
from torch.nn import functional

from seqclf._cells import ACTIVATIONS, CELLS, Weights
from seqclf._kernels.inputs import Inputs, LookUp
from seqclf._kernels.layout import StepLayout


def materialize(inputs: Tensor | Inputs, layout: StepLayout) -> Inputs:
    """The inputs with the ids of an embedding replaced by copies of their vectors, as values."""
    inputs = Inputs.of(inputs)
    if inputs.embedding is None:
        return inputs
    assert inputs.ids is not None
    vectors = functional.embedding(inputs.ids, inputs.embedding, sparse=inputs.sparse)
    if inputs.mask is not None:
        vectors = vectors * inputs.mask.index_select(0, layout.row_of_step)
    if inputs.values is not None:
        vectors = torch.cat((vectors, inputs.values.to(vectors.dtype)), dim=1)
    return Inputs(vectors)


def project_inputs(inputs: Inputs, weights: Weights) -> Tensor:
    """x W + b for every step; for a one-hot vector, x W is a lookup in W."""
    values, ids = inputs.values, inputs.ids
    if ids is None:
        assert values is not None
        return functional.linear(values, weights.input, weights.bias)
    n_looked_up = weights.input.shape[1] - (0 if values is None else values.shape[1])
    sums = functional.embedding(ids, weights.input[:, :n_looked_up].t()) + weights.bias
    return sums if values is None else sums + functional.linear(values, weights.input[:, n_looked_up:])


def run(
    cell: str, inputs: Tensor | Inputs, layout: StepLayout, weights: Weights, activation: str, reverse: bool
) -> Tensor:
    """Hidden states of every step, shape (n_steps, units); see :func:`seqclf._kernels.recurrence`."""
    recurrence, activate = CELLS[cell], ACTIVATIONS[activation].function
    projected = project_inputs(materialize(inputs, layout), weights)
    zeros = projected.new_zeros(layout.n_rows, weights.units)
    state: tuple[Tensor, ...] = (zeros, zeros) if recurrence.has_memory else (zeros,)
    outputs: list[Tensor] = [zeros] * layout.max_length
    times = range(layout.max_length)
    for time in reversed(times) if reverse else times:
        rows, start = int(layout.batch_sizes[time]), int(layout.time_offsets[time])
        active = tuple(component[:rows] for component in state)
        active = recurrence.step(projected[start : start + rows], active, weights, activate)
        # Rows that have ended (forward) or not started (reverse) keep their state, which is zero before the start.
        state = tuple(torch.cat((new, old[rows:])) for new, old in zip(active, state, strict=True))
        outputs[time] = active[0]
    return torch.cat(outputs)


def gather_steps(values: Tensor, layout: StepLayout) -> Tensor:
    """The steps in the order of `layout`; see :func:`seqclf._kernels.gather_steps`."""
    arranged = values.index_select(0, layout.gather.to(values.device))
    return arranged.long() if arranged.dtype == torch.int32 and arranged.ndim == 1 else arranged


def look_up(lookup: LookUp, layout: StepLayout) -> Tensor:
    """The looked-up values of each step, shape (n_steps, n_channels); see :func:`seqclf._kernels.gather_steps`."""
    entries = gather_steps(lookup.entries, layout)
    versions = torch.from_numpy(lookup.versions)[layout.order.cpu()][layout.row_of_step.cpu()]
    try:
        if (entries < 0).any() or (versions < 0).any():  # Indexing would count them from the end.
            raise IndexError
        columns = zip(lookup.tables, entries.unbind(dim=1), strict=True)
        return torch.cat([embedding[versions, column] for embedding, column in columns], dim=1)
    except IndexError:
        raise lookup.error() from None


def pool(kind: str, values: Tensor, layout: StepLayout) -> Tensor:
    """One vector per row, shape (n_rows, features); see :func:`seqclf._kernels.pool`."""
    if kind == "max":
        return layout.pad(values, fill=-torch.inf).max(dim=0).values
    if kind == "mean":
        return layout.pad(values).sum(dim=0) / layout.row_lengths[:, None]
    raise ValueError(f"There is no pooling of the kind {kind!r}.")


def attend(values: Tensor, layout: StepLayout, weight: Tensor, bias: Tensor, query: Tensor) -> Tensor:
    """One vector per row, shape (n_rows, features); see :func:`seqclf._kernels.attend`."""
    # u = tanh(W h + b),  a = softmax(u q),  v = sum a h
    scores = torch.tanh(functional.linear(values, weight, bias)) @ query
    attention = layout.pad(scores[:, None], fill=-torch.inf).softmax(dim=0)
    return (layout.pad(values) * attention).sum(dim=0)


def convolve(values: Tensor, layout: StepLayout, weight: Tensor) -> Tensor:
    """Each row convolved by itself, shape (n_steps, n_filters); see :func:`seqclf._kernels.convolve`."""
    width = weight.shape[2]
    # The padding between rows is zero, like the padding before the first step and after the last one.
    grid = functional.pad(layout.pad(values).permute(1, 2, 0), ((width - 1) // 2, width // 2))
    return layout.unpad(functional.conv1d(grid, weight).permute(2, 0, 1))


def convolve_relu(values: Tensor, layout: StepLayout, weight: Tensor, bias: Tensor) -> Tensor:
    """The positive part of the convolution plus a bias; see :func:`seqclf._kernels.convolve_relu`."""
    return torch.relu(convolve(values, layout, weight) + bias)
