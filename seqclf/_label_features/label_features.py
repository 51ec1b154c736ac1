"""`LabelFeatures`: what an estimator learns from targets before its network trains."""

from abc import ABC, abstractmethod

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
    def fit_transform(self, sequences: EncodedSequences, supervision: Supervision) -> EncodedSequences:
        """Learn from the training sequences, and give them what is learned without their own folds."""

    @abstractmethod
    def transform(self, sequences: EncodedSequences) -> EncodedSequences:
        """The same for sequences that are not of the training data."""
