"""The step of an optimiser on our own CPU kernels: one call for all; of a table, only rows that have a gradient."""

import ctypes
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seqclf._kernels.cpu.call import address, loaded, thread_count
from seqclf._kernels.threads import n_threads
from seqclf._native import abi

_RULE = {"sgd": 0, "nesterov": 1, "rmsprop": 2, "adagrad": 3, "adam": 4, "adamw": 5}
# What the update of a value takes, in multiplications.
_UPDATE_COST = 20
# With fewer rows, of which a batch of reviews reads some thousands, adam moves them all in less time than it takes to
# bring up to date those that will be read.
_WORTH_RESTING = 40_000
# After so many steps all rows are brought up to date: what they missed is kept for each step since they were.
_ROOM = 1024


class Hyperparameters(NamedTuple):
    """Hyperparameters of the update rules in `abi.h`; those that a rule does not have are 0."""

    learning_rate: float
    weight_decay: float
    momentum: float
    decay: float
    eps: float


class State(NamedTuple):
    """The state of a parameter, as far as the rule has it; the kernels write into it.

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


def may_rest(rule: str, table: Tensor, hyperparameters: Hyperparameters) -> bool:
    """Whether rows without a gradient are best left alone, their values and state brought up to date later.

    So it is for "rmsprop" without weight decay (of its values nothing is missed), and in a large table for "adam"
    without and "adamw" with it, where the first moment fades well before the second.
    """
    if rule == "rmsprop":
        return hyperparameters.weight_decay == 0
    decays = rule == "adam" and hyperparameters.weight_decay != 0
    fades = hyperparameters.momentum < hyperparameters.decay**1.5
    return rule in ("adam", "adamw") and not decays and fades and len(table) > _WORTH_RESTING


class FusedStep:
    """The step of an optimiser: the addresses of parameters and state are looked up once for many steps.

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
        self._readable = all(map(_is_readable, self.parameters, self.states))
        self._n_values = sum(parameter.numel() for parameter in parameters)
        self._array = (abi.Parameter * len(self.parameters))()
        self._entries = list(self._array)
        for entry, parameter, state in zip(self._entries, self.parameters, self.states, strict=True):
            entry.values = parameter.data_ptr()
            entry.mean, entry.square, entry.n_steps, entry.last, entry.missed = map(address, state)
            entry.room = _ROOM
            if state.last is not None:
                entry.n_rows, entry.dim = parameter.shape

    def matches(self, parameters: Sequence[Tensor]) -> bool:
        """Whether it was made for these parameters, and their memory is still the same."""
        return len(parameters) == len(self.parameters) and all(
            one is other and one.data_ptr() == (entry.values or 0)
            for one, other, entry in zip(parameters, self.parameters, self._entries, strict=True)
        )

    def accepts(self, gradients: Sequence[Tensor]) -> bool:
        """Whether the kernels can read everything; a gradient always has the type and the shape of its parameter."""
        return self._readable and all(map(_is_readable_gradient, gradients))

    def run(
        self, gradients: Sequence[Tensor], hyperparameters: Sequence[Hyperparameters], max_norm: float | None
    ) -> None:
        """Move every parameter; see :func:`seqclf._kernels.optimize`."""
        for entry, each in zip(self._entries, hyperparameters, strict=True):
            # The rows that rest have missed the decay as it was.
            if entry.n_recent and (entry.momentum, entry.decay) != (each.momentum, each.decay):
                self.catch_up()
        if not self._run(gradients, hyperparameters, max_norm):
            # torch adds sparse gradients up by writing their rows one after the other.
            gradients = [gradient.coalesce() if gradient.is_sparse else gradient for gradient in gradients]
            if not self._run(gradients, hyperparameters, max_norm):
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
            if not _is_readable(parameter, state):
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
            call = abi.CatchUp(
                ctypes.addressof(entry), n_ids, address(ids), thread_count(n_threads(), n_values * _UPDATE_COST)
            )
            loaded().seqclf_catch_up(ctypes.byref(call))

    def _run(
        self, gradients: Sequence[Tensor], hyperparameters: Sequence[Hyperparameters], max_norm: float | None
    ) -> bool:
        kept = []  # keeps the memory of the call alive
        entries = zip(self._entries, self.parameters, gradients, hyperparameters, strict=True)
        for entry, parameter, gradient, each in entries:
            entry.sparse = sparse = gradient.is_sparse
            if sparse:
                entry.n_rows, entry.dim = parameter.shape
                rows, gradient = gradient._indices(), gradient._values()
                entry.n_touched, entry.rows = len(gradient), rows.data_ptr()
                kept += [rows, gradient]
            else:
                entry.n_rows, entry.dim, entry.n_touched, entry.rows = 1, gradient.numel(), 1, None
            entry.gradient = gradient.data_ptr()
            entry.learning_rate, entry.weight_decay, entry.momentum, entry.decay, entry.eps = each
        call = abi.Step(
            self._rule,
            len(self._entries),
            ctypes.addressof(self._array),
            math.inf if max_norm is None else max_norm,
            thread_count(n_threads(), self._n_values * _UPDATE_COST),
        )
        return bool(loaded().seqclf_optimize(ctypes.byref(call)))


def _is_readable(parameter: Tensor, state: State) -> bool:
    floats = [tensor for tensor in (parameter, state.mean, state.square) if tensor is not None]
    return all(_is_plain(tensor) and tensor.shape == parameter.shape for tensor in floats) and (
        state.n_steps is None or (_is_plain(state.n_steps) and state.n_steps.numel() == 1)
    )


def _is_plain(tensor: Tensor) -> bool:
    return (
        tensor.device.type == "cpu"
        and tensor.dtype == torch.float32
        and tensor.layout == torch.strided
        and tensor.is_contiguous()
    )


def _is_readable_gradient(gradient: Tensor) -> bool:
    if gradient.layout == torch.strided:
        return gradient.is_contiguous()
    return (
        gradient.layout == torch.sparse_coo
        and gradient.sparse_dim() == 1
        and gradient.dense_dim() == 1
        and gradient._values().is_contiguous()
        and gradient._indices().is_contiguous()
    )
