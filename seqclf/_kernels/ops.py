"""The operations on tensors, with their shapes: recurrences, gathering of steps, pooling, convolution, optimiser steps.

`dispatch` chooses who computes them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from seqclf._cells import Weights
from seqclf._kernels import reference
from seqclf._kernels.cpu import convolution, gather, pooling
from seqclf._kernels.cpu import recurrence as cpu_recurrence
from seqclf._kernels.cpu.optimizer import FusedStep
from seqclf._kernels.cpu.update_rules import Hyperparameters
from seqclf._kernels.dispatch import is_native_enabled, kernel_for, supports_native
from seqclf._kernels.inputs import Inputs, LookUp
from seqclf._kernels.layout import StepLayout

# The gradient of a table up to this size is cleared and read as a whole in less time than it takes to find its rows.
_MIN_SPARSE_VALUES = 500_000


def recurrence(
    cell: str,
    inputs: Tensor | Inputs,
    layout: StepLayout,
    weights: Weights,
    *,
    activation: str = "tanh",
    reverse: bool = False,
) -> Tensor:
    """Run one layer over a ragged batch in one direction, from an initial state of zero.

    Parameters
    ----------
    cell : str
        Which recurrence, a name in `CELLS`.
    inputs : Inputs, or Tensor of shape (n_steps, n_inputs) or (n_steps,)
        The steps in the order of `layout`; whole numbers of shape (n_steps,) stand for one-hot vectors.
    layout : StepLayout
        Where the steps lie.
    weights : Weights
        The layer's weights, of the dtype of the outputs.
    activation : {"tanh", "relu", "softsign"}, default="tanh"
        The non-linearity of the state; gates are sigmoids always.
    reverse : bool, default=False
        Read every sequence from its last step to its first.

    Returns
    -------
    Tensor of shape (n_steps, units)
        The hidden state after each step, in the order of `layout`.
    """
    return kernel_for(cell, activation, weights).run(cell, inputs, layout, weights, activation, reverse)


def bidirectional(
    cell: str,
    inputs: Tensor | Inputs,
    layout: StepLayout,
    weights: tuple[Weights, Weights],
    *,
    activation: str = "tanh",
) -> Tensor:
    """Run one layer in both directions.

    Parameters
    ----------
    cell, inputs, layout, activation
        As in :func:`recurrence`.
    weights : tuple of two Weights
        Those of the forward direction and those of the reverse one, of the same shapes.

    Returns
    -------
    Tensor of shape (n_steps, 2 * units)
        The hidden states of both after each step, in the order of `layout`.
    """
    kernel = kernel_for(cell, activation, weights[0])
    if kernel is cpu_recurrence:
        return cpu_recurrence.run_both(cell, inputs, layout, weights, activation)
    outputs = []
    for each, reverse in zip(weights, (False, True), strict=True):
        outputs.append(kernel.run(cell, inputs, layout, each, activation, reverse))
    return torch.cat(outputs, dim=1)


def arrange(values: Tensor | LookUp, layout: StepLayout) -> Tensor:
    """The steps of a batch in the order of `layout`, gathered from the data.

    Parameters
    ----------
    values : Tensor of shape (n,) or (n, features), or LookUp
        Token ids or numbers of all the data, or tables and the entries to look up in them.
    layout : StepLayout
        Where the sequences of the batch begin in the data.

    Returns
    -------
    Tensor of shape (n_steps,) or (n_steps, features)
        Of the dtype of the data, except that ids of 32 bits become 64; on the device of the layout.

    Raises
    ------
    ValueError
        If a sequence reaches beyond the data, or if the layout is of all of it and there is more.
    IndexError
        If an entry is not in its table.
    """
    if isinstance(values, LookUp):
        layout.check(len(values.entries))
        fast = values.entries.device.type == "cpu" and is_native_enabled()
        return (gather if fast else reference).look_up(values, layout).to(layout.device)
    layout.check(len(values))
    fast = values.device.type == "cpu" and not values.requires_grad and is_native_enabled()
    return (gather if fast else reference).arrange(values, layout).to(layout.device)


def pool(kind: str, values: Tensor, layout: StepLayout) -> Tensor:
    """The largest values, or the means, of each row over its steps.

    Parameters
    ----------
    kind : {"max", "mean"}
        What to take.
    values : Tensor of shape (n_steps, features)
        In the order of `layout`.
    layout : StepLayout
        Where the steps lie.

    Returns
    -------
    Tensor of shape (n_rows, features)
    """
    return (pooling if supports_native(values) else reference).pool(kind, values, layout)


def written_out(values: Tensor | Inputs, layout: StepLayout) -> Tensor:
    """The numbers of every step, with the vectors of ids copied from their table; on plain torch."""
    numbers = reference.written_out(values, layout).numbers
    assert numbers is not None
    return numbers


def attend(values: Tensor, layout: StepLayout, weight: Tensor, bias: Tensor, query: Tensor) -> Tensor:
    """The mean of each row over its steps, weighted by the softmax of ``tanh(weight values + bias) . query``.

    Parameters
    ----------
    values : Tensor of shape (n_steps, features)
        In the order of `layout`.
    layout : StepLayout
        Where the steps lie.
    weight, bias, query : Tensor of shape (features, features), (features,), (features,)
        What the weights are made with.

    Returns
    -------
    Tensor of shape (n_rows, features)
    """
    return (pooling if supports_native(values) else reference).attend(values, layout, weight, bias, query)


def convolve(values: Tensor, layout: StepLayout, weight: Tensor) -> Tensor:
    """Filters moved over the steps of each row, with zeros beyond its ends; the output is as long as the row.

    Parameters
    ----------
    values : Tensor of shape (n_steps, features)
        In the order of `layout`.
    layout : StepLayout
        Where the steps lie.
    weight : Tensor of shape (n_filters, features, width)
        The filters. Step t of a row sees the steps from ``t - (width - 1) // 2`` to ``t + width // 2``.

    Returns
    -------
    Tensor of shape (n_steps, n_filters)
    """
    return reference.convolve(values, layout, weight)


def convolve_relu(values: Tensor, layout: StepLayout, weight: Tensor, bias: Tensor) -> Tensor:
    """``max(convolve(values, layout, weight) + bias, 0)``; our kernels compute each row by itself."""
    fast = supports_native(values) and not torch.is_grad_enabled()
    return (convolution if fast else reference).convolve_relu(values, layout, weight, bias)


def reads_rows(table: Tensor) -> bool:
    """Whether a sparse gradient of a table of vectors is faster: the table is large, and our kernels read it."""
    return table.numel() > _MIN_SPARSE_VALUES and supports_native(table)


def optimize(
    step: FusedStep,
    gradients: Sequence[Tensor],
    hyperparameters: Sequence[Hyperparameters],
    max_norm: float | None = None,
) -> bool:
    """Take one step of an optimiser if our kernels can; where they cannot, torch's own optimisers do.

    Parameters
    ----------
    step : FusedStep
        The update rule, the parameters and their state; both are written.
    gradients : sequence of Tensor
        Of each parameter, dense or a sparse tensor of rows.
    hyperparameters : sequence of Hyperparameters
        Of each parameter.
    max_norm : float, default=None
        The gradients count as scaled down to this norm, taken over all of them. They are not written.

    Returns
    -------
    bool
        Whether the step was taken; if not, nothing was changed.
    """
    if not is_native_enabled() or not step.accepts(gradients):
        return False
    step.run(gradients, hyperparameters, max_norm)
    return True
