"""The convolutions that are drawn, and the features of series of any length."""

import time

import numpy as np
import pytest

from _factories import random_series
from seqclf._data.ragged import Ragged
from seqclf._label_features.convolutions import convolve
from seqclf._label_features.random_convolutions import (
    RandomConvolutions,
    distribute_biases,
    draw_convolutions,
    extended,
    max_features_for,
)
from seqclf._label_features.series_statistics import series_statistics


def fitted(series, n_features=1000, seed=0):
    convolutions = RandomConvolutions(n_features, seed)
    return convolutions, convolutions.fit_transform(series)


LENGTHS = [30, 9, 60, 0, 45, 3, 17, 52, 1]


def test_features_do_not_depend_on_other_series(unchanged_global_state):
    series = random_series(LENGTHS)
    convolutions, features = fitted(series)
    np.testing.assert_array_equal(convolutions.transform(series), features)
    for row in range(len(series)):
        np.testing.assert_array_equal(convolutions.transform(series.take([row]))[0], features[row])


def test_seed_determines_the_features():
    series = random_series(LENGTHS)
    np.testing.assert_array_equal(fitted(series)[1], fitted(series)[1])
    assert (fitted(series)[1] != fitted(series, seed=1)[1]).any()


def test_features_of_too_long_kernels_are_means_over_longer_series():
    series = random_series(LENGTHS)
    convolutions, features = fitted(series)
    needed = np.tile(convolutions.convolutions_.needed_steps, 2)  # The statistics follow.
    assert len(np.unique(needed)) > 1
    lengths = extended(series, 9).lengths
    for column in range(len(needed)):
        has_steps = lengths >= needed[column]
        mean = features[has_steps, column].mean(dtype=np.float64)
        np.testing.assert_allclose(features[~has_steps, column], mean, rtol=1e-6)
    np.testing.assert_array_equal(features[LENGTHS.index(0)], convolutions.means_)
    assert np.isfinite(features).all()


def test_extended_repeats_the_last_value():
    series = extended(Ragged.from_items([np.array([[1.0], [2.0]]), np.empty((0, 1)), np.ones((4, 1))]), 3)
    assert series.lengths.tolist() == [3, 0, 4]
    assert series.values[:, 0].tolist() == [1, 2, 2, 1, 1, 1, 1]


def test_features_are_values_if_the_median_series_is_short():
    lengths = [3, 5, 0, 2, 5, 12]
    series = random_series(lengths)
    convolutions, features = fitted(series)
    assert convolutions.convolutions_ is None
    assert features.shape == (6, 9 * 2 + 9)
    np.testing.assert_array_equal(features[5, :18], series.items()[5][:9].ravel())
    np.testing.assert_array_equal(features[0, :6], series.items()[0].ravel())
    np.testing.assert_array_equal(features[0, 6:18].reshape(6, 2), np.tile(series.items()[0][-1], (6, 1)))
    filled = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(features[2], features[filled].mean(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(convolutions.transform(series), features)
    assert fitted(random_series([3, 5, 2]))[1].shape == (3, 5 * 2 + 9), "no more values than the longest series has"


def test_statistics_are_a_tenth_of_the_features():
    series = random_series(LENGTHS)
    convolutions, features = fitted(series)
    n_statistics = convolutions.n_copies_ * 9
    assert 0.08 < n_statistics / features.shape[1] < 0.12
    expected = series_statistics(series.take(series.lengths > 0))
    for copy in np.split(features[series.lengths > 0, -n_statistics:], convolutions.n_copies_, axis=1):
        np.testing.assert_array_equal(copy, expected)


def test_features_of_empty_series_are_zero():
    convolutions, features = fitted(random_series([0, 0]))
    assert not features.any()
    assert convolutions.transform(random_series([4])).shape == (1, features.shape[1])


def test_constant_series_have_equal_features():
    features = fitted(Ragged.from_array(np.full((5, 40, 2), 3.0)))[1]
    assert (features == features[0]).all()


@pytest.mark.parametrize(("median", "n_biases"), [(9, 1), (9, 50), (24, 59), (100, 5), (1_000, 59), (50_000, 17)])
def test_distribute_biases(median, n_biases):
    dilations, n_biases_of_dilation = distribute_biases(median, n_biases)
    assert dilations[0] == 1 and (np.diff(dilations) > 0).all() and len(dilations) <= 32
    assert 8 * dilations[-1] + 1 <= median
    assert n_biases_of_dilation.sum() == n_biases and (n_biases_of_dilation > 0).all()
    if n_biases > 1:
        assert 8 * (dilations[-1] + 1) + 1 > median, "the longest kernel that fits into the median series"


def test_biases_are_quantiles_of_outputs():
    series = random_series([200], n_channels=1)
    convs = draw_convolutions(series, 200, 84 * 40, np.random.RandomState(0))
    for i, biases in enumerate(convs.biases.items()):
        outputs = convolve(convs, i, series.values)
        index = convs.biases.offsets[i] + np.arange(1, len(biases) + 1)
        below = (outputs <= biases[:, None]).mean(axis=1)
        np.testing.assert_allclose(below, index * (5**0.5 + 1) / 2 % 1, atol=1 / len(outputs))


def test_convolutions_have_various_channels_and_padding():
    convs = draw_convolutions(random_series([100] * 3, n_channels=12), 100, 84 * 20, np.random.RandomState(0))
    n_channels = convs.channels.lengths
    assert n_channels.min() == 1 and n_channels.max() <= 9 and len(np.unique(n_channels)) > 4
    assert all(len(set(channels)) == len(channels) for channels in convs.channels.items())
    assert set(convs.channels.values) == set(range(12))
    for dilation in np.unique(convs.dilations):
        assert convs.padded[convs.dilations == dilation].tolist() in ([0, 1] * 42, [1, 0] * 42)


@pytest.mark.parametrize("n_channels", [1, 3, 12])
@pytest.mark.parametrize("n_features", [500, 3_000, 10_000])
def test_n_features_is_an_upper_bound(n_channels, n_features):
    n_found = fitted(random_series([60] * 4, n_channels), n_features)[1].shape[1]
    assert 0.6 * n_features < n_found <= n_features


def test_max_features_for():
    assert max_features_for(1) == max_features_for(2_000) == 10_000
    assert max_features_for(2_001) == max_features_for(33_333) == 3_000
    assert max_features_for(100_000) == 1_000


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(8, 50_000, 1), (60_000, 28, 28)])
def test_long_series_and_many_rows_take_seconds(shape):
    series = Ragged.from_array(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))
    start = time.perf_counter()
    fitted(series, max_features_for(shape[0]))
    assert time.perf_counter() - start < 60
