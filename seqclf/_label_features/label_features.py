"""`LabelFeatures`: features that an estimator fits to the targets before its network trains."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import EncodedSequences
from seqclf._label_features.linear_scores import LinearScores
from seqclf._label_features.supervision import Supervision
from seqclf._saved import State


class InputKind(NamedTuple):
    """The kind of sequences that a model takes.

    Parameters
    ----------
    n_ids : int or None
        The number of token ids; None for series.
    n_channels : int
        The number of values per step of a series.
    spelled : bool
        Whether tokens come with their spelling.
    per_step : bool
        Whether each step has a target, instead of each sequence.
    """

    n_ids: int | None
    n_channels: int
    spelled: bool
    per_step: bool


class LabelFeatures(ABC):
    """Adds features fitted to the targets of the training rows to encoded sequences.

    Attributes
    ----------
    scores : LinearScores or None
        The linear models, if there are any.
    """

    scores: LinearScores | None = None

    @abstractmethod
    def mismatch(self, inputs: "InputKind", n_outputs: int) -> str | None:
        """Why these features do not match the inputs and the number of outputs, for a message; None if they do."""

    def _output_mismatch(self, n_outputs: int) -> str | None:
        n = n_outputs if self.scores is None else len(self.scores.intercept_)
        return None if n == n_outputs else f"its linear model has {n} outputs for {n_outputs}"

    @property
    def n_step_features(self) -> int:
        """The number of features of each token; available after `fit_transform`."""
        return 0

    @abstractmethod
    def fit_transform(
        self, sequences: EncodedSequences, supervision: Supervision, keep_folds: bool = False
    ) -> EncodedSequences:
        """Fit to the training sequences, and return them with out-of-fold features.

        With `keep_folds` the models fitted without each fold are retained for `transform`.
        """

    @abstractmethod
    def transform(self, sequences: EncodedSequences, fold: NDArray[np.int64] | None = None) -> EncodedSequences:
        """Return other sequences with the features of the models fitted to all training sequences.

        With `fold`, (n_sequences,), each sequence gets the features fitted without its fold; -1 means no fold.
        """

    @abstractmethod
    def to_state(self) -> State:
        """The state to save: everything that `transform` needs without `fold`, except the names of tokens."""
