"""`LabelFeatures`: what an estimator learns from targets before its network trains."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import EncodedSequences
from seqclf._label_features.linear_scores import LinearScores
from seqclf._label_features.supervision import Supervision
from seqclf._saved import State


class InputKind(NamedTuple):
    """What sequences a model reads.

    Parameters
    ----------
    n_ids : int or None
        The number of token ids; None for series.
    n_channels : int
        The numbers of a step of a series.
    spelled : bool
        Whether tokens come with their spelling.
    per_step : bool
        Whether targets are those of steps.
    """

    n_ids: int | None
    n_channels: int
    spelled: bool
    per_step: bool


class LabelFeatures(ABC):
    """Adds to encoded sequences what the targets of the training rows say of them.

    Attributes
    ----------
    scores : LinearScores or None
        The linear models, if there are any.
    """

    scores: LinearScores | None = None

    @abstractmethod
    def mismatch(self, inputs: "InputKind", n_outputs: int) -> str | None:
        """Why these features do not go with such inputs and so many outputs, for a message; None if they do."""

    def _other_outputs(self, n_outputs: int) -> str | None:
        n = n_outputs if self.scores is None else len(self.scores.intercept_)
        return None if n == n_outputs else f"its linear model has {n} outputs for {n_outputs}"

    @property
    def n_step_features(self) -> int:
        """Numbers next to each token; known after `fit_transform`."""
        return 0

    @abstractmethod
    def fit_transform(
        self, sequences: EncodedSequences, supervision: Supervision, keep_folds: bool = False
    ) -> EncodedSequences:
        """Learn from the training sequences, and give them what is learned without their own folds.

        With `keep_folds` what is learned without each fold is kept for `transform`.
        """

    @abstractmethod
    def transform(self, sequences: EncodedSequences, fold: NDArray[np.int64] | None = None) -> EncodedSequences:
        """Give other sequences what is learned from all training sequences.

        With `fold`, (n_sequences,), each gets what is learned without that fold; -1 stands for no fold.
        """

    @abstractmethod
    def to_state(self) -> State:
        """What is saved: all that `transform` needs without `fold`, but not the names of tokens."""
