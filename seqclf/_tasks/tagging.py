"""`Tagging`: one class for each step of each sequence."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._data.split import Strata
from seqclf._saved import Saved, SavedStateError, State
from seqclf._tasks.classification import Classification
from seqclf._tasks.task import Task
from seqclf._tasks.transitions import best_paths, bio_transitions, check_bio
from seqclf._validation.tags import UNLABELLED, tag_class_indices, validate_tags

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch import Tensor

    from seqclf._label_features.supervision import Calibration

Array = NDArray[Any]


class Tagging(Task):
    """Classification of each step that has a label.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        Weights of the classes in the loss, as in the classifiers.
    transitions : {"bio"} or None
        Which sequences of labels can be predicted: any, or only those that are legal in the BIO scheme.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        The sorted labels. Encoded targets are indices into this array, or -1 for steps without a label.
    """

    kind = "a class for each step"
    per_step = True
    score_name = "accuracy"
    outputs_are_log_odds = True
    outputs_are_exclusive = True

    def __init__(self, class_weight: Any = None, transitions: str | None = None):
        self.transitions = transitions
        self._classification = Classification(class_weight)

    @property
    def classes(self) -> Array:
        """The sorted labels."""
        return self._classification.classes

    @property
    def n_outputs(self) -> int:
        """One for two classes, otherwise one per class."""
        return self._classification.n_outputs

    def validate(self, y: Any, rows: Any, *, name: str = "y", rows_name: str = "X") -> Ragged:
        """Check that there is a label or None for each step, and at least one label."""
        tags = validate_tags(y, len(rows), name=name, rows_name=rows_name)
        _labels(tags, name)
        return tags

    def check_trainable(self, y: Any, *, among: str) -> None:
        """Raise an error for fewer than two classes."""
        self._classification.check_trainable(_labels(y, among=f" among {among}"), among=among)

    def fit(self, y: Any, weights: Any) -> Ragged:
        """Fit the classes, and encode the labels."""
        self._classification.fit(_labels(y), weights)
        if self.transitions is not None:
            check_bio(self.classes)  # raises an error in fit instead of in predict
        return self.encode(y)

    def encode(self, y: Any, *, name: str = "y") -> Ragged:
        """Indices into `classes`.

        Any other label in y_val raises an error. In held-out rows of y, a label that is missing in the training rows
        is treated as None.
        """
        if name == "y":
            classes = set(self.classes.tolist())
            labels = np.empty(len(y.values), dtype=object)
            labels[:] = [label if label in classes else None for label in y.values.tolist()]
            y = Ragged(labels, y.lengths)
        return tag_class_indices(y, self.classes, name=name)

    def strata(self, y: Any) -> Strata:
        """The stratum of a row is its rarest label; rows without labels form a stratum too."""
        labels, codes = np.unique([str(label) for label in y.values.tolist()], return_inverse=True)
        unlabelled = np.flatnonzero(np.isin(labels, [str(None), str(UNLABELLED)]))
        row = np.repeat(np.arange(len(y)), y.lengths)
        pairs = np.unique(np.stack([row, codes], axis=1)[~np.isin(codes, unlabelled)], axis=0)
        n_rows = np.bincount(pairs[:, 1], minlength=len(labels))
        rarest = np.full(len(y), -1, dtype=np.int64)
        rarest_last = pairs[np.argsort(-n_rows[pairs[:, 1]], kind="stable")]
        rarest[rarest_last[:, 0]] = rarest_last[:, 1]  # the last assignment to a row is its rarest label
        return Strata(np.unique(rarest, return_inverse=True)[1], "label", "labels", needed=False)

    def refit(self, y: Any, before: Self) -> Ragged:
        """Encode labels, whose classes must be the same as in the first fit."""
        self._classification.refit(_labels(y), before._classification)
        return self.encode(y)

    def fit_first_chunk(self, y: Any, weights: Any, classes: Any) -> Ragged:
        """Set the classes, some of which can be missing in the first chunk, and encode the labels."""
        self._classification.set_classes(classes)
        if self.transitions is not None:
            check_bio(self.classes)
        return self.encode_chunk(y)

    def encode_chunk(self, y: Any) -> Ragged:
        """Encode labels; a label that is not among the classes raises an error."""
        return tag_class_indices(y, self.classes, name="y")

    def continue_from(self, before: Self, classes: Any) -> None:
        """Keep the classes of the earlier chunks; `class_weight` can change."""
        self._classification.continue_from(before._classification, classes)
        if self.transitions is not None:
            check_bio(self.classes)

    def attributes(self) -> dict[str, Any]:
        """The classes."""
        return {"classes_": self.classes}

    def supervision_targets(self, targets: Any) -> "csr_array":
        """The class of each step, with empty rows for steps without a label."""
        from scipy.sparse import csr_array

        labelled = np.flatnonzero(targets.values != UNLABELLED)
        members = self._classification.supervision_targets(targets.values[labelled]).tocoo()
        return csr_array(
            (members.data, (labelled[members.row], members.col)), shape=(len(targets.values), self.n_outputs)
        )

    def calibrate(self, scores: Array, targets: Any, weights: NDArray[np.float64]) -> "Calibration":
        """Fit the calibration to the steps that have a label."""
        labelled = targets.values != UNLABELLED
        return self._classification.calibrate(scores[labelled], targets.values[labelled], weights[labelled])

    def fit_weights(self, targets: Any, weights: NDArray[np.float64]) -> None:
        """Fit the weights of the classes to the steps that have a label."""
        labelled = targets.values != UNLABELLED
        self._classification.fit_weights(targets.values[labelled], np.repeat(weights, targets.lengths)[labelled])

    def loss_weights(self, targets: Any) -> NDArray[np.float64]:
        """The weight of the class of each step; 0 for steps without a label."""
        weights, labelled = np.zeros(len(targets.values)), targets.values != UNLABELLED
        if not labelled.any():  # only in validation rows: `fit` checks the training rows
            raise ValueError(
                "No step of the training rows, or none of the validation rows, has a label: label more steps."
            )
        weights[labelled] = self._classification.loss_weights(targets.values[labelled])
        return weights

    def score_weights(self, targets: Any) -> NDArray[np.float64]:
        """1 for steps with a label, 0 for the others."""
        labelled: NDArray[np.bool_] = targets.values != UNLABELLED
        return labelled.astype(np.float64)

    def losses(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        """Cross-entropy of each step; an arbitrary value for steps without a label, whose weight is 0."""
        return self._classification.losses(outputs, targets.clamp(min=0))

    def summarise(self, outputs: "Tensor") -> "Tensor":
        """For each step, the class of the largest logit, or the logit itself if there is only one."""
        return self._classification.summarise(outputs)

    def score(self, summaries: "Tensor", targets: "Tensor", weights: "Tensor") -> "Tensor":
        """The accuracy over the steps that have a label."""
        return self._classification.score(summaries, targets, weights)

    def decode(self, outputs: Any) -> Array:
        """The labels of each sequence, in an object array of arrays."""
        if self.transitions is None:
            return Ragged(self._classification.decode(outputs.values), outputs.lengths).items()
        log_probabilities = Ragged(self._classification.log_probabilities(outputs.values), outputs.lengths)
        paths = best_paths(log_probabilities, bio_transitions(self.classes))
        return Ragged(self.classes[paths.values], paths.lengths).items()

    def probabilities(self, outputs: Any) -> Array:
        """Probabilities of the classes at each step, in an object array of arrays (n_steps, n_classes)."""
        return Ragged(self._classification.probabilities(outputs.values), outputs.lengths).items()

    def to_state(self) -> State:
        """The state of the classification of steps, and the parameter `transitions`."""
        transitions = None if self.transitions is None else str.__str__(self.transitions)
        return {"kind": "tagging", "transitions": transitions, "steps": self._classification.to_state()}

    @classmethod
    def from_state(cls, saved: Saved) -> Self:
        """The task of a saved state."""
        task = cls(transitions=saved.optional("transitions", saved.option, ["bio"]))
        task._classification = saved.part("steps", Classification.from_state)
        if task.transitions is not None:
            try:
                check_bio(task.classes)
            except ValueError as error:
                raise SavedStateError(str(error).rstrip(".")) from error
        return task


def _labels(y: Ragged, name: str = "y", among: str = "") -> Array:
    """The labels of all steps that have one, in one array; a ValueError if there are none."""
    labels = [label for label in y.values.tolist() if label is not None]
    if not labels:
        raise ValueError(f"{name} has no label{among}: expected one for at least one step.")
    return np.array(labels)
