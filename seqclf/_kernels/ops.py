"""The operations on tensors: recurrences, gathering of steps, pooling, convolution and optimiser updates.

`dispatch` chooses the kernel that runs them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from seqclf._cells import Weights
from seqclf._kernels import reference
from seqclf._kernels.cpu import convolution, gather, pooling
from seqclf._kernels.cpu import recurrence as cpu_recurrence
from seqclf._kernels.cpu.optimizer import FusedUpdate
from seqclf._kernels.cpu.update_rules import Hyperparameters
from seqclf._kernels.dispatch import is_native_enabled, kernel_for, supports_native
from seqclf._kernels.inputs import Inputs, LookUp
from seqclf._kernels.layout import StepLayout

# Up to this size, clearing and reading the whole gradient of an embedding is faster than finding the ids that occur.
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
        A name in `CELLS`.
    inputs : Inputs, or Tensor of shape (n_steps, n_inputs) or (n_steps,)
        The steps in the order of `layout`. Integers of shape (n_steps,) are one-hot encoded.
    layout : StepLayout
        The layout of the batch.
    weights : Weights
        The layer's weights. Their dtype is that of the outputs.
    activation : {"tanh", "relu", "softsign"}, default="tanh"
        The non-linearity of the state; gates always use the sigmoid.
    reverse : bool, default=False
        Process every sequence from its last step to its first.

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
        The weights of the forward and the reverse direction, of equal shapes.

    Returns
    -------
    Tensor of shape (n_steps, 2 * units)
        The hidden states of both directions after each step, in the order of `layout`.
    """
    kernel = kernel_for(cell, activation, weights[0])
    if kernel is cpu_recurrence:
        return cpu_recurrence.run_both(cell, inputs, layout, weights, activation)
    outputs = []
    for each, reverse in zip(weights, (False, True), strict=True):
        outputs.append(kernel.run(cell, inputs, layout, each, activation, reverse))
    return torch.cat(outputs, dim=1)


def gather_steps(values: Tensor | LookUp, layout: StepLayout) -> Tensor:
    """Gather the steps of a batch from the data, in the order of `layout`.

    Parameters
    ----------
    values : Tensor of shape (n,) or (n, features), or LookUp
        Token ids or values of all the data, or lookup tables with the entries to look up.
    layout : StepLayout
        The layout of the batch, with the position of each sequence in the data.

    Returns
    -------
    Tensor of shape (n_steps,) or (n_steps, features)
        With the dtype of the data, except that 32-bit ids become 64-bit; on the device of the layout.

    Raises
    ------
    ValueError
        If a sequence extends beyond the data, or if the layout was made without `starts` and its number of steps is
        not that of the data.
    IndexError
        If an entry is not in its table.
    """
    if isinstance(values, LookUp):
        layout.check(len(values.entries))
        use_native = values.entries.device.type == "cpu" and is_native_enabled()
        return (gather if use_native else reference).look_up(values, layout).to(layout.device)
    layout.check(len(values))
    use_native = values.device.type == "cpu" and not values.requires_grad and is_native_enabled()
    return (gather if use_native else reference).gather_steps(values, layout).to(layout.device)


def pool(kind: str, values: Tensor, layout: StepLayout) -> Tensor:
    """The maximum or the mean of each feature over the steps of each row.

    Parameters
    ----------
    kind : {"max", "mean"}
        The kind of pooling.
    values : Tensor of shape (n_steps, features)
        In the order of `layout`.
    layout : StepLayout
        The layout of the batch.

    Returns
    -------
    Tensor of shape (n_rows, features)
    """
    return (pooling if supports_native(values) else reference).pool(kind, values, layout)


def materialize(inputs: Tensor | Inputs, layout: StepLayout) -> Tensor:
    """The values of every step, with ids replaced by copies of their vectors. It runs on plain torch."""
    values = reference.materialize(inputs, layout).values
    assert values is not None
    return values


def attend(values: Tensor, layout: StepLayout, weight: Tensor, bias: Tensor, query: Tensor) -> Tensor:
    """The mean over the steps of each row, weighted by the softmax of ``tanh(weight values + bias) . query``.

    Parameters
    ----------
    values : Tensor of shape (n_steps, features)
        In the order of `layout`.
    layout : StepLayout
        The layout of the batch.
    weight, bias, query : Tensor of shape (features, features), (features,), (features,)
        The parameters of the attention.

    Returns
    -------
    Tensor of shape (n_rows, features)
    """
    return (pooling if supports_native(values) else reference).attend(values, layout, weight, bias, query)


def convolve(values: Tensor, layout: StepLayout, weight: Tensor) -> Tensor:
    """Convolve the steps of each row with filters. Rows are zero-padded, so the output is as long as the row.

    Parameters
    ----------
    values : Tensor of shape (n_steps, features)
        In the order of `layout`.
    layout : StepLayout
        The layout of the batch.
    weight : Tensor of shape (n_filters, features, width)
        The filters. Output step t depends on the input steps from ``t - (width - 1) // 2`` to ``t + width // 2``.

    Returns
    -------
    Tensor of shape (n_steps, n_filters)
    """
    return reference.convolve(values, layout, weight)


def convolve_relu(values: Tensor, layout: StepLayout, weight: Tensor, bias: Tensor) -> Tensor:
    """``max(convolve(values, layout, weight) + bias, 0)``; compiled, a row has the same bits in any batch."""
    use_native = supports_native(values) and not torch.is_grad_enabled()
    return (convolution if use_native else reference).convolve_relu(values, layout, weight, bias)


def prefers_sparse_gradient(embedding: Tensor) -> bool:
    """Whether a sparse gradient is faster: the embedding is large, and the compiled kernels process it."""
    return embedding.numel() > _MIN_SPARSE_VALUES and supports_native(embedding)


def optimize(
    update: FusedUpdate,
    gradients: Sequence[Tensor],
    hyperparameters: Sequence[Hyperparameters],
    max_norm: float | None = None,
) -> bool:
    """Run one optimiser update if the compiled kernels support it; otherwise the caller uses torch's optimiser.

    Parameters
    ----------
    update : FusedUpdate
        The update rule, the parameters and their state. Parameters and state are modified.
    gradients : sequence of Tensor
        One per parameter: dense, or sparse with whole rows.
    hyperparameters : sequence of Hyperparameters
        One per parameter.
    max_norm : float, default=None
        Clip the gradients to this norm, taken over all of them. The gradients themselves are not modified.

    Returns
    -------
    bool
        Whether the update was applied; if not, nothing was changed.
    """
    if not is_native_enabled() or not update.accepts(gradients):
        return False
    update.run(gradients, hyperparameters, max_norm)
    return True
