"""`Classification`: one class for each sequence."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor
from torch.nn import functional

from seqclf._data.split import Strata
from seqclf._label_features.supervision import Calibration
from seqclf._tasks.task import Task, weighted_mean
from seqclf._validation.containers import shorten
from seqclf._validation.targets import check_labels, codes_of, refuse_one_class

Array = NDArray[Any]

# Models are fitted to scores of -1 and 1. With few rows that are told apart without an error no temperature is too high
# for the loss, and this one is high enough.
_MAX_SLOPE = 10.0
# So many scores tell the temperature.
_MAX_CALIBRATION = 1_000_000


class Classification(Task):
    """Cross-entropy of one logit for two classes, of one logit for each class for more.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        What the classes count in the loss, as in the estimators.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        The labels, sorted. Encoded targets are positions in it.
    """

    score_name = "accuracy"
    outputs_are_log_odds = True
    classes: Array

    def __init__(self, class_weight: Any = None):
        self.class_weight = class_weight
        self._balance: Array

    @property
    def n_outputs(self) -> int:
        """One for two classes, else one for each."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    def validate(self, y: Any, rows: Any, *, name: str = "y", rows_name: str = "X") -> Array:
        """One label for each row."""
        labels = check_labels(y, len(rows), name=name, rows_name=rows_name)
        if name == "y":  # Others are held against the classes of y.
            _refuse_other_labels(labels)
        return labels

    def refuse(self, y: Any, *, among: str) -> None:
        """There must be two classes."""
        refuse_one_class(np.unique(y), "y", among=among)

    def fit(self, y: Any) -> Array:
        """Learn the classes."""
        self.classes, codes = np.unique(y, return_inverse=True)
        refuse_one_class(self.classes, "y")
        return codes.astype(np.int64, copy=False)

    def encode(self, y: Any, *, name: str = "y") -> Array:
        """Positions in `classes`; any other label is an error."""
        return codes_of(y, self.classes, name=name)

    def refit(self, y: Any, before: Self) -> Array:
        """The labels must be those of the first fit."""
        codes = self.fit(y)
        if self.classes.tolist() != before.classes.tolist():
            raise ValueError(
                f"With warm_start=True, y must hold the classes of the first fit, {before.classes.tolist()!r}; "
                f"got {self.classes.tolist()!r}. Give rows of these classes, or set warm_start=False."
            )
        return codes

    def attributes(self) -> dict[str, Any]:
        """The classes."""
        return {"classes_": self.classes}

    def strata(self, y: Any) -> Strata:
        """The classes."""
        return Strata(np.unique(y, return_inverse=True)[1], "class", "classes")

    def memberships(self, targets: Any) -> csr_array:
        """For two classes whether it is the second one, else one column for each class."""
        members = np.flatnonzero(targets) if self.n_outputs == 1 else np.arange(len(targets))
        columns = np.zeros(len(members), dtype=np.int64) if self.n_outputs == 1 else targets
        return csr_array((np.ones(len(members)), (members, columns)), shape=(len(targets), self.n_outputs))

    def calibrate(self, scores: Array, targets: Any, weights: NDArray[np.float64]) -> Calibration:
        """Scores times a temperature, and a share of the logarithms of the prior odds, where the loss is the least.

        Neither is negative: scores that say nothing leave the prior alone.
        """
        counts = np.bincount(targets, weights=weights, minlength=len(self.classes))
        rows = np.random.RandomState(0).permutation(len(targets))[: max(_MAX_CALIBRATION // self.n_outputs, 1)]
        scores, targets, weights = scores[rows].astype(np.float64), targets[rows], weights[rows]
        log_shares = np.log(np.maximum(counts, counts[counts > 0].min() / 2) / counts.sum())
        priors = log_shares[1:] - log_shares[:1] if self.n_outputs == 1 else log_shares
        shares = weights / weights.sum()
        members = self.memberships(targets).toarray()

        def loss(parameters: Array) -> tuple[float, Array]:
            logits = parameters[0] * scores + parameters[1] * priors
            losses = -np.take_along_axis(self.log_probabilities(logits), targets[:, None], axis=1)[:, 0]
            errors = (self.probabilities(logits)[:, -self.n_outputs :] - members) * shares[:, None]
            return shares @ losses, np.array([(errors * scores).sum(), (errors * priors).sum()])

        found = minimize(loss, [1.0, 1.0], jac=True, method="L-BFGS-B", bounds=[(0, _MAX_SLOPE), (0, 1)])
        return Calibration(float(found.x[0]), found.x[1] * priors, float(found.fun))

    def fit_weights(self, targets: Any, weights: NDArray[np.float64]) -> None:
        """Learn what "balanced" stands for."""
        self._balance = compute_class_weight(
            self.class_weight, classes=self.classes, y=self.classes[targets], sample_weight=weights
        )
        in_class = np.bincount(targets, weights=weights * self._balance[targets])
        if np.count_nonzero(in_class) < 2:
            raise ValueError(
                f"class_weight={shorten(self.class_weight)} leaves fewer than 2 classes in y with a weight above 0; "
                "at least 2 are needed."
            )

    def loss_weights(self, targets: Any) -> NDArray[np.float64]:
        """The weight of the class of each row."""
        weights = self._balance[targets]
        if not weights.any():
            raise ValueError(
                f"class_weight={shorten(self.class_weight)} leaves no row with a weight above 0 in the "
                "training or the validation rows: give more classes a weight, or fit without validation."
            )
        return weights

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of each row."""
        if outputs.shape[1] == 1:
            targets = targets.to(outputs.dtype)
            return functional.binary_cross_entropy_with_logits(outputs.squeeze(1), targets, reduction="none")
        return functional.cross_entropy(outputs, targets, reduction="none")

    def summarise(self, outputs: Tensor) -> Tensor:
        """One number a row: the class of the largest logit, or the single logit as it is."""
        return outputs.squeeze(1) if outputs.shape[1] == 1 else outputs.argmax(dim=1)

    def score(self, summaries: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """The accuracy."""
        predicted = summaries > 0 if summaries.is_floating_point() else summaries
        return weighted_mean(predicted == targets, weights)

    def decode(self, outputs: Array) -> Array:
        """The label of the largest logit; of a single one, whether it is above 0."""
        positions = (outputs[:, 0] > 0).astype(int) if outputs.shape[1] == 1 else outputs.argmax(axis=1)
        return self.classes[positions]

    @staticmethod
    def probabilities(outputs: Array) -> Array:
        """Probabilities of the classes, shape (n_sequences, n_classes)."""
        return np.hstack((expit(-outputs), expit(outputs))) if outputs.shape[1] == 1 else softmax(outputs, axis=1)

    @staticmethod
    def log_probabilities(outputs: Array) -> Array:
        """Their logarithms, exact where the probabilities round to 0 or 1."""
        if outputs.shape[1] == 1:
            return np.hstack((log_expit(-outputs), log_expit(outputs)))
        return log_softmax(outputs, axis=1)


def _refuse_other_labels(labels: Array) -> None:
    """Refuse what scikit-learn does not take for classes, in its words, and say what to do."""
    try:
        check_classification_targets(labels)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{str(error).rstrip('.')}. y holds {shorten(labels[0])} in row 0: expected a class for each row, as text, "
            "whole numbers or booleans. Put numbers into classes first, e.g. with numpy.digitize; turn bytes and dates "
            "into text."
        ) from error
