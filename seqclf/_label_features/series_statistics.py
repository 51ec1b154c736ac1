"""Level, spread and length of series, which kernels whose weights add up to 0 can't detect."""

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged

STATISTICS = ("mean", "standard deviation", "minimum", "maximum")


def series_statistics(series: Ragged) -> NDArray[np.float32]:
    """Mean, standard deviation, minimum and maximum of each channel, and the logarithm of the length.

    Parameters
    ----------
    series : Ragged of shape (n_steps, n_channels)
        No series is empty.

    Returns
    -------
    ndarray of shape (n_series, 4 * n_channels + 1)
    """
    starts, lengths = series.offsets[:-1], series.lengths[:, None]
    values = series.values.astype(np.float64)
    smallest, largest = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    mean = np.add.reduceat(values, starts) / lengths
    values -= np.repeat(mean, series.lengths, axis=0)
    deviation = np.sqrt(np.add.reduceat(values**2, starts) / lengths)
    return np.hstack([mean, deviation, smallest, largest, np.log(lengths)]).astype(np.float32)
