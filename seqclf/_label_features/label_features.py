"""`LabelFeatures`: what an estimator learns from targets before its network trains."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import EncodedSequences
from seqclf._label_features.linear_scores import LinearScores
from seqclf._label_features.supervision import Supervision


class LabelFeatures(ABC):
    """Adds to encoded sequences what the targets of the training rows say of them.

    Attributes
    ----------
    scores : LinearScores or None
        The linear models, if there are any.
    """

    scores: LinearScores | None = None

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
