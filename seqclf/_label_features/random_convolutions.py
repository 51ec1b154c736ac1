"""Unsupervised features of series for a linear model: random convolutions as in MiniRocket.

The kernels are the same 84 in every fit, and the number of features and the median length determine their dilations.
The input channels of a convolution are drawn at random, and so is the training series whose output quantiles are its
biases. `convolutions.py` names the papers and defines the features.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._label_features.convolutions import KERNELS, N_TAPS, Convolutions, convolve, covered_steps
from seqclf._label_features.last_steps import check_channels
from seqclf._label_features.series_statistics import STATISTICS, series_statistics
from seqclf._saved import Saved, State

# The number of features is that of MiniRocket. The ridge model takes time proportional to the larger of rows and
# features, times the square of the smaller, so there are fewer features for many rows. The feature matrix takes at most
# 400 MB.
MAX_FEATURES, MAX_FEATURES_OF_MANY_ROWS, MANY_ROWS, MAX_VALUES = 10_000, 3_000, 2_000, 100_000_000
# The number of values computed at once in prediction: 128 MB.
_MAX_AT_ONCE = 2**25
# The approximate fraction of statistics among the features. They are needed because convolutions do not see the level
# of a channel: the weights of a kernel add up to 0.
_STATISTICS_FRACTION = 0.1
# As in MiniRocket.
_MAX_DILATIONS, _MAX_CHANNELS = 32, 9
_GOLDEN_RATIO = (5**0.5 + 1) / 2
# Quantiles of a long series are taken from about this many of its steps: more would hardly change them.
_MAX_OUTPUTS = 4096


def max_features_for(n_rows: int) -> int:
    """The largest number of features for a model of `n_rows` training rows."""
    max_features = MAX_FEATURES if n_rows <= MANY_ROWS else MAX_FEATURES_OF_MANY_ROWS
    return max(min(max_features, MAX_VALUES // max(n_rows, 1)), 1)


class RandomConvolutions:
    """The features of random convolutions (see `convolutions.py`), and a few statistics.

    The statistics are repeated until they are about a tenth of the features: a ridge model shrinks all coefficients
    equally, and would hardly use five features next to thousands.

    If the median training series is shorter than a kernel, the features are the values of the first steps instead. A
    series that is too short for them, or for a kernel without dilation, is extended with its last value. If a dilated
    kernel is longer than a series, its features are the means over the training series that are long enough. An empty
    series gets the means of all features.

    Parameters
    ----------
    n_features : int
        The largest number of features. There are always two for each of the 84 kernels, and the statistics.
    seed : int
        The seed for drawing channels and biases.

    Attributes
    ----------
    convolutions_ : Convolutions or None
        None if the features are values of steps.
    n_values_ : int
        The number of these steps.
    n_copies_ : int
        How often the statistics are repeated.
    means_ : ndarray of shape (n_features_out,), float32
        The mean of each feature over the training series that have it.

    Examples
    --------
    >>> import numpy as np
    >>> from seqclf._data.ragged import Ragged
    >>> waves = [np.sin(np.arange(n) / 3)[:, None] for n in (30, 40, 50)]
    >>> convolutions = RandomConvolutions(n_features=1000, seed=0)
    >>> features = convolutions.fit_transform(Ragged.from_items(waves))
    >>> features.shape
    (3, 930)
    >>> alone = convolutions.transform(Ragged.from_items(waves[:1]))
    >>> bool((alone == features[:1]).all())
    True
    """

    convolutions_: Convolutions | None
    n_values_: int
    n_copies_: int
    n_channels_: int
    means_: NDArray[np.float32]

    def __init__(self, n_features: int, seed: int):
        self.n_features, self.seed = n_features, seed

    def fit_transform(self, series: Ragged) -> NDArray[np.float32]:
        """Draw the convolutions and return the features of the training series, (n_series, n_features_out).

        Parameters
        ----------
        series : Ragged of shape (n_steps, n_channels)
            Values without NaN, standardised by channel, because a convolution adds up channels.
        """
        filled = series.lengths[series.lengths > 0]
        median = int(np.median(filled)) if len(filled) else 0
        if median < N_TAPS:
            self.convolutions_ = None
            self.n_values_ = min(int(series.lengths.max(initial=1)), N_TAPS)
            min_steps = np.ones(self.n_values_ * series.n_channels, dtype=np.int64)
        else:
            n_biases = int(self.n_features * (1 - _STATISTICS_FRACTION) / 2)
            rng = np.random.RandomState(self.seed)
            self.convolutions_ = draw_convolutions(extended(series, N_TAPS), median, n_biases, rng)
            min_steps = np.tile(self.convolutions_.needed_steps, 2)
        self.n_channels_ = series.n_channels
        n_statistics = len(STATISTICS) * series.n_channels + 1
        n_copies = int(len(min_steps) * _STATISTICS_FRACTION / (1 - _STATISTICS_FRACTION) / n_statistics)
        self.n_copies_ = max(n_copies, 1)
        min_steps = np.append(min_steps, np.ones(self.n_copies_ * n_statistics, dtype=np.int64))
        self.means_ = np.zeros(len(min_steps), dtype=np.float32)
        features = self.transform(series)
        n_steps = extended(series, N_TAPS).lengths
        for length in np.unique(min_steps):
            columns, rows = np.flatnonzero(min_steps == length), n_steps >= length
            if rows.any():
                self.means_[columns] = features[np.ix_(rows, columns)].mean(axis=0, dtype=np.float64)
            features[np.ix_(~rows, columns)] = self.means_[columns]
        return features

    def transform(self, series: Ragged) -> NDArray[np.float32]:
        """The features of any series, (n_series, n_features_out); those of a series do not depend on the others."""
        check_channels(series, self.n_channels_)
        features = np.tile(self.means_, (len(series), 1))
        filled = np.flatnonzero(series.lengths > 0)
        statistics = np.tile(series_statistics(series.take(filled)), self.n_copies_)
        before_statistics = features[:, : -statistics.shape[1]]
        features[filled, before_statistics.shape[1] :] = statistics
        if self.convolutions_ is None:
            values = extended(series.truncated(self.n_values_, "end"), self.n_values_).values
            before_statistics[filled] = values.reshape(len(filled), before_statistics.shape[1])
        else:
            by_bias = before_statistics.reshape(len(series), 2, before_statistics.shape[1] // 2)
            self.convolutions_.write_features(extended(series, N_TAPS), by_bias)
        return features

    def blocks(self, series: Ragged) -> Iterator[Ragged]:
        """Split the series into blocks whose features fit into memory."""
        size = max(_MAX_AT_ONCE // len(self.means_), 1)
        for start in range(0, len(series), size):
            yield series if len(series) <= size else series.take(np.arange(start, min(start + size, len(series))))

    @property
    def n_features_out(self) -> int:
        """The number of features."""
        return len(self.means_)

    def names(self) -> list[str]:
        """The name of each feature."""
        channels = range(self.n_channels_)
        statistics = [f"{name} of channel {channel}" for name in STATISTICS for channel in channels] + ["log length"]
        if self.convolutions_ is not None:
            names = self.convolutions_.names()
        else:
            names = [f"step {step} of channel {channel}" for step in range(self.n_values_) for channel in channels]
        return names + self.n_copies_ * statistics

    def to_state(self) -> State:
        """The state to save."""
        return {
            "convolutions": None if self.convolutions_ is None else self.convolutions_.to_state(),
            "n_values": self.n_values_ if self.convolutions_ is None else 0,
            "n_copies": self.n_copies_,
            "n_channels": self.n_channels_,
            "means": self.means_,
        }

    @classmethod
    def from_state(cls, saved: Saved) -> "RandomConvolutions":
        """Restore the features."""
        means = saved.array("means", np.float32, (None,))
        features = cls(n_features=len(means), seed=0)
        features.means_ = means
        n_channels = features.n_channels_ = saved.integer("n_channels", low=1, high=len(means))
        features.n_copies_ = saved.integer("n_copies", low=1, high=len(means))
        if saved.value("convolutions") is None:
            features.convolutions_, features.n_values_ = None, saved.integer("n_values", low=1, high=N_TAPS)
            n_others = features.n_values_ * n_channels
        else:
            saved.integer("n_values", high=0)
            features.convolutions_ = saved.part(
                "convolutions", lambda state: Convolutions.from_state(state, n_channels)
            )
            n_others = 2 * features.convolutions_.biases.n_steps
        n_statistics = len(STATISTICS) * n_channels + 1
        n_features = n_others + features.n_copies_ * n_statistics
        saved.require(n_features == len(means), "there is not one mean for each feature")
        return features


def extended(series: Ragged, n_steps: int) -> Ragged:
    """Extend series shorter than `n_steps` to that length with their last value; empty ones are unchanged."""
    lengths = np.where(series.lengths > 0, np.maximum(series.lengths, n_steps), 0)
    if np.array_equal(lengths, series.lengths):
        return series
    row = np.repeat(np.arange(len(series)), lengths)
    step = np.arange(len(row)) - (np.cumsum(lengths) - lengths)[row]
    return Ragged(series.values[series.offsets[row] + np.minimum(step, series.lengths[row] - 1)], lengths)


def draw_convolutions(series: Ragged, median_length: int, n_biases: int, rng: "np.random.RandomState") -> Convolutions:
    """All kernels at dilations up to the median length, with about `n_biases` biases in total.

    The biases of a convolution are quantiles of its outputs for one series, which is drawn from those that are at least
    as long as the kernel. The quantiles are those of MiniRocket: multiples of the golden ratio modulo 1, which are
    evenly distributed for any number of biases.
    """
    dilations, n_biases_of_dilation = distribute_biases(median_length, max(n_biases // len(KERNELS), 1))
    index = np.arange(len(dilations) * len(KERNELS))
    # 1, 2, 4 or 8 channels are about equally likely.
    max_channels = min(series.n_channels, _MAX_CHANNELS)
    n_channels = (2 ** rng.uniform(0, np.log2(max_channels + 1), size=len(index))).astype(np.int64)
    channels = [rng.choice(series.n_channels, n, replace=False) for n in n_channels.tolist()]
    lengths = np.repeat(n_biases_of_dilation, len(KERNELS))
    convolutions = Convolutions(
        dilations=np.repeat(dilations, len(KERNELS)),
        taps=np.tile(KERNELS, (len(dilations), 1)),
        padded=(index + index // len(KERNELS)) % 2,
        channels=Ragged.from_items(channels, dtype=np.int64),
        biases=Ragged(np.empty(lengths.sum(), dtype=np.float32), lengths),
    )
    biases, items = convolutions.biases, series.items()
    quantiles = np.arange(1, len(biases.values) + 1) * _GOLDEN_RATIO % 1
    long_enough = {
        dilation: np.flatnonzero(series.lengths >= covered_steps(dilation)) for dilation in dilations.tolist()
    }
    for i, (start, stop) in enumerate(pairwise(biases.offsets.tolist())):
        item = items[rng.choice(long_enough[int(convolutions.dilations[i])])].astype(np.float32)
        outputs = convolve(convolutions, i, item, every=-(-len(item) // _MAX_OUTPUTS))
        biases.values[start:stop] = np.interp(
            quantiles[start:stop] * (len(outputs) - 1), np.arange(len(outputs)), np.sort(outputs)
        )
    return convolutions


def distribute_biases(median_length: int, n_biases: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Dilations that are evenly spaced on a logarithmic scale, and the number of biases of a kernel at each of them."""
    n_dilations = min(n_biases, _MAX_DILATIONS)
    largest = (median_length - 1) // (N_TAPS - 1)
    candidates = np.geomspace(1, largest, n_dilations).astype(np.int64)
    dilations, counts = np.unique(candidates, return_counts=True)
    n_biases_of_dilation = counts * n_biases // n_dilations
    n_remaining = n_biases - n_biases_of_dilation.sum()
    n_biases_of_dilation[:n_remaining] += 1
    return dilations, n_biases_of_dilation
