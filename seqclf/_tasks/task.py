"""`Task`: what the rest of the package asks of the thing that is learned, whatever that is."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._data.dataset import Dataset, Targets
from seqclf._data.ragged import Ragged
from seqclf._data.split import Strata, all_alike
from seqclf._saved import State

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch import Tensor

    from seqclf._label_features.supervision import Calibration, Supervision


class Task(ABC):
    """Targets from the user to the loss, and outputs of the network back to the user.

    A task has *units*: the sequences, or with `per_step` their steps, one after the other. The network gives
    `n_outputs` numbers for each unit.

    Attributes
    ----------
    kind : str
        What a message calls the targets.
    per_step : bool
        Whether each step has a target of its own. Encoded targets are then a Ragged.
    score_name : str
        What a line of progress calls the score.
    outputs_are_log_odds : bool
        Whether log-count ratios estimate the outputs, so that the last layer starts as their sum.
    outputs_are_exclusive : bool
        Whether a sequence belongs to one output at most.
    prior_rows : float
        What a network of n rows adds to the estimates of the wide half is multiplied by n / (n + prior_rows), because
        few rows can be learned by heart. Where rows are held out, early stopping sees to that instead.
    """

    kind: str
    per_step: bool = False
    score_name: str = "score"
    outputs_are_log_odds: bool = False
    outputs_are_exclusive: bool = False
    prior_rows: float = 0.0

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Numbers that the network gives for each unit; known after `fit`."""

    # Targets

    @abstractmethod
    def validate(self, y: Any, rows: Any, *, name: str = "y", rows_name: str = "X") -> Targets:
        """Check targets, one for each of `rows`, and encode nothing.

        `name`, "y" or "y_val", and `rows_name` are what messages call them.
        """

    def refuse(self, y: Targets, *, among: str) -> None:  # noqa: B027
        """Raise an error if nothing can be learned from validated targets; `among` says which rows they are of."""

    @abstractmethod
    def fit(self, y: Targets, weights: NDArray[np.float64]) -> Targets:
        """Learn from the validated targets of the training rows how to encode them, and encode them.

        `weights`, (n_sequences,), are what the rows count.
        """

    @abstractmethod
    def encode(self, y: Targets, *, name: str = "y") -> Targets:
        """Encode validated targets as `fit` has learned to."""

    @abstractmethod
    def refit(self, y: Targets, before: Self) -> Targets:
        """The same in a warm start, as the task of the first fit did it."""

    def start(self, y: Targets, weights: NDArray[np.float64], classes: Any) -> Targets:
        """Learn from the first chunk of a stream how to encode targets and what they count, and encode them.

        `classes` are those of the whole stream; None where a task has none.
        """
        targets = self.fit(y, weights)
        self.fit_weights(targets, weights)
        return targets

    def proceed(self, y: Targets) -> Targets:
        """Encode the targets of a later chunk of a stream."""
        return self.encode(y)

    def follow(self, before: Self, classes: Any) -> None:
        """Take what the task of the chunks before has learned, and keep the parameters of this one.

        `classes` must be as they were; None says nothing of them.
        """
        vars(self).update(vars(before))

    def attributes(self) -> dict[str, Any]:
        """What a fitted estimator shows of the task, by the names of its attributes."""
        return {}

    def strata(self, y: Targets) -> Strata:
        """What a split should keep in proportion, from validated or encoded targets; by default rows are alike."""
        return all_alike(len(y))

    @abstractmethod
    def supervision_targets(self, targets: Targets) -> "csr_array | NDArray[np.float64]":
        """What label-informed inputs are told of encoded targets, shape (n_units, n_outputs).

        Sparse: how far each unit belongs to each output, from 0 to 1. Dense: numbers that are standardised.
        """

    @abstractmethod
    def calibrate(self, scores: NDArray[np.floating], targets: Targets, weights: NDArray[np.float64]) -> "Calibration":
        """How scores of linear models become estimates of the outputs, learned from scores of the training rows.

        Parameters
        ----------
        scores : ndarray of shape (n_units, n_outputs)
            Computed without the own target of each sequence.
        targets : ndarray of shape (n_sequences, ...), or Ragged
            Encoded.
        weights : ndarray of shape (n_units,)
            What each unit counts in the loss.
        """

    def supervision(self, training: Dataset, fold: NDArray[np.int64]) -> "Supervision":
        """What label-informed inputs are told of the encoded targets of training rows; `fold` is that of each row."""
        from seqclf._label_features.supervision import Supervision

        weights, targets = training.weights, training.targets
        if self.per_step:
            lengths = training.sequences.lengths
            weights, fold = np.repeat(weights, lengths), np.repeat(fold, lengths)
        weights = weights * self.score_weights(targets)
        loss_weights = weights * self.loss_weights(targets)
        loss_weights /= loss_weights.max()  # Only the proportions matter, to the last bit.
        return Supervision(
            self.supervision_targets(targets),
            weights,
            loss_weights,
            fold,
            lambda scores: self.calibrate(scores, targets, loss_weights),
            self.outputs_are_exclusive,
        )

    # Loss and score

    def fit_weights(self, targets: Targets, weights: NDArray[np.float64]) -> None:  # noqa: B027
        """Learn from the training rows what targets count in the loss."""

    def loss_weights(self, targets: Targets) -> NDArray[np.float64]:
        """What the target of each unit counts in the loss, shape (n_units,)."""
        return self.score_weights(targets)

    def score_weights(self, targets: Targets) -> NDArray[np.float64]:
        """What the target of each unit counts in the score, shape (n_units,)."""
        return np.ones(len(targets.values) if isinstance(targets, Ragged) else len(targets))

    def initial_bias(self, targets: Targets, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the network gives for an empty sequence before training, shape (n_outputs,)."""
        return np.zeros(self.n_outputs)

    @abstractmethod
    def losses(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        """The loss of each unit, shape (n_units,), from outputs (n_units, n_outputs) and encoded targets."""

    def summarise(self, outputs: "Tensor") -> "Tensor":
        """What `score` needs of the outputs of a batch; the first dimension is the units."""
        return outputs

    @abstractmethod
    def score(self, summaries: "Tensor", targets: "Tensor", weights: "Tensor") -> "Tensor":
        """The score of an epoch, a single number.

        Parameters
        ----------
        summaries, targets : Tensor of shape (n_units, ...)
            What `summarise` gave for the batches, and the encoded targets.
        weights : Tensor of shape (n_units,), float64, on the CPU
            What each unit counts.
        """

    # Predictions, and what they are saved with

    @abstractmethod
    def decode(self, outputs: Any) -> Any:
        """The predictions, from outputs of shape (n_sequences, n_outputs), or with `per_step` a Ragged of them."""

    def to_state(self) -> State:
        """What predictions and later fits need of the fitted task; see :func:`seqclf._tasks.saved.task_from_state`."""
        raise TypeError(f"A model can't be saved whose task is {type(self).__name__}: it has no way to be read again.")


def weighted_mean(values: "Tensor", weights: "Tensor") -> "Tensor":
    """The mean of one number a unit, in float64 on the CPU, because not every device has float64."""
    import torch

    return values.cpu().to(torch.float64) @ weights / weights.sum()
