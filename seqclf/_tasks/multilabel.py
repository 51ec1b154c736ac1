"""`Multilabel`: any number of labels for each sequence."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._data.split import Strata
from seqclf._numeric import expit, log_expit
from seqclf._saved import Saved, State
from seqclf._tasks.calibration import binary_losses, fit_log_odds, sample_of_rows
from seqclf._tasks.task import Task, weighted_mean
from seqclf._validation.containers import shorten
from seqclf._validation.indicators import check_indicator

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch import Tensor

    from seqclf._label_features.supervision import Calibration

Array = NDArray[Any]

# The largest number of rows whose scores are calibrated: more take time and tell nothing new.
_MAX_CALIBRATION = 100_000


class Multilabel(Task):
    """Mean binary cross-entropy of one logit for each label.

    Attributes
    ----------
    classes : ndarray of shape (n_labels,)
        The numbers of the labels, which are the columns of y.
    """

    kind = "several labels a row"
    score_name = "accuracy"
    outputs_are_log_odds = True
    classes: Array

    @property
    def n_outputs(self) -> int:
        """One for each label."""
        return len(self.classes)

    def validate(self, y: Any, rows: Any, *, name: str = "y", rows_name: str = "X") -> Array:
        """An indicator matrix, 1 where a row has a label."""
        return check_indicator(y, len(rows), name=name, rows_name=rows_name)

    def fit(self, y: Any, weights: Any) -> Array:
        """Learn how many labels there are."""
        self.classes = np.arange(y.shape[1])
        return y.astype(np.float32)

    def encode(self, y: Any, *, name: str = "y") -> Array:
        """The same as numbers of the network; another number of labels is an error."""
        if y.shape[1] != self.n_outputs:
            raise ValueError(
                f"{name} has {y.shape[1]} columns, but y of fit has {self.n_outputs}: expected one for each label."
            )
        return y.astype(np.float32)

    def refit(self, y: Any, before: Self) -> Array:
        """The number of labels must be that of the first fit."""
        if y.shape[1] != before.n_outputs:
            raise ValueError(
                f"With warm_start=True, y must have a column for each of the {before.n_outputs} labels of the first "
                f"fit; got {y.shape[1]}. Set warm_start=False for another number of labels."
            )
        return self.fit(y, None)

    def start(self, y: Any, weights: Any, classes: Any) -> Array:
        """The columns of y are the labels; `classes` may be their numbers."""
        if classes is not None and not np.array_equal(classes, np.arange(y.shape[1])):
            raise ValueError(
                f"classes={shorten(classes)}, but y is an indicator matrix of {y.shape[1]} labels: leave classes=None."
            )
        return self.fit(y, weights)

    def follow(self, before: Self, classes: Any) -> None:
        """The labels stay as they were."""
        super().follow(before, classes)
        if classes is not None and not np.array_equal(classes, self.classes):
            raise ValueError(
                f"classes={shorten(classes)}, but there are {len(self.classes)} labels: leave classes=None."
            )

    def attributes(self) -> dict[str, Any]:
        """The numbers of the labels."""
        return {"classes_": self.classes}

    def strata(self, y: Any) -> Strata:
        """Of the labels of a row the one that the fewest rows have; rows without a label are a stratum too."""
        rarest = np.argsort(y.sum(axis=0), kind="stable")
        has_any, first = y.any(axis=1), (y[:, rarest] > 0).argmax(axis=1)
        of_rows = np.unique(np.where(has_any, first, -1), return_inverse=True)[1]
        return Strata(of_rows, "label", "labels", needed=False)

    def supervision_targets(self, targets: Any) -> "csr_array":
        """Which labels each sequence has."""
        from scipy.sparse import csr_array

        return csr_array(targets.astype(np.float64))

    def calibrate(self, scores: Array, targets: Any, weights: NDArray[np.float64]) -> "Calibration":
        """Each label by itself: scores times a temperature, and a share of its prior log-odds."""
        from seqclf._label_features.supervision import Calibration

        shares = np.average(targets, axis=0, weights=weights)  # Without BLAS, whose sums depend on its threads.
        # Of a label that no row has, or every row, as much is known as if half a row were otherwise.
        least = 0.5 / (len(targets) + 1)
        shares = np.clip(shares, least, 1 - least)
        priors = np.log(shares) - np.log1p(-shares)
        rows = sample_of_rows(len(targets), _MAX_CALIBRATION)
        scores, targets, weights = scores[rows].astype(np.float64), targets[rows].astype(np.float64), weights[rows]
        found = [
            fit_log_odds(scores[:, [i]], priors[[i]], weights, binary_losses(targets[:, [i]]))
            for i in range(self.n_outputs)
        ]
        temperatures, of_priors, losses = map(np.array, zip(*found, strict=True))
        return Calibration(temperatures, of_priors * priors, float(losses.mean()))

    def losses(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        """The mean over the labels of each row's cross-entropies."""
        from torch.nn import functional

        targets = targets.to(outputs.dtype)
        return functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(dim=1)

    def summarise(self, outputs: "Tensor") -> "Tensor":
        """Which labels are predicted."""
        return outputs > 0

    def score(self, summaries: "Tensor", targets: "Tensor", weights: "Tensor") -> "Tensor":
        """The share of the rows whose labels are all predicted right, and no others."""
        return weighted_mean((summaries == (targets > 0)).all(dim=1), weights)

    def decode(self, outputs: Array) -> Array:
        """An indicator matrix of the labels whose probability is above a half."""
        return (outputs > 0).astype(np.int64)

    @staticmethod
    def probabilities(outputs: Array) -> Array:
        """The probability of each label, shape (n_sequences, n_labels)."""
        return expit(outputs)

    @staticmethod
    def log_probabilities(outputs: Array) -> Array:
        """Their logarithms, exact where the probabilities round to 0 or 1."""
        return log_expit(outputs)

    def to_state(self) -> State:
        """The numbers of the labels."""
        return {"kind": "multilabel", "classes": self.classes.astype(np.int64)}

    @classmethod
    def from_state(cls, saved: Saved) -> Self:
        """The task of a saved state."""
        numbers = saved.array("classes", np.int64, (None,))
        if len(numbers) < 2 or (numbers != np.arange(len(numbers))).any():
            saved.refuse("classes", "the numbers of at least two labels, from 0 on")
        task = cls()
        task.classes = np.arange(len(numbers))
        return task
