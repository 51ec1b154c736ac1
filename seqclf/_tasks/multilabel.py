"""`Multilabel`: any number of labels for each sequence."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._data.split import Strata
from seqclf._numeric import expit, log_expit
from seqclf._saved import Saved, State
from seqclf._tasks.calibration import binary_losses, fit_log_odds, sample_rows
from seqclf._tasks.task import Task, weighted_mean
from seqclf._validation.containers import shorten
from seqclf._validation.indicators import validate_indicator
from seqclf._validation.numbers import counted

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch import Tensor

    from seqclf._label_features.supervision import Calibration

Array = NDArray[Any]

# Maximum number of rows used for the calibration; more would take longer and not improve it.
_MAX_CALIBRATION = 100_000


class Multilabel(Task):
    """Mean binary cross-entropy of one logit per label.

    Attributes
    ----------
    classes : ndarray of shape (n_labels,)
        The indices of the labels, which are the columns of y.
    """

    kind = "several labels per row"
    score_name = "accuracy"
    outputs_are_log_odds = True
    classes: Array

    @property
    def n_outputs(self) -> int:
        """One per label."""
        return len(self.classes)

    def validate(self, y: Any, rows: Any, *, name: str = "y", rows_name: str = "X") -> Array:
        """Check that y is an indicator matrix, which is 1 where a row has a label."""
        return validate_indicator(y, len(rows), name=name, rows_name=rows_name)

    def fit(self, y: Any, weights: Any) -> Array:
        """Fit the number of labels, and encode the indicator matrix."""
        self.classes = np.arange(y.shape[1])
        return y.astype(np.float32)

    def encode(self, y: Any, *, name: str = "y") -> Array:
        """The indicator matrix in float32; another number of labels raises an error."""
        if y.shape[1] != self.n_outputs:
            raise ValueError(
                f"{name} has {counted(y.shape[1], 'column')}, but y of fit had {self.n_outputs}: "
                "expected one for each label."
            )
        return y.astype(np.float32)

    def refit(self, y: Any, before: Self) -> Array:
        """Encode labels; their number must be the same as in the first fit."""
        if y.shape[1] != before.n_outputs:
            raise ValueError(
                f"With warm_start=True, y must have a column for each of the {before.n_outputs} labels of the first "
                f"fit; got {y.shape[1]}. Set warm_start=False for another number of labels."
            )
        return self.fit(y, None)

    def fit_first_chunk(self, y: Any, weights: Any, classes: Any) -> Array:
        """Fit the number of labels; `classes` must be None or the column indices of y."""
        if classes is not None and not np.array_equal(classes, np.arange(y.shape[1])):
            raise ValueError(
                f"classes={shorten(classes)}, but y is an indicator matrix of {y.shape[1]} labels: leave classes=None."
            )
        return self.fit(y, weights)

    def continue_from(self, before: Self, classes: Any) -> None:
        """Keep the labels of the earlier chunks."""
        super().continue_from(before, classes)
        if classes is not None and not np.array_equal(classes, self.classes):
            raise ValueError(
                f"classes={shorten(classes)}, but there are {len(self.classes)} labels: leave classes=None."
            )

    def attributes(self) -> dict[str, Any]:
        """The indices of the labels."""
        return {"classes_": self.classes}

    def strata(self, y: Any) -> Strata:
        """The stratum of a row is its rarest label; rows without labels form a stratum too."""
        rarest_first = np.argsort(y.sum(axis=0), kind="stable")
        has_any, rarest = y.any(axis=1), (y[:, rarest_first] > 0).argmax(axis=1)
        strata = np.unique(np.where(has_any, rarest, -1), return_inverse=True)[1]
        return Strata(strata, "label", "labels", needed=False)

    def supervision_targets(self, targets: Any) -> "csr_array":
        """Which labels each sequence has."""
        from scipy.sparse import csr_array

        return csr_array(targets.astype(np.float64))

    def calibrate(self, scores: Array, targets: Any, weights: NDArray[np.float64]) -> "Calibration":
        """For each label separately, scores times a temperature, plus a weight times its prior log-odds."""
        from seqclf._label_features.supervision import Calibration

        frequencies = np.average(targets, axis=0, weights=weights)  # without BLAS: its sums depend on the threads
        # A label of no row, or of every row, is treated as if half an additional row were different.
        lowest = 0.5 / (len(targets) + 1)
        frequencies = np.clip(frequencies, lowest, 1 - lowest)
        priors = np.log(frequencies) - np.log1p(-frequencies)
        rows = sample_rows(len(targets), _MAX_CALIBRATION)
        scores, targets, weights = scores[rows].astype(np.float64), targets[rows].astype(np.float64), weights[rows]
        fits = [
            fit_log_odds(scores[:, [i]], priors[[i]], weights, binary_losses(targets[:, [i]]))
            for i in range(self.n_outputs)
        ]
        temperatures, prior_weights, losses = map(np.array, zip(*fits, strict=True))
        return Calibration(temperatures, prior_weights * priors, float(losses.mean()))

    def losses(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        """For each row, the mean cross-entropy over its labels."""
        from torch.nn import functional

        targets = targets.to(outputs.dtype)
        return functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(dim=1)

    def summarise(self, outputs: "Tensor") -> "Tensor":
        """Whether each label is predicted."""
        return outputs > 0

    def score(self, summaries: "Tensor", targets: "Tensor", weights: "Tensor") -> "Tensor":
        """The fraction of rows whose predicted labels are all correct (subset accuracy)."""
        return weighted_mean((summaries == (targets > 0)).all(dim=1), weights)

    def decode(self, outputs: Array) -> Array:
        """An indicator matrix of the labels with a probability above 0.5."""
        return (outputs > 0).astype(np.int64)

    @staticmethod
    def probabilities(outputs: Array) -> Array:
        """The probability of each label, shape (n_sequences, n_labels)."""
        return expit(outputs)

    @staticmethod
    def log_probabilities(outputs: Array) -> Array:
        """Log-probabilities, accurate where the probabilities round to 0 or 1."""
        return log_expit(outputs)

    def to_state(self) -> State:
        """The indices of the labels."""
        return {"kind": "multilabel", "classes": self.classes.astype(np.int64)}

    @classmethod
    def from_state(cls, saved: Saved) -> Self:
        """The task of a saved state."""
        indices = saved.array("classes", np.int64, (None,))
        if len(indices) < 2 or (indices != np.arange(len(indices))).any():
            saved.raise_invalid("classes", "the indices of at least two labels, starting at 0")
        task = cls()
        task.classes = np.arange(len(indices))
        return task
