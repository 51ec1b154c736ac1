"""`Supervision`: all that label-informed inputs are told of the targets of the training rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._saved import Saved, State

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Calibration(NamedTuple):
    """How scores become estimates of the outputs of the network: ``offset + slope * scores``, from `low` to `high`.

    Parameters
    ----------
    slope : float or ndarray of shape (n_outputs,)
    offset : ndarray of shape (n_outputs,)
    loss : float
        The mean loss of the estimates.
    low, high : float or ndarray of shape (n_outputs,)
    """

    slope: float | NDArray[np.float64]
    offset: NDArray[np.float64]
    loss: float
    low: float | NDArray[np.float64] = -np.inf
    high: float | NDArray[np.float64] = np.inf

    def estimates(self, scores: NDArray[np.floating]) -> NDArray[np.floating]:
        """The estimates of scores (n_rows, n_outputs)."""
        return np.clip(self.offset + self.slope * scores, self.low, self.high)

    def to_state(self) -> State:
        """What is saved; no bound is None."""
        low, high = (None if np.isinf(each).all() else each for each in (self.low, self.high))
        return {"slope": self.slope, "offset": self.offset, "loss": float(self.loss), "low": low, "high": high}

    @classmethod
    def from_state(cls, saved: Saved, n_outputs: int) -> "Calibration":
        """The same estimates of so many outputs."""

        def each(name: str) -> float | NDArray[np.float64]:
            if isinstance(saved.value(name), float):
                return saved.number(name)
            return saved.array(name, np.float64, (n_outputs,))

        return cls(
            slope=each("slope"),
            offset=saved.array("offset", np.float64, (n_outputs,)),
            loss=saved.number("loss"),
            low=-np.inf if saved.value("low") is None else each("low"),
            high=np.inf if saved.value("high") is None else each("high"),
        )


@dataclass(frozen=True, eq=False)
class Supervision:
    """What is known of the targets of training rows.

    Parameters
    ----------
    targets : csr_array or ndarray of shape (n_rows, n_outputs)
        Sparse: memberships, how far each row belongs to each output, from 0 to 1. Dense: numbers, for each output with
        a mean of about 0 and a variance of about 1.
    weights : ndarray of shape (n_rows,)
        What each row counts, 0 where its target is not known; only the proportions matter.
    loss_weights : ndarray of shape (n_rows,)
        What each row counts in the loss, 0 or more.
    fold : ndarray of shape (n_rows,), int64
        The fold of each row, from 0.
    calibrate : callable
        Gives the `Calibration` of scores of the rows, (n_rows, n_outputs), that were computed without their own fold.
    exclusive : bool, default=True
        Whether a row belongs to one output, or to none: its memberships add up to 1 at most.
    """

    targets: "csr_array | NDArray[np.float64]"
    weights: NDArray[np.float64]
    loss_weights: NDArray[np.float64]
    fold: NDArray[np.int64]
    calibrate: Callable[[NDArray[np.floating]], Calibration]
    exclusive: bool = True

    @property
    def n_outputs(self) -> int:
        """Numbers that the network gives for each row."""
        return int(self.targets.shape[1])

    @property
    def memberships(self) -> "csr_array | None":
        """The targets, if they are memberships."""
        return None if isinstance(self.targets, np.ndarray) else self.targets

    @property
    def spread(self) -> NDArray[np.bool_]:
        """Which outputs can be learned without any one fold, (n_outputs,).

        An output whose rows, or whose other rows, are all in one of several folds can't: what is learned of it would be
        nothing in that fold and nowhere else, so that a row's target could be read there. Numbers always can.
        """
        n_outputs, n_folds = self.n_outputs, int(self.fold.max()) + 1
        if self.memberships is None:
            return np.ones(n_outputs, dtype=bool)
        entries = self.memberships.tocoo()
        cells = entries.col * n_folds + self.fold[entries.row]
        counts = [
            np.bincount(cells[kept], minlength=n_outputs * n_folds) for kept in (entries.data > 0, entries.data >= 1)
        ]
        members, whole_members = (each.reshape(n_outputs, n_folds) for each in counts)
        rows = np.bincount(self.fold[self.weights > 0], minlength=n_folds)
        several = ((members > 0).sum(axis=1) > 1) & ((whole_members < rows).sum(axis=1) > 1)
        return several | (np.count_nonzero(rows) == 1)
