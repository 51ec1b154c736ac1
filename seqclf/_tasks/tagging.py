"""`Tagging`: one class for each step of each sequence."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._data.split import Strata
from seqclf._saved import Saved, SavedStateError, State
from seqclf._tasks.classification import Classification
from seqclf._tasks.task import Task
from seqclf._tasks.transitions import best_paths, bio_moves, check_bio
from seqclf._validation.tags import UNLABELLED, check_tags, codes_of_tags

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch import Tensor

    from seqclf._label_features.supervision import Calibration

Array = NDArray[Any]


class Tagging(Task):
    """The loss of a classification at each step that has a label.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        What the classes count in the loss, as in the classifiers.
    transitions : {"bio"} or None
        Which sequences of labels may be predicted: any, or those that are legal in the BIO scheme.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        The labels, sorted. Encoded targets are positions in it, -1 for steps without a label.
    """

    kind = "a class for each step"
    per_step = True
    score_name = "accuracy"
    outputs_are_log_odds = True
    outputs_are_exclusive = True

    def __init__(self, class_weight: Any = None, transitions: str | None = None):
        self.transitions = transitions
        self._of_steps = Classification(class_weight)

    @property
    def classes(self) -> Array:
        """The labels, sorted."""
        return self._of_steps.classes

    @property
    def n_outputs(self) -> int:
        """One for two classes, else one for each."""
        return self._of_steps.n_outputs

    def validate(self, y: Any, rows: Any, *, name: str = "y", rows_name: str = "X") -> Ragged:
        """One label for each step, or None, but not for all of them."""
        tags = check_tags(y, len(rows), name=name, rows_name=rows_name)
        _labels(tags, name)
        return tags

    def refuse(self, y: Any, *, among: str) -> None:
        """There must be two classes."""
        self._of_steps.refuse(_labels(y, among=f" among {among}"), among=among)

    def fit(self, y: Any, weights: Any) -> Ragged:
        """Learn the classes."""
        self._of_steps.fit(_labels(y), weights)
        if self.transitions is not None:
            check_bio(self.classes)  # An error now, not in prediction.
        return self.encode(y)

    def encode(self, y: Any, *, name: str = "y") -> Ragged:
        """Positions in `classes`. Any other label is an error, but in rows of y that were held out: these are of y.

        There a label that no training row has is as none.
        """
        if name == "y":
            known = set(self.classes.tolist())
            labels = np.empty(len(y.values), dtype=object)
            labels[:] = [label if label in known else None for label in y.values.tolist()]
            y = Ragged(labels, y.lengths)
        return codes_of_tags(y, self.classes, name=name)

    def strata(self, y: Any) -> Strata:
        """Of the labels of a row the one that the fewest rows have; rows without a label are a stratum too."""
        labels, codes = np.unique([str(label) for label in y.values.tolist()], return_inverse=True)
        unlabelled = np.flatnonzero(np.isin(labels, [str(None), str(UNLABELLED)]))
        row = np.repeat(np.arange(len(y)), y.lengths)
        pairs = np.unique(np.stack([row, codes], axis=1)[~np.isin(codes, unlabelled)], axis=0)
        n_rows = np.bincount(pairs[:, 1], minlength=len(labels))
        rarest = np.full(len(y), -1, dtype=np.int64)
        by_rows = pairs[np.argsort(-n_rows[pairs[:, 1]], kind="stable")]
        rarest[by_rows[:, 0]] = by_rows[:, 1]  # The last one that is written is the rarest.
        return Strata(np.unique(rarest, return_inverse=True)[1], "label", "labels", needed=False)

    def refit(self, y: Any, before: Self) -> Ragged:
        """The labels must be those of the first fit."""
        self._of_steps.refit(_labels(y), before._of_steps)
        return self.encode(y)

    def start(self, y: Any, weights: Any, classes: Any) -> Ragged:
        """The classes are given, because the first chunk may lack some of them."""
        self._of_steps.set_classes(classes)
        if self.transitions is not None:
            check_bio(self.classes)
        return self.proceed(y)

    def proceed(self, y: Any) -> Ragged:
        """A label that is not among the classes is an error."""
        return codes_of_tags(y, self.classes, name="y")

    def follow(self, before: Self, classes: Any) -> None:
        """As a classification of the steps."""
        self._of_steps.follow(before._of_steps, classes)
        if self.transitions is not None:
            check_bio(self.classes)

    def attributes(self) -> dict[str, Any]:
        """The classes."""
        return {"classes_": self.classes}

    def supervision_targets(self, targets: Any) -> "csr_array":
        """Which class each step belongs to; steps without a label to none."""
        from scipy.sparse import csr_array

        known = np.flatnonzero(targets.values != UNLABELLED)
        members = self._of_steps.supervision_targets(targets.values[known]).tocoo()
        return csr_array((members.data, (known[members.row], members.col)), shape=(len(targets.values), self.n_outputs))

    def calibrate(self, scores: Array, targets: Any, weights: NDArray[np.float64]) -> "Calibration":
        """As for a classification of the steps that have a label."""
        known = targets.values != UNLABELLED
        return self._of_steps.calibrate(scores[known], targets.values[known], weights[known])

    def fit_weights(self, targets: Any, weights: NDArray[np.float64]) -> None:
        """Learn what "balanced" stands for."""
        known = targets.values != UNLABELLED
        self._of_steps.fit_weights(targets.values[known], np.repeat(weights, targets.lengths)[known])

    def loss_weights(self, targets: Any) -> NDArray[np.float64]:
        """The weight of the class of each step; 0 for steps without a label."""
        weights, known = np.zeros(len(targets.values)), targets.values != UNLABELLED
        if not known.any():  # Of training rows `fit` has said so.
            raise ValueError(
                "No step of the rows, or of the validation rows, has a label and a weight: label more of them."
            )
        weights[known] = self._of_steps.loss_weights(targets.values[known])
        return weights

    def score_weights(self, targets: Any) -> NDArray[np.float64]:
        """Steps without a label don't count."""
        known: NDArray[np.bool_] = targets.values != UNLABELLED
        return known.astype(np.float64)

    def losses(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        """Cross-entropy of each step. Steps without a label, which have a weight of 0, get any."""
        return self._of_steps.losses(outputs, targets.clamp(min=0))

    def summarise(self, outputs: "Tensor") -> "Tensor":
        """One number a step, as in a classification."""
        return self._of_steps.summarise(outputs)

    def score(self, summaries: "Tensor", targets: "Tensor", weights: "Tensor") -> "Tensor":
        """The accuracy over the steps that have a label."""
        return self._of_steps.score(summaries, targets, weights)

    def decode(self, outputs: Any) -> Array:
        """The labels of each sequence, an object array of arrays."""
        if self.transitions is None:
            return Ragged(self._of_steps.decode(outputs.values), outputs.lengths).items()
        log_probabilities = Ragged(self._of_steps.log_probabilities(outputs.values), outputs.lengths)
        paths = best_paths(log_probabilities, bio_moves(self.classes))
        return Ragged(self.classes[paths.values], paths.lengths).items()

    def probabilities(self, outputs: Any) -> Array:
        """Probabilities of the classes at each step, an object array of arrays (n_steps, n_classes)."""
        return Ragged(self._of_steps.probabilities(outputs.values), outputs.lengths).items()

    def to_state(self) -> State:
        """The classification of the steps, and which sequences of labels may be predicted."""
        transitions = None if self.transitions is None else str.__str__(self.transitions)
        return {"kind": "tagging", "transitions": transitions, "steps": self._of_steps.to_state()}

    @classmethod
    def from_state(cls, saved: Saved) -> Self:
        """The task of a saved state."""
        task = cls(transitions=saved.optional("transitions", saved.option, ["bio"]))
        task._of_steps = saved.part("steps", Classification.from_state)
        if task.transitions is not None:
            try:
                check_bio(task.classes)
            except ValueError as error:
                raise SavedStateError(str(error)) from error
        return task


def _labels(y: Ragged, name: str = "y", among: str = "") -> Array:
    """The labels of all steps that have one, of one dtype; a ValueError where none has."""
    labels = [label for label in y.values.tolist() if label is not None]
    if not labels:
        raise ValueError(f"{name} has no label{among}: expected one for at least one step.")
    return np.array(labels)
