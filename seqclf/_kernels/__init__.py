"""The recurrences. This module chooses who computes them, in one place, and can say which and why.

A kernel is a module with ``run(cell, inputs, layout, weights, activation, reverse)``. `reference` is the definition;
every other kernel is tested against it, outputs and gradients.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

from seqclf._kernels import cpu, reference, torch_native
from seqclf._kernels.layout import StepLayout
from seqclf._kernels.weights import ACTIVATIONS, CELLS, N_GATES, Weights

__all__ = ["ACTIVATIONS", "CELLS", "N_GATES", "StepLayout", "Weights", "choose", "describe", "recurrence", "use"]

_KERNELS = {"cpu": cpu, "reference": reference, "torch_native": torch_native}
_VARIABLE = "SEQCLF_KERNELS"
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


def choose(cell: str, activation: str) -> tuple[str, str]:
    """The kernel that computes this cell, and the reason.

    Returns
    -------
    (name, reason) : tuple of str
    """
    if (forced := _forced.get()) is not None:
        return forced, "forced by seqclf._kernels.use"
    if name := os.environ.get(_VARIABLE):
        return _known(name, f"The environment variable {_VARIABLE}"), f"forced by the environment variable {_VARIABLE}"
    if not torch_native.supports(cell, activation):
        return "reference", f"torch has no {cell} with activation {activation!r}"
    return "torch_native", "torch's own operations: padded on the CPU, packed through cuDNN on a GPU"


def describe() -> list[tuple[str, str]]:
    """For each cell (with its activation), the kernel in use and why."""
    rows = []
    for cell in CELLS:
        for activation in ACTIVATIONS:
            name, reason = choose(cell, activation)
            rows.append((f"{cell} ({activation})", f"{name}: {reason}"))
    return rows


def recurrence(
    cell: str, inputs: Tensor, layout: StepLayout, weights: Weights, *, activation: str = "tanh", reverse: bool = False
) -> Tensor:
    """Run one layer over a ragged batch in one direction, from an initial state of zero.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
        Which recurrence.
    inputs : Tensor of shape (n_steps, n_inputs) or (n_steps,)
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
    name, _ = choose(cell, activation)
    return _KERNELS[name].run(cell, inputs, layout, weights, activation, reverse)
