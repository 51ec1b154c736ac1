"""`Classification`: one class for each sequence."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._data.split import Strata
from seqclf._numeric import expit, log_expit, log_softmax, softmax
from seqclf._saved import Saved, State
from seqclf._tasks.calibration import binary_losses, fit_log_odds, sample_of_rows
from seqclf._tasks.saved_classes import read_saved_classes, saved_classes
from seqclf._tasks.task import Task, weighted_mean
from seqclf._validation.containers import shorten
from seqclf._validation.targets import SMALLEST_SHARE, check_labels, codes_of, read_classes, refuse_one_class

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch import Tensor

    from seqclf._label_features.supervision import Calibration

Array = NDArray[Any]

# The largest number of scores that are calibrated: more take time and tell nothing new.
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

    kind = "one class a row"
    score_name = "accuracy"
    outputs_are_log_odds = True
    outputs_are_exclusive = True
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
        if labels.dtype.kind == "f" and labels.dtype.itemsize > 8:
            raise ValueError(
                f"{name} is of {labels.dtype}, which no file can hold: use float64, whole numbers or text."
            )
        if name == "y":  # Others are held against the classes of y.
            _refuse_other_labels(labels)
        return labels

    def refuse(self, y: Any, *, among: str) -> None:
        """There must be two classes."""
        refuse_one_class(np.unique(y), "y", among=among)

    def fit(self, y: Any, weights: Any) -> Array:
        """Learn the classes."""
        self.classes, codes = np.unique(y, return_inverse=True)
        refuse_one_class(self.classes, "y")
        return codes.astype(np.int64, copy=False)

    def encode(self, y: Any, *, name: str = "y") -> Array:
        """Positions in `classes`; any other label is an error."""
        return codes_of(y, self.classes, name=name)

    def refit(self, y: Any, before: Self) -> Array:
        """The labels must be those of the first fit."""
        codes = self.fit(y, None)
        if self.classes.tolist() != before.classes.tolist():
            raise ValueError(
                f"With warm_start=True, y must hold the classes of the first fit, {before.classes.tolist()!r}; "
                f"got {self.classes.tolist()!r}. Give rows of these classes, or set warm_start=False."
            )
        return codes

    def start(self, y: Any, weights: Any, classes: Any) -> Array:
        """The classes are given, because the first chunk may lack some of them."""
        self.set_classes(classes)
        return self.encode(y)

    def set_classes(self, classes: Any) -> None:
        """Take the classes of a stream, and their weights."""
        self.classes = read_classes(classes)
        self._weigh_classes()

    def follow(self, before: Self, classes: Any) -> None:
        """The classes stay as they were; `class_weight` may change."""
        if classes is not None and not np.array_equal(read_classes(classes), before.classes):
            raise ValueError(
                f"classes={shorten(classes)} is not what it was before, {shorten(before.classes.tolist())}: classes of "
                "a stream can't change. Leave classes=None, or begin with a new estimator."
            )
        self.classes, self._balance = before.classes, before._balance
        # Other weights than those of "balanced" depend on the classes alone.
        if not (self._is_balanced and before._is_balanced):
            self._weigh_classes()

    @property
    def _is_balanced(self) -> bool:
        return isinstance(self.class_weight, str)

    def _weigh_classes(self) -> None:
        if self._is_balanced:
            raise ValueError(
                "class_weight='balanced' needs the classes of all rows, and partial_fit sees a part of them: give a "
                "dict of class -> weight, as sklearn.utils.class_weight.compute_class_weight makes of y."
            )
        each = np.arange(len(self.classes))
        self._balance = self._weights_of_classes(each, np.ones(len(each)))
        if np.count_nonzero(self._balance) < 2:
            raise ValueError(
                f"class_weight={shorten(self.class_weight)} leaves fewer than 2 of the classes with a weight above 0; "
                "at least 2 are needed."
            )

    def attributes(self) -> dict[str, Any]:
        """The classes."""
        return {"classes_": self.classes}

    def strata(self, y: Any) -> Strata:
        """The classes."""
        return Strata(np.unique(y, return_inverse=True)[1], "class", "classes")

    def supervision_targets(self, targets: Any) -> "csr_array":
        """For two classes whether it is the second one, else one column for each class."""
        from scipy.sparse import csr_array

        members = np.flatnonzero(targets) if self.n_outputs == 1 else np.arange(len(targets))
        columns = np.zeros(len(members), dtype=np.int64) if self.n_outputs == 1 else targets
        return csr_array((np.ones(len(members)), (members, columns)), shape=(len(targets), self.n_outputs))

    def calibrate(self, scores: Array, targets: Any, weights: NDArray[np.float64]) -> "Calibration":
        """Scores times a temperature, and a share of the logarithms of the prior odds, where the loss is the least."""
        from seqclf._label_features.supervision import Calibration

        counts = np.bincount(targets, weights=weights, minlength=len(self.classes))
        rows = sample_of_rows(len(targets), _MAX_CALIBRATION // self.n_outputs)
        scores, targets, weights = scores[rows].astype(np.float64), targets[rows], weights[rows]
        log_shares = np.log(np.maximum(counts, counts[counts > 0].min() / 2) / counts.sum())
        priors = log_shares[1:] - log_shares[:1] if self.n_outputs == 1 else log_shares
        members = self.supervision_targets(targets).toarray()

        def losses(logits: Array) -> tuple[Array, Array]:
            of_rows = -np.take_along_axis(log_softmax(logits, axis=1), targets[:, None], axis=1)[:, 0]
            return of_rows, softmax(logits, axis=1) - members

        found = fit_log_odds(scores, priors, weights, binary_losses(members) if self.n_outputs == 1 else losses)
        return Calibration(found.temperature, found.share * priors, found.loss)

    def fit_weights(self, targets: Any, weights: NDArray[np.float64]) -> None:
        """Learn what "balanced" stands for."""
        self._balance = self._weights_of_classes(targets, weights)
        in_class = np.bincount(targets, weights=weights * self._balance[targets])
        if np.count_nonzero(in_class) < 2:
            raise ValueError(
                f"class_weight={shorten(self.class_weight)} leaves fewer than 2 classes in y with a weight above 0; "
                "at least 2 are needed."
            )

    def _weights_of_classes(self, targets: Any, weights: NDArray[np.float64]) -> Array:
        if isinstance(self.class_weight, Mapping):
            given, labels = dict(self.class_weight), self.classes.tolist()
            unknown = [label for label in given if label not in labels]
            if unknown and any(label not in given for label in labels):
                # scikit-learn's words come first: its users search for them.
                raise ValueError(
                    f"The classes, {shorten([label for label in labels if label not in given])}, are not in "
                    f"class_weight, but {shorten(unknown)}, which y does not hold: the keys must be labels of y, of "
                    "their type. A class without a weight has 1."
                )
            balance = np.array([given.get(label, 1.0) for label in labels], dtype=np.float64)
        else:
            from sklearn.utils.class_weight import compute_class_weight

            balance = compute_class_weight(
                self.class_weight, classes=self.classes, y=self.classes[targets], sample_weight=weights
            )
        least, most = int(np.argmin(np.where(balance > 0, balance, np.inf))), int(np.argmax(balance))
        if balance[least] < balance[most] * SMALLEST_SHARE:
            raise ValueError(
                f"class_weight={shorten(self.class_weight)} ranges from {balance[least]!s} for the class "
                f"{shorten(self.classes[least])} to {balance[most]!s} for {shorten(self.classes[most])}: the smallest "
                f"weight above 0 must be at least {SMALLEST_SHARE} times the largest. A class without a weight has 1."
            )
        # Only the proportions count, and the sums of so large or small weights would not be finite, or 0.
        return balance if 1e-100 < balance.max() < 1e100 else balance / balance.max()

    def loss_weights(self, targets: Any) -> NDArray[np.float64]:
        """The weight of the class of each row."""
        weights = self._balance[targets]
        if not weights.any():
            raise ValueError(
                f"class_weight={shorten(self.class_weight)} leaves no row with a weight above 0 in the "
                "training or the validation rows: give more classes a weight, or fit without validation."
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
        """One number a row: the class of the largest logit, or the single logit as it is."""
        return outputs.squeeze(1) if outputs.shape[1] == 1 else outputs.argmax(dim=1)

    def score(self, summaries: "Tensor", targets: "Tensor", weights: "Tensor") -> "Tensor":
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

    def to_state(self) -> State:
        """The classes and their weights in the loss; `class_weight` is a parameter of the estimator."""
        return {
            "kind": "classification",
            "classes": saved_classes(self.classes),
            "weights": self._balance,
            "balanced": self._is_balanced,
        }

    @classmethod
    def from_state(cls, saved: Saved) -> Self:
        """The task of a saved state; its `class_weight` says no more than whether the weights are balanced ones."""
        task = cls("balanced" if saved.boolean("balanced") else None)
        task.classes = read_saved_classes(saved, "classes")
        task._balance = saved.array("weights", np.float64, (len(task.classes),), low=0)
        return task


def _refuse_other_labels(labels: Array) -> None:
    """Refuse what scikit-learn does not take for classes, in its words, and say what to do."""
    from sklearn.utils.multiclass import check_classification_targets

    try:
        check_classification_targets(labels)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{str(error).rstrip('.')}. y holds {shorten(labels[0])} in row 0: expected a class for each row, as text, "
            "whole numbers or booleans. Put numbers into classes first, e.g. with numpy.digitize; turn bytes and dates "
            "into text."
        ) from error
