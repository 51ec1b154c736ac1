"""The recurrences. This module chooses who computes them, in one place, and can say which and why.

A kernel is a module with ``run(cell, inputs, layout, weights, activation, reverse)`` and
``project(cell, table, weights)``. `reference` is the definition; every other kernel is tested against it, outputs and
gradients. The order of the steps, convolution, pooling and the last layer are chosen here too.
"""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType

import torch
from torch import Tensor

from seqclf._kernels import arrangement, cpu, reference, torch_native
from seqclf._kernels.inputs import Inputs, LookUp
from seqclf._kernels.layout import StepLayout
from seqclf._kernels.optimizer import Plan, Rates, State, may_rest
from seqclf._kernels.threads import chosen_threads, forked, kernel_threads, n_threads
from seqclf._kernels.weights import ACTIVATIONS, CELLS, N_GATES, Weights

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "N_GATES",
    "Inputs",
    "LookUp",
    "Plan",
    "Rates",
    "State",
    "StepLayout",
    "Weights",
    "arrange",
    "attend",
    "bidirectional",
    "choose",
    "chosen_threads",
    "convolve",
    "convolve_relu",
    "describe",
    "forked",
    "is_exact",
    "kernel_threads",
    "linear",
    "may_rest",
    "n_threads",
    "optimize",
    "pool",
    "project",
    "reads_rows",
    "recurrence",
    "use",
    "warn_where_slow",
    "written_out",
]

_KERNELS = {"cpu": cpu, "reference": reference, "torch_native": torch_native}
_VARIABLE = "SEQCLF_KERNELS"
# The gradient of a table up to this size is cleared and read as a whole in less time than it takes to find its rows.
_WORTH_ROWS = 500_000
_said_that_it_is_slow = False
_forced: ContextVar[str | None] = ContextVar("seqclf_kernels", default=None)


@contextmanager
def use(name: str) -> Iterator[None]:
    """Force one kernel inside a ``with`` block (for tests and benchmarks); other threads do not notice."""
    token = _forced.set(_known(name, "use()"))
    try:
        yield
    finally:
        _forced.reset(token)


def _known(name: str, where: str) -> str:
    if name not in _KERNELS:
        raise ValueError(f"{where} names the kernel {name!r}, but there are only {', '.join(map(repr, _KERNELS))}.")
    return name


def choose(
    cell: str, activation: str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[str, str]:
    """The kernel that computes this cell, and the reason.

    Parameters
    ----------
    cell, activation : str
        As in :func:`recurrence`.
    device, dtype : torch.device, torch.dtype
        Of the weights.

    Returns
    -------
    (name, reason) : tuple of str
    """
    if (forced := _forced.get()) is not None:
        return forced, "forced by seqclf._kernels.use"
    if name := os.environ.get(_VARIABLE):
        return _known(name, f"The environment variable {_VARIABLE}"), f"forced by the environment variable {_VARIABLE}"
    if not torch_native.supports(cell, activation):
        return "reference", f"no fast kernel has {cell} with activation {activation!r}"
    device = torch.device(device)
    if device.type == "cuda":
        return "torch_native", "cuDNN, through torch's own operations"
    if device.type != "cpu" or dtype != torch.float32:
        return "torch_native", f"torch's own operations, for {dtype} on {device.type}"
    available, text = cpu.available()
    return ("cpu", text) if available else ("torch_native", f"torch's own operations: {text}")


def warn_where_slow() -> None:
    """Say once in a process that the compiled kernels are missing, where they would be used."""
    global _said_that_it_is_slow
    available, text = cpu.available()
    if not available and not _said_that_it_is_slow:
        _said_that_it_is_slow = True
        warnings.warn(
            f"seqclf runs on torch's own operations, which are several times slower on a CPU: {text}. "
            # pip keeps the wheel without kernels that it made, and would take it again.
            "Install it with a C++ compiler to get its kernels: "
            "pip install --no-cache-dir --force-reinstall --no-deps seqclf",
            UserWarning,
            stacklevel=2,
        )


def describe() -> list[tuple[str, str]]:
    """For each cell (with its activation), the kernel in use and why."""
    rows = []
    for cell in CELLS:
        for activation in ACTIVATIONS:
            name, reason = choose(cell, activation, "cpu")
            rows.append((f"{cell} ({activation})", f"{name}: {reason}"))
    return rows


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
    cell : {"rnn", "lstm", "gru"}
        Which recurrence.
    inputs : Inputs, or Tensor of shape (n_steps, n_inputs) or (n_steps,)
        The steps in the order of `layout`; whole numbers of shape (n_steps,) stand for one-hot vectors.
    layout : StepLayout
        Where the steps lie.
    weights : Weights
        The layer's weights, of the dtype of the outputs.
    activation : {"tanh", "relu"}, default="tanh"
        The non-linearity of the state; gates are sigmoids always.
    reverse : bool, default=False
        Read every sequence from its last step to its first.

    Returns
    -------
    Tensor of shape (n_steps, units)
        The hidden state after each step, in the order of `layout`.
    """
    return _kernel_for(cell, activation, weights).run(cell, inputs, layout, weights, activation, reverse)


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
    kernel = _kernel_for(cell, activation, weights[0])
    if kernel is cpu:
        return cpu.run_both(cell, inputs, layout, weights, activation)
    outputs = []
    for index, (each, reverse) in enumerate(zip(weights, (False, True), strict=True)):
        given = Inputs.of(inputs)
        if given.projected is not None:
            given = given._replace(projected=given.projected[index : index + 1])
        outputs.append(kernel.run(cell, given, layout, each, activation, reverse))
    return torch.cat(outputs, dim=1)


def project(cell: str, table: Tensor, weights: Weights, *, activation: str = "tanh") -> Tensor:
    """What the vector of each token id gives to a layer's gates, once for all steps that hold it.

    It is for reading more steps than there are ids: as the ``projected`` of :class:`Inputs` it gives, with our kernels,
    the same bits as the vectors themselves. There are no gradients through it.

    Parameters
    ----------
    cell, activation : str
        As in :func:`recurrence`.
    table : Tensor of shape (n_ids, dim)
        The vector of each id.
    weights : Weights
        Of the layer, whose input weights have `dim` columns for the vectors and maybe more behind them.

    Returns
    -------
    Tensor of shape (n_ids, width)
        In an order of the chosen kernel's own.
    """
    with torch.no_grad():
        return _kernel_for(cell, activation, weights).project(cell, table, weights)


def _kernel_for(cell: str, activation: str, weights: Weights) -> ModuleType:
    name, reason = choose(cell, activation, weights.recurrent.device, weights.recurrent.dtype)
    if name != "reference" and not _KERNELS[name].supports(cell, activation):
        raise ValueError(f"The kernel {name!r} ({reason}) has no {cell} with activation {activation!r}.")
    return _KERNELS[name]


def is_exact(cell: str, activation: str) -> bool:
    """Whether the kernels that run on the CPU in float32 give each row the same bits whatever rows are beside it."""
    return choose(cell, activation, "cpu", torch.float32)[0] == "cpu"


def _ours(values: Tensor) -> bool:
    return values.device.type == "cpu" and values.dtype == torch.float32 and _not_switched_off()


def _not_switched_off() -> bool:
    return (_forced.get() or os.environ.get(_VARIABLE)) in (None, "", "cpu") and cpu.available()[0]


def arrange(values: Tensor | LookUp, layout: StepLayout) -> Tensor:
    """The steps of a batch in the order of `layout`, out of the data that they lie in.

    Parameters
    ----------
    values : Tensor of shape (n,) or (n, features), or LookUp
        Token ids or numbers of all the data, or what they are looked up by.
    layout : StepLayout
        Where the sequences of the batch begin in it.

    Returns
    -------
    Tensor of shape (n_steps,) or (n_steps, features)
        Of the dtype of the data, but for ids of 32 bits, which get 64; on the device of the layout.

    Raises
    ------
    ValueError
        If a sequence reaches beyond the data, or if the layout is of all of it and there is more.
    IndexError
        If what is looked up is in no table.
    """
    if isinstance(values, LookUp):
        layout.check(len(values.entries))
        fast = values.entries.device.type == "cpu" and _not_switched_off()
        return (arrangement if fast else reference).look_up(values, layout).to(layout.device)
    layout.check(len(values))
    fast = values.device.type == "cpu" and not values.requires_grad and _not_switched_off()
    return (arrangement if fast else reference).arrange(values, layout).to(layout.device)


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
    return (cpu if _ours(values) else reference).pool(kind, values, layout)


def written_out(values: Tensor | Inputs, layout: StepLayout) -> Tensor:
    """The numbers of every step, the vectors of ids that a table has among them; on plain torch."""
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
    return (cpu if _ours(values) else reference).attend(values, layout, weight, bias, query)


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
    """``max(convolve(values, layout, weight) + bias, 0)``, which our kernels compute each row by itself."""
    fast = _ours(values) and not torch.is_grad_enabled()
    return (cpu if fast else reference).convolve_relu(values, layout, weight, bias)


def linear(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``values weight' + bias`` in float64, each row by itself; no gradients."""
    if _ours(values):
        return cpu.linear(values, weight, bias)
    return torch.nn.functional.linear(values.double(), weight.double(), bias.double())


def reads_rows(table: Tensor) -> bool:
    """Whether a sparse gradient of a table of vectors is the faster one: it is large, and our kernels read it."""
    return table.numel() > _WORTH_ROWS and _ours(table)


def optimize(plan: Plan, gradients: Sequence[Tensor], rates: Sequence[Rates], max_norm: float | None = None) -> bool:
    """Take one step of an optimiser, if our kernels can; elsewhere torch's own optimisers do.

    Parameters
    ----------
    plan : Plan
        The rule by which the parameters move, they themselves, and their state; both are written.
    gradients : sequence of Tensor
        Of each parameter, dense or a sparse tensor of rows.
    rates : sequence of Rates
        Of each parameter.
    max_norm : float, default=None
        The gradients count as scaled down to this norm, taken over all of them. They are not written.

    Returns
    -------
    bool
        Whether the step was taken; if not, nothing was touched.
    """
    if not _not_switched_off() or not plan.fits(gradients):
        return False
    plan.step(gradients, rates, max_norm)
    return True
