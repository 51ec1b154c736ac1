"""Lazily updated rows: an update skips rows without a gradient, and their pending updates are applied later."""

import ctypes

import torch
from torch import Tensor

from seqclf._kernels.cpu.call import address, is_plain
from seqclf._kernels.cpu.update_rules import UPDATE_COST, Hyperparameters
from seqclf._native import abi
from seqclf._native.call import loaded, thread_count
from seqclf._native.threads import n_threads

# Below this size adam updates all rows faster than it syncs the rows of a batch, a few thousand.
_MIN_LAZY_ROWS = 40_000
# All rows are synced after this many updates. The log has an entry for each update since the last sync, and each update
# reads the whole log, which is at most 32 kB.
_MAX_PENDING_UPDATES = 1024


def supports_lazy_rows(rule: str, parameter: Tensor, hyperparameters: Hyperparameters) -> bool:
    """Whether it is possible and faster to skip rows without a gradient and to sync them later.

    This holds for "rmsprop" without weight decay, which does not change the values of such rows. For a large parameter
    it holds for "adamw", and for "adam" without weight decay, if the first moment decays well before the second.
    """
    if rule == "rmsprop":
        return hyperparameters.weight_decay == 0
    decays = rule == "adam" and hyperparameters.weight_decay != 0
    fades = hyperparameters.momentum < hyperparameters.decay**1.5
    return rule in ("adam", "adamw") and not decays and fades and len(parameter) > _MIN_LAZY_ROWS


class LazyRows:
    """The pending updates of the rows of one parameter.

    Parameters
    ----------
    entry : abi.Parameter
        The C struct that describes the parameter in an update. It is filled in here, and is also used to sync rows.
    parameter : Tensor of shape (n_rows, dim)
        The parameter.
    mean, square : Tensor of shape (n_rows, dim), or None
        Its moments. Without a mean only the square has pending updates; the values have none.
    """

    def __init__(self, entry: abi.Parameter, parameter: Tensor, mean: Tensor | None, square: Tensor | None):
        self.parameter = parameter
        self._entry = entry
        self._arrays = [tensor for tensor in (parameter, mean, square) if tensor is not None]
        self._last_update = torch.zeros(len(parameter), dtype=torch.int32)
        self._decay_log = None if mean is None else torch.zeros(_MAX_PENDING_UPDATES, 4, dtype=torch.float64)
        entry.n_rows, entry.dim = parameter.shape
        entry.last_update, entry.decay_log = address(self._last_update), address(self._decay_log)
        entry.max_logged = _MAX_PENDING_UPDATES

    def begin_batch(self, ids: Tensor) -> None:
        """Sync the rows that a batch uses.

        Parameters
        ----------
        ids : Tensor of shape (n,)
            Indices of the rows, in any order and with repetitions.
        """
        if self._decay_log is not None:
            self._sync(ids.to(torch.int64).contiguous())

    def flush(self) -> None:
        """Sync all rows."""
        self._sync(None)

    def _sync(self, ids: Tensor | None) -> None:
        entry, parameter = self._entry, self.parameter
        if not entry.n_logged:
            return
        if not all(is_plain(tensor) and tensor.shape == parameter.shape for tensor in self._arrays):
            raise RuntimeError(
                "A parameter was changed to something that the kernels do not support while updates of its rows were "
                f"pending: {parameter.dtype} of shape {tuple(parameter.shape)} on {parameter.device}. Call flush first."
            )
        entry.values = parameter.data_ptr()  # Its memory may have been replaced.
        n_ids = 0 if ids is None else len(ids)
        n_values = parameter.numel() if ids is None else n_ids * entry.dim
        n_useful = thread_count(n_threads(), n_values * UPDATE_COST)
        call = abi.SyncLazyRows(ctypes.addressof(entry), n_ids, address(ids), n_useful)
        loaded().seqclf_sync_lazy_rows(ctypes.byref(call))
