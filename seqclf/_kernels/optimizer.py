"""The step of an optimiser on our own CPU kernels: one call for all, of a table only the rows that have a gradient."""

import ctypes
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seqclf._kernels import cpu
from seqclf._kernels.structures import Parameter, Step
from seqclf._kernels.threads import n_threads

_RULE = {"sgd": 0, "nesterov": 1, "rmsprop": 2, "adagrad": 3, "adam": 4, "adamw": 5}
# Below so many values, a quarter of a millisecond or so, one thread does it all.
_WORTH_A_THREAD = 500_000


class Rates(NamedTuple):
    """What the equations of `interface.h` read beside the gradient; those that a rule doesn't have are 0."""

    learning_rate: float
    weight_decay: float
    momentum: float
    decay: float
    eps: float


class State(NamedTuple):
    """What an optimiser keeps of a parameter, as far as its rule has it; the kernels write into it.

    `last` holds the step that each row of `square` is of. It goes with a sparse gradient for the rule "rmsprop" without
    weight decay: rows without a gradient fall behind.
    """

    mean: Tensor | None = None
    square: Tensor | None = None
    n_steps: Tensor | None = None
    last: Tensor | None = None


class Plan:
    """Where parameters and state lie, found out once for many steps.

    Parameters
    ----------
    rule : {"sgd", "nesterov", "rmsprop", "adagrad", "adam", "adamw"}
        How the parameters move.
    parameters : sequence of Tensor
        All that have a gradient.
    states : sequence of State
        One for each of them.
    """

    def __init__(self, rule: str, parameters: Sequence[Tensor], states: Sequence[State]):
        self._rule = _RULE[rule]
        self.parameters, self.states = list(parameters), list(states)
        self._readable = all(map(_readable, self.parameters, self.states))
        self._n_values = sum(parameter.numel() for parameter in parameters)
        self._array = (Parameter * len(self.parameters))()
        self._entries = list(self._array)
        for entry, parameter, state in zip(self._entries, self.parameters, self.states, strict=True):
            entry.values = parameter.data_ptr()
            entry.mean, entry.square, entry.n_steps, entry.last = map(cpu._address, state)

    def serves(self, parameters: Sequence[Tensor]) -> bool:
        """Whether it is for these, and they lie where they lay."""
        return len(parameters) == len(self.parameters) and all(
            one is other and one.data_ptr() == (entry.values or 0)
            for one, other, entry in zip(parameters, self.parameters, self._entries, strict=True)
        )

    def fits(self, gradients: Sequence[Tensor]) -> bool:
        """Whether the kernels can read everything; a gradient has the type and the shape of its parameter always."""
        return self._readable and all(map(_readable_gradient, gradients))

    def step(self, gradients: Sequence[Tensor], rates: Sequence[Rates], max_norm: float | None) -> None:
        """Move every parameter; see :func:`seqclf._kernels.optimize`."""
        if not self._step(gradients, rates, max_norm):
            # Several gradients were added up, whose rows stand one after the other.
            gradients = [gradient.coalesce() if gradient.is_sparse else gradient for gradient in gradients]
            if not self._step(gradients, rates, max_norm):
                raise IndexError("A sparse gradient names a row that its parameter doesn't have.")

    def _step(self, gradients: Sequence[Tensor], rates: Sequence[Rates], max_norm: float | None) -> bool:
        kept = []  # the memory of the call
        for entry, parameter, gradient, rate in zip(self._entries, self.parameters, gradients, rates, strict=True):
            entry.sparse = sparse = gradient.is_sparse
            if sparse:
                entry.n_rows, entry.dim = parameter.shape
                rows, gradient = gradient._indices(), gradient._values()
                entry.n_touched, entry.rows = len(gradient), rows.data_ptr()
                kept += [rows, gradient]
            else:
                entry.n_rows, entry.dim, entry.n_touched, entry.rows = 1, gradient.numel(), 1, None
            entry.gradient = gradient.data_ptr()
            entry.learning_rate, entry.weight_decay, entry.momentum, entry.decay, entry.eps = rate
        call = Step(
            self._rule,
            len(self._entries),
            ctypes.addressof(self._array),
            math.inf if max_norm is None else max_norm,
            n_threads() if self._n_values > _WORTH_A_THREAD else 1,
        )
        return bool(cpu._loaded().seqclf_optimize(ctypes.byref(call)))


def _readable(parameter: Tensor, state: State) -> bool:
    floats = [tensor for tensor in (parameter, state.mean, state.square) if tensor is not None]
    return all(_plain(tensor) and tensor.shape == parameter.shape for tensor in floats) and (
        state.n_steps is None or (_plain(state.n_steps) and state.n_steps.numel() == 1)
    )


def _plain(tensor: Tensor) -> bool:
    return (
        tensor.device.type == "cpu"
        and tensor.dtype == torch.float32
        and tensor.layout == torch.strided
        and tensor.is_contiguous()
    )


def _readable_gradient(gradient: Tensor) -> bool:
    if gradient.layout == torch.strided:
        return gradient.is_contiguous()
    return (
        gradient.layout == torch.sparse_coo
        and gradient.sparse_dim() == 1
        and gradient.dense_dim() == 1
        and gradient._values().is_contiguous()
        and gradient._indices().is_contiguous()
    )
