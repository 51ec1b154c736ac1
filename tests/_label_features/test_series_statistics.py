"""Level, spread and length of series."""

import numpy as np
import pytest

from seqclf._data.ragged import Ragged
from seqclf._label_features.series_statistics import series_statistics

LENGTHS = [1, 2, 7, 9, 33, 100, 1000, 3, 129]


@pytest.mark.parametrize("n_channels", [1, 3])
def test_series_statistics_equal_numpy_for_each_series(n_channels):
    values = np.random.default_rng(0).normal(size=(sum(LENGTHS), n_channels)).astype(np.float32)
    series = Ragged(values, np.array(LENGTHS))
    found = series_statistics(series)
    for row, item in enumerate(series.items()):
        item = item.astype(float)
        expected = [item.mean(axis=0), item.std(axis=0), item.min(axis=0), item.max(axis=0), [np.log(len(item))]]
        np.testing.assert_allclose(found[row], np.concatenate(expected), rtol=1e-6, atol=1e-7)
        np.testing.assert_array_equal(series_statistics(series.take([row]))[0], found[row])


def test_series_statistics_without_series():
    assert series_statistics(Ragged(np.empty((0, 2)), np.empty(0, dtype=np.int64))).shape == (0, 9)
