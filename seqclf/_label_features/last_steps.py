"""The last steps of series as features, for tasks in which the time of an event matters, such as forecasts."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._saved import Saved, State

# The largest number of features, and of values computed at once in prediction.
_MAX_FEATURES = 1_000
_MAX_AT_ONCE = 2**24


class LastSteps:
    """The values of the last steps of each series, (n_series, n_steps * n_channels).

    The number of steps is the length of the longest training series, limited to 1,000 features. A shorter series is
    padded at the start with its first value; an empty series gets the means of the training series.

    Attributes
    ----------
    n_steps_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from seqclf._data.ragged import Ragged
    >>> steps = LastSteps()
    >>> steps.fit_transform(Ragged(np.array([[1.0], [2.0], [3.0], [5.0]]), np.array([3, 1]))).tolist()
    [[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]]
    >>> steps.names()
    ['step -3 of channel 0', 'step -2 of channel 0', 'step -1 of channel 0']
    """

    def fit_transform(self, series: Ragged) -> NDArray[np.float32]:
        """Choose the number of steps, and return the features of the training series."""
        max_steps = max(_MAX_FEATURES // series.n_channels, 1)
        self.n_steps_ = min(max(int(series.lengths.max(initial=1)), 1), max_steps)
        self.n_channels_ = series.n_channels
        self._means = np.zeros(self.n_steps_ * series.n_channels, dtype=np.float32)
        features = self.transform(series)
        filled = series.lengths > 0
        if filled.any():
            self._means = features[filled].mean(axis=0, dtype=np.float64).astype(np.float32)
            features[~filled] = self._means
        return features

    def transform(self, series: Ragged) -> NDArray[np.float32]:
        """The features of any series; those of a series do not depend on the others."""
        check_channels(series, self.n_channels_)
        features = np.tile(self._means, (len(series), 1))
        filled = np.flatnonzero(series.lengths > 0)
        first, last = series.offsets[:-1][filled], series.offsets[1:][filled]
        steps = np.maximum(last[:, None] + np.arange(-self.n_steps_, 0), first[:, None])
        features[filled] = series.values[steps].reshape(len(filled), len(self._means))
        return features

    def blocks(self, series: Ragged) -> Iterator[Ragged]:
        """Split the series into blocks whose features fit into memory."""
        size = max(_MAX_AT_ONCE // len(self._means), 1)
        for start in range(0, len(series), size):
            yield series if len(series) <= size else series.take(np.arange(start, min(start + size, len(series))))

    @property
    def n_features_out(self) -> int:
        """The number of features."""
        return len(self._means)

    def names(self) -> list[str]:
        """The name of each feature."""
        channels = range(self.n_channels_)
        return [f"step {step} of channel {channel}" for step in range(-self.n_steps_, 0) for channel in channels]

    def to_state(self) -> State:
        """The state to save."""
        return {"n_steps": self.n_steps_, "n_channels": self.n_channels_, "means": self._means}

    @classmethod
    def from_state(cls, saved: Saved) -> "LastSteps":
        """Restore the features."""
        steps = cls()
        steps.n_steps_, steps.n_channels_ = (saved.integer(name, low=1) for name in ("n_steps", "n_channels"))
        steps._means = saved.array("means", np.float32, (steps.n_steps_ * steps.n_channels_,))
        return steps


def check_channels(series: Ragged, n_channels: int) -> None:
    """Raise an error if the series have a different number of channels."""
    if series.n_channels != n_channels:
        raise ValueError(f"The series have {series.n_channels} channels: expected {n_channels}, as in fit.")
