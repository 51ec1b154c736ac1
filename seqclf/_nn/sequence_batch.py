"""`SequenceBatch`: some sequences, as the network and the predictor read them."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from seqclf._kernels import LookUp


@dataclass(frozen=True)
class SequenceBatch:
    """Sequences in the data that they are part of; no step is copied.

    Parameters
    ----------
    values : Tensor of shape (n_steps,) of token ids, or (n_steps, n_channels) of numbers
        The steps of all sequences, end to end; or with `starts` the data that the sequences are in.
    lengths : ndarray of shape (n_sequences,)
        Number of steps of each sequence, in any order; 0 is allowed.
    starts : ndarray of shape (n_sequences,), default=None
        Where each sequence begins in the data.
    step_features : Tensor of shape (n_steps, width), or LookUp, default=None
        Numbers next to the token ids, for a network that was built with some; they are laid out as `values`.
    scores : Tensor of shape (n_sequences, n_outputs), default=None
        Numbers that are added to the outputs, for a network that was built for them.
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
        """The number of steps of all its sequences together."""
        return int(np.sum(self.lengths))

    @property
    def step_features_width(self) -> int:
        """How many numbers are next to each token id."""
        if self.step_features is None:
            return 0
        return self.step_features.n_channels if isinstance(self.step_features, LookUp) else self.step_features.shape[1]
