"""`SequenceBatch`: the sequences of a batch, the input of the network and the predictor."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from seqclf._kernels import LookUp


@dataclass(frozen=True)
class SequenceBatch:
    """A batch of sequences, given by their positions in the data; no step is copied.

    Parameters
    ----------
    values : Tensor of shape (n_steps,) of token ids, or (n_steps, n_channels) of numeric values
        The steps of all sequences, concatenated; with `starts`, all the data that the sequences are taken from.
    lengths : ndarray of shape (n_sequences,)
        Number of steps of each sequence, in any order; 0 is allowed.
    starts : ndarray of shape (n_sequences,), default=None
        Position of each sequence's first step in the data.
    step_features : Tensor of shape (n_steps, width), or LookUp, default=None
        Step features, for a network that was built with them; in the same order as `values`.
    scores : Tensor of shape (n_sequences, n_outputs), default=None
        Estimates that are added to the outputs, for a network that was built with scores.
    """

    values: Tensor
    lengths: np.ndarray
    starts: np.ndarray | None = None
    step_features: Tensor | LookUp | None = None
    scores: Tensor | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def n_steps(self) -> int:
        """Total number of steps of all sequences."""
        return int(np.sum(self.lengths))

    @property
    def step_features_width(self) -> int:
        """Number of step features per step."""
        if self.step_features is None:
            return 0
        return self.step_features.n_channels if isinstance(self.step_features, LookUp) else self.step_features.shape[1]
