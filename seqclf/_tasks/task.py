"""`Task`: the interface between the kinds of targets and the rest of the package."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._data.dataset import Dataset, Targets
from seqclf._data.ragged import Ragged
from seqclf._data.split import Strata, single_stratum
from seqclf._saved import State

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch import Tensor

    from seqclf._label_features.supervision import Calibration, Supervision


class Task(ABC):
    """Encodes the targets of the user for the loss, and decodes the outputs of the network to predictions.

    The *units* of a task are the sequences, or with `per_step` the concatenated steps of all sequences. The network has
    `n_outputs` outputs for each unit.

    Attributes
    ----------
    kind : str
        The name of this kind of target in messages.
    per_step : bool
        Whether each step has a target. Encoded targets are then a Ragged.
    score_name : str
        The name of the score in progress messages.
    outputs_are_log_odds : bool
        Whether log-count ratios estimate the outputs, so that the last layer is initialised to sum them.
    outputs_are_exclusive : bool
        Whether a sequence belongs to at most one output.
    prior_rows : float
        Without a validation set, what the network adds to the estimates of the linear model is multiplied by
        n / (n + prior_rows) for n training rows, because a network overfits few rows. With a validation set, early
        stopping prevents that.
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
        """The number of outputs for each unit; defined after `fit`."""

    # Targets

    @abstractmethod
    def validate(self, y: Any, rows: Any, *, name: str = "y", rows_name: str = "X") -> Targets:
        """Check targets, one for each of `rows`, without encoding them.

        `name`, "y" or "y_val", and `rows_name` are their names in messages.
        """

    def check_trainable(self, y: Targets, *, among: str) -> None:  # noqa: B027
        """Raise an error if nothing can be learned from validated targets; `among` describes their rows in messages."""

    @abstractmethod
    def fit(self, y: Targets, weights: NDArray[np.float64]) -> Targets:
        """Fit the encoding to the validated targets of the training rows, and encode them.

        `weights`, of shape (n_sequences,), are the sample weights.
        """

    @abstractmethod
    def encode(self, y: Targets, *, name: str = "y") -> Targets:
        """Encode validated targets with the fitted encoding."""

    @abstractmethod
    def refit(self, y: Targets, before: Self) -> Targets:
        """Encode validated targets in a warm start, with the encoding of the task `before` of the first fit."""

    def fit_first_chunk(self, y: Targets, weights: NDArray[np.float64], classes: Any) -> Targets:
        """Fit encoding and loss weights to the first chunk of a stream, and encode its validated targets.

        `classes` are the classes of the whole stream; None for a task without classes.
        """
        targets = self.fit(y, weights)
        self.fit_weights(targets, weights)
        return targets

    def encode_chunk(self, y: Targets) -> Targets:
        """Encode the validated targets of a later chunk of a stream."""
        return self.encode(y)

    def continue_from(self, before: Self, classes: Any) -> None:
        """Copy the fitted state from the task of the earlier chunks; the parameters of this task do not change.

        `classes` must be None or the same as in the first chunk.
        """
        vars(self).update(vars(before))

    def attributes(self) -> dict[str, Any]:
        """The attributes that the task adds to a fitted estimator."""
        return {}

    def strata(self, y: Targets) -> Strata:
        """The strata of a split, from validated or encoded targets; by default, all rows are in one stratum."""
        return single_stratum(len(y))

    @abstractmethod
    def supervision_targets(self, targets: Targets) -> "csr_array | NDArray[np.float64]":
        """Targets for fitting label features, from encoded targets, shape (n_units, n_outputs).

        Sparse: the degree to which each unit belongs to each output, from 0 to 1. Dense: standardised values.
        """

    @abstractmethod
    def calibrate(self, scores: NDArray[np.floating], targets: Targets, weights: NDArray[np.float64]) -> "Calibration":
        """Fit the calibration from scores of linear models to estimates of the outputs.

        Parameters
        ----------
        scores : ndarray of shape (n_units, n_outputs)
            Out-of-fold scores of the training rows.
        targets : ndarray of shape (n_sequences, ...), or Ragged
            Encoded targets.
        weights : ndarray of shape (n_units,)
            Weights of the units in the loss.
        """

    def supervision(self, training: Dataset, fold: NDArray[np.int64]) -> "Supervision":
        """The supervision for fitting label features to training rows; `fold` is the fold of each row."""
        from seqclf._label_features.supervision import Supervision

        weights, targets = training.weights, training.targets
        if self.per_step:
            lengths = training.sequences.lengths
            weights, fold = np.repeat(weights, lengths), np.repeat(fold, lengths)
        weights = weights * self.score_weights(targets)
        loss_weights = weights * self.loss_weights(targets)
        # A common factor of the weights must not change the result, not even by a bit.
        loss_weights /= loss_weights.max()
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
        """Fit the weights in the loss to the encoded targets of the training rows."""

    def loss_weights(self, targets: Targets) -> NDArray[np.float64]:
        """The weight of each unit in the loss, from its target, shape (n_units,)."""
        return self.score_weights(targets)

    def score_weights(self, targets: Targets) -> NDArray[np.float64]:
        """The weight of each unit in the score, from its target, shape (n_units,)."""
        return np.ones(len(targets.values) if isinstance(targets, Ragged) else len(targets))

    def initial_bias(self, targets: Targets, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The initial bias of the output layer, shape (n_outputs,)."""
        return np.zeros(self.n_outputs)

    @abstractmethod
    def losses(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        """The loss of each unit, shape (n_units,), from outputs (n_units, n_outputs) and encoded targets."""

    def summarise(self, outputs: "Tensor") -> "Tensor":
        """The input of `score`, from the outputs of a batch; the first dimension is the units."""
        return outputs

    @abstractmethod
    def score(self, summaries: "Tensor", targets: "Tensor", weights: "Tensor") -> "Tensor":
        """The score of an epoch, a scalar.

        Parameters
        ----------
        summaries, targets : Tensor of shape (n_units, ...)
            The results of `summarise` for all batches, concatenated, and the encoded targets.
        weights : Tensor of shape (n_units,), float64, on the CPU
            Weights of the units.
        """

    # Predictions and saving

    @abstractmethod
    def decode(self, outputs: Any) -> Any:
        """Predictions from outputs (n_sequences, n_outputs), or with `per_step` a Ragged (n_steps, n_outputs)."""

    def to_state(self) -> State:
        """The fitted state for predictions and later fits; see :func:`seqclf._tasks.saved.task_from_state`."""
        raise TypeError(f"A model with the task {type(self).__name__} can't be saved: the task does not support it.")


def weighted_mean(values: "Tensor", weights: "Tensor") -> "Tensor":
    """The weighted mean over units, in float64 on the CPU because not every device supports float64."""
    import torch

    return values.cpu().to(torch.float64) @ weights / weights.sum()
