"""Features of series that see no targets: random convolutions, as MiniRocket makes them, for a linear model.

The 84 kernels and their dilations are fixed by the number of features and the median length; what is drawn at random is
the channels that a convolution reads, and the training series whose outputs its biases are quantiles of.
`convolutions.py` names the papers and says what is made of the outputs.
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

# As many as MiniRocket has. The time of the ridge model grows with rows and features, by the square of the fewer of the
# two: many rows get fewer features. All features together are 400 MB at most.
MAX_FEATURES, MAX_FEATURES_OF_MANY_ROWS, MANY_ROWS, MAX_NUMBERS = 10_000, 3_000, 2_000, 100_000_000
# Numbers that are computed at once in prediction: 128 MB.
_MAX_AT_ONCE = 2**25
# What part of the features the statistics are, about: the weights of a kernel add up to 0, so that convolutions do not
# see the level of a channel.
_SHARE_OF_STATISTICS = 0.1
# As in MiniRocket.
_MAX_DILATIONS, _MAX_CHANNELS = 32, 9
_GOLDEN_RATIO = (5**0.5 + 1) / 2
# How many steps of a long series the quantiles are taken of, about: more would hardly change them.
_MAX_OUTPUTS = 4096


def most_features(n_rows: int) -> int:
    """How many features a model of so many training rows should have at most."""
    most = MAX_FEATURES if n_rows <= MANY_ROWS else MAX_FEATURES_OF_MANY_ROWS
    return max(min(most, MAX_NUMBERS // max(n_rows, 1)), 1)


class RandomConvolutions:
    """Shares and longest stretches of steps at which convolutions of a series are above biases, and a few statistics.

    The statistics are repeated so often that they are about a tenth of the features: a ridge model shrinks all
    coefficients alike, and would hardly use five features next to thousands.

    Where the median training series is shorter than a kernel, the features are the values of the first steps instead.
    A shorter series is continued with its last value there, and elsewhere up to the length of a kernel. A feature of a
    dilated kernel that is longer than a series is the mean of the training series that have it; an empty series has
    the means of all features.

    Parameters
    ----------
    n_features : int
        How many features there are at most, unless that is below two for each of the 84 kernels and the statistics.
    seed : int
        Of the generator that draws channels and biases.

    Attributes
    ----------
    convolutions_ : Convolutions or None
        None if the values are the features.
    n_values_ : int
        How many steps they are then the values of.
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
            Numbers without NaN, standardised by channel: a convolution adds channels up.
        """
        filled = series.lengths[series.lengths > 0]
        median = int(np.median(filled)) if len(filled) else 0
        if median < N_TAPS:
            self.convolutions_ = None
            self.n_values_ = min(int(series.lengths.max(initial=1)), N_TAPS)
            needed = np.ones(self.n_values_ * series.n_channels, dtype=np.int64)
        else:
            n_biases = int(self.n_features * (1 - _SHARE_OF_STATISTICS) / 2)
            rng = np.random.RandomState(self.seed)
            self.convolutions_ = draw_convolutions(continued(series, N_TAPS), median, n_biases, rng)
            needed = np.tile(self.convolutions_.needed_steps, 2)
        self.n_channels_ = series.n_channels
        n_statistics = len(STATISTICS) * series.n_channels + 1
        n_copies = int(len(needed) * _SHARE_OF_STATISTICS / (1 - _SHARE_OF_STATISTICS) / n_statistics)
        self.n_copies_ = max(n_copies, 1)
        needed = np.append(needed, np.ones(self.n_copies_ * n_statistics, dtype=np.int64))
        self.means_ = np.zeros(len(needed), dtype=np.float32)
        features = self.transform(series)
        n_steps = continued(series, N_TAPS).lengths
        for least in np.unique(needed):
            columns, rows = np.flatnonzero(needed == least), n_steps >= least
            if rows.any():
                self.means_[columns] = features[np.ix_(rows, columns)].mean(axis=0, dtype=np.float64)
            features[np.ix_(~rows, columns)] = self.means_[columns]
        return features

    def transform(self, series: Ragged) -> NDArray[np.float32]:
        """The features of any series, (n_series, n_features_out), each made of the series alone."""
        check_channels(series, self.n_channels_)
        features = np.tile(self.means_, (len(series), 1))
        filled = np.flatnonzero(series.lengths > 0)
        statistics = np.tile(series_statistics(series.take(filled)), self.n_copies_)
        rest = features[:, : -statistics.shape[1]]
        features[filled, rest.shape[1] :] = statistics
        if self.convolutions_ is None:
            values = continued(series.truncated(self.n_values_, "end"), self.n_values_).values
            rest[filled] = values.reshape(len(filled), rest.shape[1])
        else:
            by_bias = rest.reshape(len(series), 2, rest.shape[1] // 2)
            self.convolutions_.write_features(continued(series, N_TAPS), by_bias)
        return features

    def blocks(self, series: Ragged) -> Iterator[Ragged]:
        """The series in parts, whose features fit into memory."""
        size = max(_MAX_AT_ONCE // len(self.means_), 1)
        for start in range(0, len(series), size):
            yield series if len(series) <= size else series.take(np.arange(start, min(start + size, len(series))))

    @property
    def n_features_out(self) -> int:
        """How many features there are."""
        return len(self.means_)

    def names(self) -> list[str]:
        """What each feature is."""
        channels = range(self.n_channels_)
        statistics = [f"{what} of channel {one}" for what in STATISTICS for one in channels] + ["log length"]
        if self.convolutions_ is not None:
            names = self.convolutions_.names()
        else:
            names = [f"step {step} of channel {one}" for step in range(self.n_values_) for one in channels]
        return names + self.n_copies_ * statistics

    def to_state(self) -> State:
        """What is saved."""
        return {
            "convolutions": None if self.convolutions_ is None else self.convolutions_.to_state(),
            "n_values": self.n_values_ if self.convolutions_ is None else 0,
            "n_copies": self.n_copies_,
            "n_channels": self.n_channels_,
            "means": self.means_,
        }

    @classmethod
    def from_state(cls, saved: Saved) -> "RandomConvolutions":
        """The same features."""
        means = saved.array("means", np.float32, (None,))
        random = cls(n_features=len(means), seed=0)
        random.means_ = means
        n_channels = random.n_channels_ = saved.integer("n_channels", low=1, high=len(means))
        random.n_copies_ = saved.integer("n_copies", low=1, high=len(means))
        if saved.value("convolutions") is None:
            random.convolutions_, random.n_values_ = None, saved.integer("n_values", low=1, high=N_TAPS)
            n_found = random.n_values_ * n_channels
        else:
            saved.integer("n_values", high=0)
            random.convolutions_ = saved.part("convolutions", lambda part: Convolutions.from_state(part, n_channels))
            n_found = 2 * random.convolutions_.biases.n_steps
        n_statistics = len(STATISTICS) * n_channels + 1
        saved.require(n_found + random.n_copies_ * n_statistics == len(means), "there is not one mean for each feature")
        return random


def continued(series: Ragged, n_steps: int) -> Ragged:
    """The series with the last value of those below `n_steps` repeated up to there; empty ones stay empty."""
    lengths = np.where(series.lengths > 0, np.maximum(series.lengths, n_steps), 0)
    if np.array_equal(lengths, series.lengths):
        return series
    row = np.repeat(np.arange(len(series)), lengths)
    step = np.arange(len(row)) - (np.cumsum(lengths) - lengths)[row]
    return Ragged(series.values[series.offsets[row] + np.minimum(step, series.lengths[row] - 1)], lengths)


def draw_convolutions(series: Ragged, median_length: int, n_biases: int, rng: "np.random.RandomState") -> Convolutions:
    """All kernels at dilations up to the median length, with about so many biases in all.

    The biases of a convolution are quantiles of its outputs for one series, drawn from those that it fits into. The
    quantiles are those of MiniRocket: multiples of the golden ratio, which are spread evenly however many there are.
    """
    dilations, by_dilation = spread_biases(median_length, max(n_biases // len(KERNELS), 1))
    number = np.arange(len(dilations) * len(KERNELS))
    # 1, 2, 4 or 8 channels are about equally likely.
    n_most = min(series.n_channels, _MAX_CHANNELS)
    n_read = (2 ** rng.uniform(0, np.log2(n_most + 1), size=len(number))).astype(np.int64)
    channels = [rng.choice(series.n_channels, n, replace=False) for n in n_read.tolist()]
    lengths = np.repeat(by_dilation, len(KERNELS))
    drawn = Convolutions(
        dilations=np.repeat(dilations, len(KERNELS)),
        taps=np.tile(KERNELS, (len(dilations), 1)),
        padded=(number + number // len(KERNELS)) % 2,
        channels=Ragged.from_items(channels, dtype=np.int64),
        biases=Ragged(np.empty(lengths.sum(), dtype=np.float32), lengths),
    )
    quantiles = np.arange(1, len(drawn.biases.values) + 1) * _GOLDEN_RATIO % 1
    values, fits_into, items = drawn.biases.values, {}, series.items()
    for dilation in dilations.tolist():
        fits_into[dilation] = np.flatnonzero(series.lengths >= covered_steps(dilation))
    for i, (start, stop) in enumerate(pairwise(drawn.biases.offsets.tolist())):
        item = items[rng.choice(fits_into[int(drawn.dilations[i])])].astype(np.float32)
        outputs = convolve(drawn, i, item, every=-(-len(item) // _MAX_OUTPUTS))
        values[start:stop] = np.interp(
            quantiles[start:stop] * (len(outputs) - 1), np.arange(len(outputs)), np.sort(outputs)
        )
    return drawn


def spread_biases(median_length: int, n_biases: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Dilations, spread evenly over their logarithms, and how many of a kernel's biases each of them has."""
    n_dilations = min(n_biases, _MAX_DILATIONS)
    largest = (median_length - 1) // (N_TAPS - 1)
    wanted = np.geomspace(1, largest, n_dilations).astype(np.int64)
    dilations, counts = np.unique(wanted, return_counts=True)
    by_dilation = counts * n_biases // n_dilations
    left = n_biases - by_dilation.sum()
    by_dilation[:left] += 1
    return dilations, by_dilation
