"""`Supervision`: all that label-informed inputs are told of the targets of the training rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array


class Calibration(NamedTuple):
    """How scores become estimates of the outputs of the network: ``offset + slope * scores``.

    Parameters
    ----------
    slope : float
    offset : ndarray of shape (n_outputs,)
    loss : float
        The mean loss of the estimates.
    """

    slope: float
    offset: NDArray[np.float64]
    loss: float


@dataclass(frozen=True, eq=False)
class Supervision:
    """What is known of the targets of training rows.

    Parameters
    ----------
    memberships : csr_array of shape (n_rows, n_outputs)
        How far each row belongs to each output, from 0 to 1.
    weights : ndarray of shape (n_rows,)
        What each row counts, above 0; only the proportions matter.
    loss_weights : ndarray of shape (n_rows,)
        What each row counts in the loss, 0 or more.
    fold : ndarray of shape (n_rows,), int64
        The fold of each row, from 0.
    calibrate : callable
        Gives the `Calibration` of scores of the rows, (n_rows, n_outputs), that were computed without their own fold.
    """

    memberships: csr_array
    weights: NDArray[np.float64]
    loss_weights: NDArray[np.float64]
    fold: NDArray[np.int64]
    calibrate: Callable[[NDArray[np.floating]], Calibration]

    @property
    def spread(self) -> NDArray[np.bool_]:
        """Which outputs can be learned without any one fold, (n_outputs,).

        An output whose rows, or whose other rows, are all in one of several folds can't: what is learned of it would be
        nothing in that fold and nowhere else, so that a row's target could be read there.
        """
        n_outputs, n_folds = self.memberships.shape[1], int(self.fold.max()) + 1
        entries = self.memberships.tocoo()
        cells = entries.col * n_folds + self.fold[entries.row]
        counts = [
            np.bincount(cells[kept], minlength=n_outputs * n_folds) for kept in (entries.data > 0, entries.data >= 1)
        ]
        members, whole_members = (each.reshape(n_outputs, n_folds) for each in counts)
        rows = np.bincount(self.fold, minlength=n_folds)
        several = ((members > 0).sum(axis=1) > 1) & ((whole_members < rows).sum(axis=1) > 1)
        return several | (np.count_nonzero(rows) == 1)
