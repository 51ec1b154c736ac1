"""`Supervision`: all information about the targets of the training rows that label features use."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._saved import Saved, State

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Calibration(NamedTuple):
    """Turns scores into estimates of the network's outputs: ``offset + slope * scores``, clipped to [`low`, `high`].

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
        """The state to save; None for a bound means that there is none."""
        low, high = (None if np.isinf(each).all() else each for each in (self.low, self.high))
        return {"slope": self.slope, "offset": self.offset, "loss": float(self.loss), "low": low, "high": high}

    @classmethod
    def from_state(cls, saved: Saved, n_outputs: int) -> "Calibration":
        """Restore the calibration of `n_outputs` outputs."""

        def value_or_array(name: str) -> float | NDArray[np.float64]:
            if isinstance(saved.value(name), float):
                return saved.number(name)
            return saved.array(name, np.float64, (n_outputs,))

        return cls(
            slope=value_or_array("slope"),
            offset=saved.array("offset", np.float64, (n_outputs,)),
            loss=saved.number("loss"),
            low=-np.inf if saved.value("low") is None else value_or_array("low"),
            high=np.inf if saved.value("high") is None else value_or_array("high"),
        )


@dataclass(frozen=True, eq=False)
class Supervision:
    """The targets of training rows, with weights and folds.

    Parameters
    ----------
    targets : csr_array or ndarray of shape (n_rows, n_outputs)
        Sparse: the membership of each row in each output, from 0 to 1. Dense: values with a mean of about 0 and a
        variance of about 1 for each output.
    weights : ndarray of shape (n_rows,)
        The weight of each row, 0 if its target is unknown; only the proportions matter.
    loss_weights : ndarray of shape (n_rows,)
        The weight of each row in the loss, not negative.
    fold : ndarray of shape (n_rows,), int64
        The fold of each row, from 0.
    calibrate : callable
        Returns the `Calibration` for out-of-fold scores of the rows, (n_rows, n_outputs).
    exclusive : bool, default=True
        Whether each row belongs to at most one output: its memberships add up to at most 1.
    """

    targets: "csr_array | NDArray[np.float64]"
    weights: NDArray[np.float64]
    loss_weights: NDArray[np.float64]
    fold: NDArray[np.int64]
    calibrate: Callable[[NDArray[np.floating]], Calibration]
    exclusive: bool = True

    @property
    def n_outputs(self) -> int:
        """The number of outputs of the network for each row."""
        return int(self.targets.shape[1])

    @property
    def memberships(self) -> "csr_array | None":
        """The targets if they are memberships, else None."""
        return None if isinstance(self.targets, np.ndarray) else self.targets

    @property
    def is_learnable(self) -> NDArray[np.bool_]:
        """Which outputs can be fitted without any one of the folds, (n_outputs,).

        If all members of an output, or all other rows, are in one of several folds, it can't: the features of that fold
        would lack all information about the output, which would reveal the targets. Numeric targets always can.
        """
        n_outputs, n_folds = self.n_outputs, int(self.fold.max()) + 1
        if self.memberships is None:
            return np.ones(n_outputs, dtype=bool)
        entries = self.memberships.tocoo()
        cells = entries.col * n_folds + self.fold[entries.row]
        counts = [
            np.bincount(cells[is_counted], minlength=n_outputs * n_folds)
            for is_counted in (entries.data > 0, entries.data >= 1)
        ]
        members, full_members = (count.reshape(n_outputs, n_folds) for count in counts)
        rows = np.bincount(self.fold[self.weights > 0], minlength=n_folds)
        in_several_folds = ((members > 0).sum(axis=1) > 1) & ((full_members < rows).sum(axis=1) > 1)
        return in_several_folds | (np.count_nonzero(rows) == 1)
