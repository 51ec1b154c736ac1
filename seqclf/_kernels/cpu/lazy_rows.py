"""Lazily updated rows: a step skips rows without a gradient, and their pending updates are applied later."""

import ctypes

import torch
from torch import Tensor

from seqclf._kernels.cpu.call import address, is_plain
from seqclf._kernels.cpu.update_rules import UPDATE_COST, Hyperparameters
from seqclf._native import abi
from seqclf._native.call import loaded, thread_count
from seqclf._native.threads import n_threads

# In smaller tables adam updates all rows in less time than it takes to bring the rows of a batch, some thousands, up to
# date.
_MIN_LAZY_ROWS = 40_000
# After this many steps all rows are brought up to date: the log has an entry for each step since they were. Each step
# goes through the whole log, which is 32 kB at most.
_MAX_PENDING_STEPS = 1024


def supports_lazy_rows(rule: str, table: Tensor, hyperparameters: Hyperparameters) -> bool:
    """Whether it is faster to skip rows without a gradient and to bring them up to date later, and possible.

    So it is for "rmsprop" without weight decay, which does not move the values of such rows. In a large table it is for
    "adamw", and for "adam" without weight decay, if the first moment decays well before the second.
    """
    if rule == "rmsprop":
        return hyperparameters.weight_decay == 0
    decays = rule == "adam" and hyperparameters.weight_decay != 0
    fades = hyperparameters.momentum < hyperparameters.decay**1.5
    return rule in ("adam", "adamw") and not decays and fades and len(table) > _MIN_LAZY_ROWS


class LazyRows:
    """The pending updates of the rows of one table.

    Parameters
    ----------
    entry : abi.Parameter
        The table as a step is given it; it is filled in here, and read when rows are brought up to date.
    table : Tensor of shape (n_rows, dim)
        The parameter.
    mean, square : Tensor of shape (n_rows, dim), or None
        Its moments. Without a mean only the square has pending updates, and no values.
    """

    def __init__(self, entry: abi.Parameter, table: Tensor, mean: Tensor | None, square: Tensor | None):
        self.table = table
        self._entry = entry
        self._arrays = [tensor for tensor in (table, mean, square) if tensor is not None]
        self._last_step = torch.zeros(len(table), dtype=torch.int32)
        self._decay_log = None if mean is None else torch.zeros(_MAX_PENDING_STEPS, 4, dtype=torch.float64)
        entry.n_rows, entry.dim = table.shape
        entry.last_step, entry.decay_log = address(self._last_step), address(self._decay_log)
        entry.max_logged = _MAX_PENDING_STEPS

    def begin_batch(self, ids: Tensor) -> None:
        """Bring the rows up to date that a batch reads.

        Parameters
        ----------
        ids : Tensor of shape (n,)
            The rows, in any order and with repetitions.
        """
        if self._decay_log is not None:
            self._sync(ids.to(torch.int64).contiguous())

    def flush(self) -> None:
        """Bring all rows up to date."""
        self._sync(None)

    def _sync(self, ids: Tensor | None) -> None:
        entry, table = self._entry, self.table
        if not entry.n_logged:
            return
        if not all(is_plain(tensor) and tensor.shape == table.shape for tensor in self._arrays):
            raise RuntimeError(
                "A table was changed to something that the kernels don't read while updates of its rows were pending: "
                f"{table.dtype} of shape {tuple(table.shape)} on {table.device}. Call flush before."
            )
        entry.values = table.data_ptr()  # It may have been moved.
        n_ids = 0 if ids is None else len(ids)
        n_values = table.numel() if ids is None else n_ids * entry.dim
        n_useful = thread_count(n_threads(), n_values * UPDATE_COST)
        call = abi.SyncLazyRows(ctypes.addressof(entry), n_ids, address(ids), n_useful)
        loaded().seqclf_sync_lazy_rows(ctypes.byref(call))
