"""Convolutions: the definition against numpy's own convolution, the compiled code against the definition."""

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
    """All kernels at each dilation, with 0 to 19 biases each: none, some of a vector, several vectors."""
    rng = np.random.default_rng(seed)
    n = len(dilations) * len(KERNELS)
    read = [rng.permutation(n_channels)[: rng.integers(1, n_channels + 1)] for _ in range(n)]
    lengths = rng.integers(0, 20, size=n)
    return Convolutions(
        np.repeat(np.array(dilations), len(KERNELS)),
        np.tile(KERNELS, (len(dilations), 1)),
        rng.integers(0, 2, size=n),
        Ragged.from_items(read, dtype=np.int64),
        Ragged(rng.normal(size=lengths.sum()).astype(np.float32), lengths),
    )


def features_by(write, drawn, series):
    features = np.full((len(series), 2, drawn.biases.n_steps), -1, dtype=np.float32)
    write(drawn, series, features)
    return features


def test_outputs_are_those_of_numpys_convolution():
    drawn, values = random_convolutions(), random_series([60], n_channels=3).values
    for i in range(len(drawn.dilations)):
        dilation = drawn.dilations[i]
        kernel = np.zeros(8 * dilation + 1)
        kernel[::dilation] = -1
        kernel[drawn.taps[i] * dilation] = 2
        summed = values[:, drawn.channels.items()[i]].astype(float).sum(axis=1)
        expected = np.convolve(summed, kernel[::-1], mode="same" if drawn.padded[i] else "valid")
        np.testing.assert_allclose(convolve(drawn, i, values), expected, atol=1e-4)


def test_a_flat_stretch_gives_exactly_0():
    drawn, values = random_convolutions(), np.full((60, 3), 1234.567, dtype=np.float32)
    for i in np.flatnonzero(drawn.padded == 0).tolist():
        assert not convolve(drawn, i, values).any()


def test_features_by_hand():
    """The output is three times the sum of the first three taps, less that of all nine."""
    values = np.array([0] * 9 + [1] * 3 + [0] * 10, dtype=np.float32)[:, None]
    drawn = Convolutions(
        np.array([1]),
        np.array([[0, 1, 2]]),
        np.array([0]),
        Ragged.from_items([np.array([0])]),
        Ragged.from_items([np.array([-0.5, 0.5, 100], dtype=np.float32)]),
    )
    outputs = convolve(drawn, 0, values)
    assert outputs.tolist() == [0, -1, -2, -3, -3, -3, -3, 0, 3, 6, 4, 2, 0, 0]
    features = features_by(write_plain, drawn, Ragged(values, np.array([22])))
    np.testing.assert_allclose(features[0] * 14, [[8, 4, 0], [7, 4, 0]], atol=1e-5)


@needs_library
@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("n_channels", [1, 3, 12])
def test_compiled_equals_plain_to_the_bit(n_channels):
    drawn, series = random_convolutions(n_channels), random_series(LENGTHS, n_channels)
    plain = features_by(write_plain, drawn, series)
    np.testing.assert_array_equal(features_by(write_compiled, drawn, series), plain)
    needed, lengths = drawn.needed_steps, series.lengths
    np.testing.assert_array_equal((plain >= 0).all(axis=1), needed <= lengths[:, None], "longer kernels write nothing")


@needs_library
def test_threads_and_company_change_no_bit():
    drawn, series = random_convolutions(), random_series(LENGTHS, n_channels=3)
    together = features_by(write_compiled, drawn, series)
    with kernel_threads(3):
        np.testing.assert_array_equal(features_by(write_compiled, drawn, series), together)
    for row, (start, stop) in enumerate(pairwise(series.offsets)):
        alone = Ragged(series.values[start:stop], series.lengths[row : row + 1])
        np.testing.assert_array_equal(features_by(write_compiled, drawn, alone)[0], together[row])


@needs_library
def test_the_compiled_code_is_called(monkeypatch):
    called = []
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    monkeypatch.setattr(convolutions, "write_compiled", lambda *args: called.append("compiled"))
    monkeypatch.setattr(convolutions, "write_plain", lambda *args: called.append("plain"))
    features_by(Convolutions.write_features, random_convolutions(), random_series(LENGTHS, n_channels=3))
    monkeypatch.setenv("SEQCLF_KERNELS", "reference")
    features_by(Convolutions.write_features, random_convolutions(), random_series(LENGTHS, n_channels=3))
    assert called == ["compiled", "plain"]


@needs_library
def test_other_forms_of_memory_are_read():
    drawn, series = random_convolutions(), random_series(LENGTHS, n_channels=3)
    expected = features_by(write_plain, drawn, series)
    strided = Ragged(np.asfortranarray(series.values.astype(np.float64)), series.lengths)
    np.testing.assert_array_equal(features_by(Convolutions.write_features, drawn, strided), expected)


def test_kernels_are_all_choices_of_three_taps():
    assert len(np.unique(KERNELS, axis=0)) == 84
    assert KERNELS.min() == 0 and KERNELS.max() == N_TAPS - 1
