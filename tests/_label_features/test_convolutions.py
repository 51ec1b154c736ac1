"""Convolutions: the reference against `numpy.convolve`, the compiled code against the reference."""

from itertools import pairwise

import numpy as np
import pytest

from _factories import random_series
from seqclf._data.ragged import Ragged
from seqclf._label_features import convolutions
from seqclf._label_features.convolutions import KERNELS, N_TAPS, Convolutions, convolve, write_compiled, write_plain
from seqclf._native import library
from seqclf._native.threads import kernel_threads

needs_library = pytest.mark.skipif(not library.available()[0], reason=library.available()[1])
LENGTHS = [0, 1, 8, 9, 10, 16, 17, 25, 40, 41, 100]


def random_convolutions(n_channels=3, dilations=(1, 2, 5), seed=0):
    """All kernels at each dilation, with 0 to 19 biases each: none, part of a SIMD vector, several vectors."""
    rng = np.random.default_rng(seed)
    n = len(dilations) * len(KERNELS)
    channels = [rng.permutation(n_channels)[: rng.integers(1, n_channels + 1)] for _ in range(n)]
    lengths = rng.integers(0, 20, size=n)
    return Convolutions(
        np.repeat(np.array(dilations), len(KERNELS)),
        np.tile(KERNELS, (len(dilations), 1)),
        rng.integers(0, 2, size=n),
        Ragged.from_items(channels, dtype=np.int64),
        Ragged(rng.normal(size=lengths.sum()).astype(np.float32), lengths),
    )


def compute(write, convs, series):
    features = np.full((len(series), 2, convs.biases.n_steps), -1, dtype=np.float32)
    write(convs, series, features)
    return features


def test_convolve_equals_numpy():
    convs, values = random_convolutions(), random_series([60], n_channels=3).values
    for i in range(len(convs.dilations)):
        dilation = convs.dilations[i]
        kernel = np.zeros(8 * dilation + 1)
        kernel[::dilation] = -1
        kernel[convs.taps[i] * dilation] = 2
        summed = values[:, convs.channels.items()[i]].astype(float).sum(axis=1)
        expected = np.convolve(summed, kernel[::-1], mode="same" if convs.padded[i] else "valid")
        np.testing.assert_allclose(convolve(convs, i, values), expected, atol=1e-4)


def test_convolve_of_constant_series_is_exactly_zero():
    convs, values = random_convolutions(), np.full((60, 3), 1234.567, dtype=np.float32)
    for i in np.flatnonzero(convs.padded == 0).tolist():
        assert not convolve(convs, i, values).any()


def test_write_plain_on_a_small_example():
    """The output is three times the sum of the first three taps minus the sum of all nine."""
    values = np.array([0] * 9 + [1] * 3 + [0] * 10, dtype=np.float32)[:, None]
    convs = Convolutions(
        np.array([1]),
        np.array([[0, 1, 2]]),
        np.array([0]),
        Ragged.from_items([np.array([0])]),
        Ragged.from_items([np.array([-0.5, 0.5, 100], dtype=np.float32)]),
    )
    outputs = convolve(convs, 0, values)
    assert outputs.tolist() == [0, -1, -2, -3, -3, -3, -3, 0, 3, 6, 4, 2, 0, 0]
    features = compute(write_plain, convs, Ragged(values, np.array([22])))
    np.testing.assert_allclose(features[0] * 14, [[8, 4, 0], [7, 4, 0]], atol=1e-5)


@needs_library
@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("n_channels", [1, 3, 12])
def test_write_compiled_equals_write_plain_to_the_bit(n_channels):
    convs, series = random_convolutions(n_channels), random_series(LENGTHS, n_channels)
    plain = compute(write_plain, convs, series)
    np.testing.assert_array_equal(compute(write_compiled, convs, series), plain)
    needed, lengths = convs.needed_steps, series.lengths
    np.testing.assert_array_equal((plain >= 0).all(axis=1), needed <= lengths[:, None], "no features of longer kernels")


@needs_library
def test_write_compiled_does_not_depend_on_threads_and_other_series():
    convs, series = random_convolutions(), random_series(LENGTHS, n_channels=3)
    expected = compute(write_compiled, convs, series)
    with kernel_threads(3):
        np.testing.assert_array_equal(compute(write_compiled, convs, series), expected)
    for row, (start, stop) in enumerate(pairwise(series.offsets)):
        single = Ragged(series.values[start:stop], series.lengths[row : row + 1])
        np.testing.assert_array_equal(compute(write_compiled, convs, single)[0], expected[row])


@needs_library
def test_write_features_chooses_the_implementation(monkeypatch):
    called = []
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    monkeypatch.setattr(convolutions, "write_compiled", lambda *args: called.append("compiled"))
    monkeypatch.setattr(convolutions, "write_plain", lambda *args: called.append("plain"))
    compute(Convolutions.write_features, random_convolutions(), random_series(LENGTHS, n_channels=3))
    monkeypatch.setenv("SEQCLF_KERNELS", "reference")
    compute(Convolutions.write_features, random_convolutions(), random_series(LENGTHS, n_channels=3))
    assert called == ["compiled", "plain"]


@needs_library
def test_write_features_accepts_float64_and_fortran_order():
    convs, series = random_convolutions(), random_series(LENGTHS, n_channels=3)
    expected = compute(write_plain, convs, series)
    strided = Ragged(np.asfortranarray(series.values.astype(np.float64)), series.lengths)
    np.testing.assert_array_equal(compute(Convolutions.write_features, convs, strided), expected)


def test_kernels_are_all_combinations_of_three_taps():
    assert len(np.unique(KERNELS, axis=0)) == 84
    assert KERNELS.min() == 0 and KERNELS.max() == N_TAPS - 1
