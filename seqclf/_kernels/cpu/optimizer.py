"""Optimiser updates on the compiled CPU kernels: one call for all parameters, with lazy updates of sparse rows."""

import ctypes
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seqclf._kernels.cpu.call import address, is_plain
from seqclf._kernels.cpu.lazy_rows import LazyRows
from seqclf._kernels.cpu.update_rules import CODES, UPDATE_COST, Hyperparameters
from seqclf._native import abi
from seqclf._native.call import loaded, thread_count
from seqclf._native.threads import n_threads


class ParameterState(NamedTuple):
    """The optimiser state of a parameter: the tensors that the rule needs. The kernels write into them."""

    mean: Tensor | None = None
    square: Tensor | None = None
    n_updates: Tensor | None = None


class FusedUpdate:
    """An optimiser update. The addresses of parameters and state are collected once for many updates.

    Parameters
    ----------
    rule : {"sgd", "nesterov", "rmsprop", "adagrad", "adam", "adamw"}
        The update rule.
    parameters : sequence of Tensor
        All parameters that have a gradient.
    states : sequence of ParameterState
        One per parameter.
    lazy : sequence of bool
        For each parameter, whether its rows are updated lazily. This needs sparse gradients and
        :func:`supports_lazy_rows`. Call `begin_batch` before such a parameter is used.
    """

    def __init__(self, rule: str, parameters: Sequence[Tensor], states: Sequence[ParameterState], lazy: Sequence[bool]):
        self._rule = CODES[rule]
        self._parameters, self._states, self._lazy = list(parameters), list(states), list(lazy)
        self._readable = all(map(_is_readable, self._parameters, self._states))
        self._n_values = sum(parameter.numel() for parameter in parameters)
        self._array = (abi.Parameter * len(self._parameters))()
        self._entries = list(self._array)
        for entry, parameter, state in zip(self._entries, self._parameters, self._states, strict=True):
            entry.values = parameter.data_ptr()
            entry.mean, entry.square, entry.n_updates = map(address, state)
        self._lazy_rows = [
            LazyRows(entry, parameter, state.mean, state.square)
            for entry, parameter, state, is_lazy in zip(self._entries, parameters, states, lazy, strict=True)
            if is_lazy
        ]
        self._decays: list[tuple[float, float]] | None = None  # of the lazily updated parameters, in the last update

    def matches(self, parameters: Sequence[Tensor], lazy: Sequence[bool]) -> bool:
        """Whether it was made for these parameters and settings, and the parameters still use the same memory."""
        return len(parameters) == len(self._parameters) and all(
            one is other and one.data_ptr() == (entry.values or 0) and is_lazy == was_lazy
            for one, other, entry, is_lazy, was_lazy in zip(
                parameters, self._parameters, self._entries, lazy, self._lazy, strict=True
            )
        )

    def accepts(self, gradients: Sequence[Tensor]) -> bool:
        """Whether the kernels support these tensors; a gradient always has the dtype and shape of its parameter."""
        return self._readable and all(map(_is_readable_gradient, gradients))

    def run(
        self, gradients: Sequence[Tensor], hyperparameters: Sequence[Hyperparameters], max_norm: float | None
    ) -> None:
        """Update every parameter; see :func:`seqclf._kernels.optimize`."""
        lazy = [each for each, is_lazy in zip(hyperparameters, self._lazy, strict=True) if is_lazy]
        decays = [(each.momentum, each.decay) for each in lazy]
        if self._decays is not None and decays != self._decays:
            self.flush()  # Pending updates are applied with the decays of the update that skipped them.
        self._decays = decays
        if not self._run(gradients, hyperparameters, max_norm):
            # torch sums sparse gradients by concatenating them, so rows can repeat. Coalesce them and try again.
            gradients = [gradient.coalesce() if gradient.is_sparse else gradient for gradient in gradients]
            if not self._run(gradients, hyperparameters, max_norm):
                raise IndexError("A sparse gradient has the index of a row that its parameter does not have.")

    def begin_batch(self, parameter: Tensor, ids: Tensor) -> None:
        """Sync the rows `ids` of `parameter` before a batch uses them."""
        for rows in self._lazy_rows:
            if rows.parameter is parameter:
                rows.begin_batch(ids)

    def flush(self) -> None:
        """Sync all rows of all lazily updated parameters."""
        for rows in self._lazy_rows:
            rows.flush()

    def _run(
        self, gradients: Sequence[Tensor], hyperparameters: Sequence[Hyperparameters], max_norm: float | None
    ) -> bool:
        keep_alive = []  # the tensors whose addresses are in the call
        entries = zip(self._entries, self._parameters, gradients, hyperparameters, strict=True)
        for entry, parameter, gradient, each in entries:
            entry.sparse = sparse = gradient.is_sparse
            if sparse:
                entry.n_rows, entry.dim = parameter.shape
                rows, gradient = gradient._indices(), gradient._values()
                entry.n_touched, entry.rows = len(gradient), rows.data_ptr()
                keep_alive += [rows, gradient]
            else:
                entry.n_rows, entry.dim, entry.n_touched, entry.rows = 1, gradient.numel(), 1, None
            entry.gradient = gradient.data_ptr()
            entry.learning_rate, entry.weight_decay, entry.momentum, entry.decay, entry.eps = each
        call = abi.OptimizerUpdate(
            self._rule,
            len(self._entries),
            ctypes.addressof(self._array),
            math.inf if max_norm is None else max_norm,
            thread_count(n_threads(), self._n_values * UPDATE_COST),
        )
        return bool(loaded().seqclf_optimize(ctypes.byref(call)))


def _is_readable(parameter: Tensor, state: ParameterState) -> bool:
    floats = [tensor for tensor in (parameter, state.mean, state.square) if tensor is not None]
    return all(is_plain(tensor) and tensor.shape == parameter.shape for tensor in floats) and (
        state.n_updates is None or (is_plain(state.n_updates) and state.n_updates.numel() == 1)
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
