"""The step of an optimiser on our own CPU kernels: one call for all, of a table only the rows that have a gradient."""

import ctypes
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seqclf._kernels import cpu
from seqclf._kernels.structures import CatchUp, Parameter, Step
from seqclf._kernels.threads import n_threads

_RULE = {"sgd": 0, "nesterov": 1, "rmsprop": 2, "adagrad": 3, "adam": 4, "adamw": 5}
# Below so many values, a quarter of a millisecond or so, one thread does it all.
_WORTH_A_THREAD = 500_000
# With fewer rows, of which a batch of reviews reads some thousands, adam moves them all in less time than it takes to
# bring up to date those that will be read.
_WORTH_RESTING = 40_000
# After so many steps all rows are brought up to date: what they missed is kept for each step since they were.
_ROOM = 1024


class Rates(NamedTuple):
    """What the equations of `interface.h` read beside the gradient; those that a rule doesn't have are 0."""

    learning_rate: float
    weight_decay: float
    momentum: float
    decay: float
    eps: float


class State(NamedTuple):
    """What an optimiser keeps of a parameter, as far as its rule has it; the kernels write into it.

    `last` and `missed` say how far rows have fallen behind: those of a table whose gradient is sparse, and so has no
    numbers for them. They are for the parameters that :func:`may_rest`.
    """

    mean: Tensor | None = None
    square: Tensor | None = None
    n_steps: Tensor | None = None
    last: Tensor | None = None
    missed: Tensor | None = None

    def resting(self, parameter: Tensor) -> "State":
        """The same for rows that may rest from now on."""
        missed = None if self.mean is None else torch.zeros(_ROOM, 4, dtype=torch.float64)
        return self._replace(last=torch.zeros(len(parameter), dtype=torch.int32), missed=missed)


def may_rest(rule: str, table: Tensor, rates: Rates) -> bool:
    """Whether rows without a gradient are best left alone, their values and state brought up to date later.

    So it is for "rmsprop" without weight decay (of its values nothing is missed), and in a large table for "adam"
    without and "adamw" with it, where the first moment fades well before the second.
    """
    if rule == "rmsprop":
        return rates.weight_decay == 0
    decays = rule == "adam" and rates.weight_decay != 0
    fades = rates.momentum < rates.decay**1.5
    return rule in ("adam", "adamw") and not decays and fades and len(table) > _WORTH_RESTING


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
            entry.mean, entry.square, entry.n_steps, entry.last, entry.missed = map(cpu._address, state)
            entry.room = _ROOM
            if state.last is not None:
                entry.n_rows, entry.dim = parameter.shape

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
        for entry, rate in zip(self._entries, rates, strict=True):
            # The rows that rest have missed the decay as it was.
            if entry.n_recent and (entry.momentum, entry.decay) != (rate.momentum, rate.decay):
                self.catch_up()
        if not self._step(gradients, rates, max_norm):
            # Several gradients were added up, whose rows stand one after the other.
            gradients = [gradient.coalesce() if gradient.is_sparse else gradient for gradient in gradients]
            if not self._step(gradients, rates, max_norm):
                raise IndexError("A sparse gradient names a row that its parameter doesn't have.")

    def catch_up(self, table: Tensor | None = None, ids: Tensor | None = None) -> None:
        """Bring rows that rest up to date: those of `table` that `ids` name, or all.

        Parameters
        ----------
        table : Tensor, default=None
            One of the parameters.
        ids : Tensor of shape (n,), default=None
            Its rows that will be read, in any order, each as often as it may be.
        """
        for entry, parameter, state in zip(self._entries, self.parameters, self.states, strict=True):
            if not entry.n_recent or not (table is None or (table is parameter and state.mean is not None)):
                continue
            if not _readable(parameter, state):
                raise RuntimeError(
                    "A table was changed to something that the kernels don't read while rows of it were behind: "
                    f"{parameter.dtype} of shape {tuple(parameter.shape)} on {parameter.device}. Call catch_up before."
                )
            entry.values = parameter.data_ptr()  # It may have been moved.
            n_values = parameter.numel()
            if ids is not None:
                ids = ids.to(torch.int64).contiguous()
                n_values = len(ids) * entry.dim
            n_ids = 0 if ids is None else len(ids)
            call = CatchUp(ctypes.addressof(entry), n_ids, cpu._address(ids), _share(n_values))
            cpu._loaded().seqclf_catch_up(ctypes.byref(call))

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
            _share(self._n_values),
        )
        return bool(cpu._loaded().seqclf_optimize(ctypes.byref(call)))


def _share(n_values: int) -> int:
    """How many of the threads a call that writes so many values is worth."""
    return n_threads() if n_values > _WORTH_A_THREAD else 1


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
