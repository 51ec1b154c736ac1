"""`Classification`: one class for each sequence."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._data.split import Strata
from seqclf._numeric import expit, log_expit, log_softmax, softmax
from seqclf._saved import Saved, State
from seqclf._tasks.calibration import binary_losses, fit_log_odds, sample_rows
from seqclf._tasks.saved_classes import classes_from_state, classes_to_state
from seqclf._tasks.task import Task, weighted_mean
from seqclf._validation.containers import shorten
from seqclf._validation.targets import (
    MIN_WEIGHT_RATIO,
    check_two_classes,
    class_indices,
    validate_classes,
    validate_labels,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch import Tensor

    from seqclf._label_features.supervision import Calibration

Array = NDArray[Any]

# Maximum number of scores used for the calibration; more would take longer and not improve it.
_MAX_CALIBRATION = 1_000_000


class Classification(Task):
    """Cross-entropy of one logit for two classes, or of one logit per class for more.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        Weights of the classes in the loss, as in the estimators.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        The sorted labels. Encoded targets are indices into this array.
    """

    kind = "one class per row"
    score_name = "accuracy"
    outputs_are_log_odds = True
    outputs_are_exclusive = True
    classes: Array

    def __init__(self, class_weight: Any = None):
        self.class_weight = class_weight
        self._class_weights: Array

    @property
    def n_outputs(self) -> int:
        """One for two classes, otherwise one per class."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    def validate(self, y: Any, rows: Any, *, name: str = "y", rows_name: str = "X") -> Array:
        """Check that there is one label for each row."""
        labels = validate_labels(y, len(rows), name=name, rows_name=rows_name)
        if labels.dtype.kind == "f" and labels.dtype.itemsize > 8:
            raise ValueError(
                f"{name} has the dtype {labels.dtype}, which can't be saved: use float64, whole numbers or text."
            )
        if name == "y":  # the labels of y_val must be classes of y
            _check_label_type(labels)
        return labels

    def check_trainable(self, y: Any, *, among: str) -> None:
        """Raise an error for fewer than two classes."""
        check_two_classes(np.unique(y), "y", among=among)

    def fit(self, y: Any, weights: Any) -> Array:
        """Fit the classes, and encode the labels."""
        self.classes, codes = np.unique(y, return_inverse=True)
        check_two_classes(self.classes, "y")
        return codes.astype(np.int64, copy=False)

    def encode(self, y: Any, *, name: str = "y") -> Array:
        """Indices into `classes`; any other label raises an error."""
        return class_indices(y, self.classes, name=name)

    def refit(self, y: Any, before: Self) -> Array:
        """Encode labels, whose classes must be the same as in the first fit."""
        codes = self.fit(y, None)
        if self.classes.tolist() != before.classes.tolist():
            raise ValueError(
                f"With warm_start=True, y must hold the classes of the first fit, {before.classes.tolist()!r}; "
                f"got {self.classes.tolist()!r}. Pass rows of these classes, or set warm_start=False."
            )
        return codes

    def fit_first_chunk(self, y: Any, weights: Any, classes: Any) -> Array:
        """Set the classes, some of which can be missing in the first chunk, and encode the labels."""
        self.set_classes(classes)
        return self.encode(y)

    def set_classes(self, classes: Any) -> None:
        """Set the classes of a stream, and their weights."""
        self.classes = validate_classes(classes)
        self._set_class_weights()

    def continue_from(self, before: Self, classes: Any) -> None:
        """Keep the classes of the earlier chunks; `class_weight` can change."""
        if classes is not None and not np.array_equal(validate_classes(classes), before.classes):
            raise ValueError(
                f"classes={shorten(classes)} differs from the earlier {shorten(before.classes.tolist())}: classes of a "
                "stream can't change. Leave classes=None, or start with a new estimator."
            )
        self.classes, self._class_weights = before.classes, before._class_weights
        # Unless "balanced", the weights depend on class_weight and the classes only.
        if not (self._is_balanced and before._is_balanced):
            self._set_class_weights()

    @property
    def _is_balanced(self) -> bool:
        return isinstance(self.class_weight, str)

    def _set_class_weights(self) -> None:
        if self._is_balanced:
            raise ValueError(
                "class_weight='balanced' needs the classes of all rows, but partial_fit sees only some of them: use a "
                "dict of class -> weight, with the weights of sklearn.utils.class_weight.compute_class_weight."
            )
        codes = np.arange(len(self.classes))
        self._class_weights = self._compute_class_weights(codes, np.ones(len(codes)))
        if np.count_nonzero(self._class_weights) < 2:
            raise ValueError(
                f"class_weight={shorten(self.class_weight)} leaves fewer than 2 of the classes with a weight above 0; "
                "at least 2 are needed."
            )

    def attributes(self) -> dict[str, Any]:
        """The classes."""
        return {"classes_": self.classes}

    def strata(self, y: Any) -> Strata:
        """One stratum for each class."""
        return Strata(np.unique(y, return_inverse=True)[1], "class", "classes")

    def supervision_targets(self, targets: Any) -> "csr_array":
        """For two classes, one column for the second one; otherwise one column for each class."""
        from scipy.sparse import csr_array

        members = np.flatnonzero(targets) if self.n_outputs == 1 else np.arange(len(targets))
        columns = np.zeros(len(members), dtype=np.int64) if self.n_outputs == 1 else targets
        return csr_array((np.ones(len(members)), (members, columns)), shape=(len(targets), self.n_outputs))

    def calibrate(self, scores: Array, targets: Any, weights: NDArray[np.float64]) -> "Calibration":
        """Scores times a temperature, plus a weight times the prior log-odds, both fitted to the loss."""
        from seqclf._label_features.supervision import Calibration

        counts = np.bincount(targets, weights=weights, minlength=len(self.classes))
        rows = sample_rows(len(targets), _MAX_CALIBRATION // self.n_outputs)
        scores, targets, weights = scores[rows].astype(np.float64), targets[rows], weights[rows]
        log_frequencies = np.log(np.maximum(counts, counts[counts > 0].min() / 2) / counts.sum())
        priors = log_frequencies[1:] - log_frequencies[:1] if self.n_outputs == 1 else log_frequencies
        members = self.supervision_targets(targets).toarray()

        def losses(logits: Array) -> tuple[Array, Array]:
            row_losses = -np.take_along_axis(log_softmax(logits, axis=1), targets[:, None], axis=1)[:, 0]
            return row_losses, softmax(logits, axis=1) - members

        found = fit_log_odds(scores, priors, weights, binary_losses(members) if self.n_outputs == 1 else losses)
        return Calibration(found.temperature, found.prior_weight * priors, found.loss)

    def fit_weights(self, targets: Any, weights: NDArray[np.float64]) -> None:
        """Fit the weights of the classes."""
        self._class_weights = self._compute_class_weights(targets, weights)
        class_totals = np.bincount(targets, weights=weights * self._class_weights[targets])
        if np.count_nonzero(class_totals) < 2:
            raise ValueError(
                f"class_weight={shorten(self.class_weight)} leaves fewer than 2 classes in y with a weight above 0; "
                "at least 2 are needed."
            )

    def _compute_class_weights(self, targets: Any, weights: NDArray[np.float64]) -> Array:
        if isinstance(self.class_weight, Mapping):
            by_label, labels = dict(self.class_weight), self.classes.tolist()
            unknown = [label for label in by_label if label not in labels]
            if unknown and any(label not in by_label for label in labels):
                # The message starts with the text of scikit-learn's own message, so that a search finds both.
                raise ValueError(
                    f"The classes, {shorten([label for label in labels if label not in by_label])}, are not in "
                    f"class_weight, whose keys {shorten(unknown)} are not in y: the keys must be labels of y, with the "
                    "same type. The default weight of a class is 1."
                )
            class_weights = np.array([by_label.get(label, 1.0) for label in labels], dtype=np.float64)
        else:
            from sklearn.utils.class_weight import compute_class_weight

            class_weights = compute_class_weight(
                self.class_weight, classes=self.classes, y=self.classes[targets], sample_weight=weights
            )
        lightest = int(np.argmin(np.where(class_weights > 0, class_weights, np.inf)))
        heaviest = int(np.argmax(class_weights))
        if class_weights[lightest] < class_weights[heaviest] * MIN_WEIGHT_RATIO:
            raise ValueError(
                f"class_weight={shorten(self.class_weight)} ranges from {class_weights[lightest]!s} for the class "
                f"{shorten(self.classes[lightest])} to {class_weights[heaviest]!s} for "
                f"{shorten(self.classes[heaviest])}: the smallest weight above 0 must be at least {MIN_WEIGHT_RATIO} "
                "times the largest. The default weight of a class is 1."
            )
        # Only the proportions matter, and sums of extreme weights would overflow or underflow.
        return class_weights if 1e-100 < class_weights.max() < 1e100 else class_weights / class_weights.max()

    def loss_weights(self, targets: Any) -> NDArray[np.float64]:
        """The weight of the class of each row."""
        weights = self._class_weights[targets]
        if not weights.any():
            raise ValueError(
                f"class_weight={shorten(self.class_weight)} leaves no row with a weight above 0 in the "
                "training or the validation rows: set a weight above 0 for more classes, or fit without validation."
            )
        return weights

    def losses(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        """Cross-entropy of each row."""
        from torch.nn import functional

        if outputs.shape[1] == 1:
            targets = targets.to(outputs.dtype)
            return functional.binary_cross_entropy_with_logits(outputs.squeeze(1), targets, reduction="none")
        return functional.cross_entropy(outputs, targets, reduction="none")

    def summarise(self, outputs: "Tensor") -> "Tensor":
        """For each row, the class of the largest logit, or the logit itself if there is only one."""
        return outputs.squeeze(1) if outputs.shape[1] == 1 else outputs.argmax(dim=1)

    def score(self, summaries: "Tensor", targets: "Tensor", weights: "Tensor") -> "Tensor":
        """The accuracy."""
        predicted = summaries > 0 if summaries.is_floating_point() else summaries
        return weighted_mean(predicted == targets, weights)

    def decode(self, outputs: Array) -> Array:
        """The label of the largest logit; with a single logit, the second label if it is above 0."""
        indices = (outputs[:, 0] > 0).astype(int) if outputs.shape[1] == 1 else outputs.argmax(axis=1)
        return self.classes[indices]

    @staticmethod
    def probabilities(outputs: Array) -> Array:
        """Probabilities of the classes, shape (n_sequences, n_classes)."""
        return np.hstack((expit(-outputs), expit(outputs))) if outputs.shape[1] == 1 else softmax(outputs, axis=1)

    @staticmethod
    def log_probabilities(outputs: Array) -> Array:
        """Log-probabilities, accurate where the probabilities round to 0 or 1."""
        if outputs.shape[1] == 1:
            return np.hstack((log_expit(-outputs), log_expit(outputs)))
        return log_softmax(outputs, axis=1)

    def to_state(self) -> State:
        """The classes and their weights in the loss, without `class_weight`, which is a parameter of the estimator."""
        return {
            "kind": "classification",
            "classes": classes_to_state(self.classes),
            "weights": self._class_weights,
            "balanced": self._is_balanced,
        }

    @classmethod
    def from_state(cls, saved: Saved) -> Self:
        """The task of a saved state, where `class_weight` is "balanced" or None, not the original dict."""
        task = cls("balanced" if saved.boolean("balanced") else None)
        task.classes = classes_from_state(saved, "classes")
        task._class_weights = saved.array("weights", np.float64, (len(task.classes),), low=0)
        return task


def _check_label_type(labels: Array) -> None:
    """Raise scikit-learn's error for labels that are not classes, with advice."""
    from sklearn.utils.multiclass import check_classification_targets

    try:
        check_classification_targets(labels)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{str(error).rstrip('.')}. y holds {shorten(labels[0])} in row 0: expected a class for each row, as text, "
            "whole numbers or booleans. Convert numbers to classes, e.g. with numpy.digitize, and bytes and dates to "
            "text."
        ) from error
