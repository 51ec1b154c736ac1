"""Validation of numeric series from every container, and the errors for invalid ones."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from seqclf._data.ragged import Ragged
from seqclf._validation.channels import SeriesForm
from seqclf._validation.series import validate_series

INF = float("inf")
NAN = float("nan")


def validated(X, n_channels=None, **keywords):
    """The validated series, without their form."""
    seen = None if n_channels is None else SeriesForm(n_channels)
    return validate_series(X, seen=seen, **keywords)[0]


def containing(*parts):
    """A pattern for messages that contain all these parts, in any order."""
    return "(?s)" + "".join(f"(?=.*{re.escape(part)})" for part in parts)


RAGGED_SERIES = [[1.0, 2.0, 3.0], [4.0], []]


@pytest.mark.parametrize(
    "X",
    [
        RAGGED_SERIES,
        [[1, 2, 3], [4], []],
        [[True, 2, 3], [4], []],
        [np.array(row)[:, None] for row in RAGGED_SERIES],
        Ragged.from_items(RAGGED_SERIES).items(),
        [np.array(row, dtype=object) for row in RAGGED_SERIES],
        pd.Series(RAGGED_SERIES),
        pl.Series(RAGGED_SERIES),
        np.array([[1, 2, 3], [NAN, 4, NAN], [NAN] * 3])[:, :, None],
        np.array([[1, 2, 3], [None, 4, pd.NA], [NAN] * 3], dtype=object)[:, :, None],
    ],
)
def test_one_channel_from_every_container(X):
    data = validated(X)
    assert [item.tolist() for item in data.items()] == [[[value] for value in row] for row in RAGGED_SERIES]
    assert data.values.dtype == np.float64


CHANNELS = [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]], []]


@pytest.mark.parametrize(
    "X",
    [
        CHANNELS,
        pd.Series(CHANNELS),
        pl.Series(CHANNELS),
        pl.DataFrame({"steps": CHANNELS}),
        pl.Series(CHANNELS, dtype=pl.List(pl.Array(pl.Float64, 2))),
        pd.Series(list(pl.Series(CHANNELS).to_numpy())),  # as pandas reads Parquet files
        [[np.array(step) for step in row] for row in CHANNELS],
    ],
)
def test_several_channels_from_every_container(X):
    data = validated(X)
    assert data.values.tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert data.lengths.tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    "X",
    [
        [[1, 2], [3, NAN]],
        [[1, 2], [3, None]],
        [[1, 2, 4], [3, pd.NA]],
        Ragged.from_items([[1, 2, 4], [3, NAN]]).items(),
        np.array([[1, 2], [3, NAN]]),
        np.array([[1, 2], [3, None]], dtype=object),
        pd.DataFrame([[1, 2], [3, None]]),
        pd.DataFrame([[1, 2], [3, None]], dtype="Int64"),
        pl.Series([[1, 2], [3, None]]),
        list(np.array([[[1], [2]], [[3], [NAN]]])),
        [[[1, 2], [3, 4]], [[5, 6], None]],
        pl.Series([[[1, 2], [3, 4]], [[5, 6], None]]),
    ],
)
def test_nan_is_padding_only_in_3d_arrays(X):
    with pytest.raises(ValueError, match=r"Input X contains NaN: row 1, step 1.*NaN is padding only .* in a 3-D array"):
        validated(X)


def test_masked_series_are_errors():
    masked = np.ma.masked_array([1.0, 2.0], mask=[0, 1])
    for X, words in [
        (masked[None, :, None], "X is a masked array"),
        ([[1.0], masked], "X holds a masked array at position 1"),
        (pd.Series([[1.0], masked]), "X holds a masked array at position 1"),
        ([np.ones((1, 2)), [masked, masked]], "Row 1 of X holds a masked array at position 0"),
        ([[1.0, np.ma.masked]], "Row 0 of X holds a masked array at position 1"),
    ]:
        with pytest.raises(TypeError, match=words):
            validated(X)


def test_empty_rows_among_series_with_channels():
    data = validated([np.ones((2, 3)), [], np.zeros((0, 3)), [[1, 2, 3]]], n_channels=3)
    assert data.values.shape == (3, 3)
    assert data.lengths.tolist() == [2, 0, 0, 1]


def test_empty_series_have_the_channels_of_fit():
    assert validated([[], []]).values.shape == (0, 1)
    assert validated([[], []], n_channels=4).values.shape == (0, 4)
    # The channels of an array without steps do not count: a network for a billion channels would not fit in memory.
    assert validated(np.empty((2, 0, 4))).values.shape == (0, 1)
    assert validated(np.empty((2, 0, 10**9)), n_channels=3).values.shape == (0, 3)
    assert validated([np.empty((0, 10**9)), [[1.0, 2.0]] * 2]).values.shape == (2, 2)
    assert validated([np.empty((0, 10**9)), []]).values.shape == (0, 1)


def test_step_with_one_observed_channel_is_not_padding():
    array = np.array([[[NAN, NAN], [1.0, 2.0], [NAN, NAN]]])
    assert validated(array).values.tolist() == [[1.0, 2.0]]
    array[0, 0, 1] = 5.0
    with pytest.raises(ValueError, match="row 0, step 0, channel 0"):
        validated(array)


@pytest.mark.parametrize(("dtype", "expected"), [(np.float32, np.float32), (np.float16, np.float64), (int, np.float64)])
def test_keep_float32(dtype, expected):
    X = np.ones((2, 3), dtype=dtype)
    assert validated(X).values.dtype == np.float64
    assert validated(X, keep_float32=True).values.dtype == expected
    assert validated(list(X), keep_float32=True).values.dtype == expected


WITH_NAN = np.array([[1.0, 2.0, 3.0], [NAN, 4.0, 5.0]])[:, :, None].repeat(2, axis=2)
WITH_NAN[1, 2, 1] = NAN
BAD_SERIES = [
    (np.ones((2, 3, 2)) * 1j, {}, ["Complex data not supported"]),
    ([[1j, 2]], {}, ["Complex data not supported", "Row 0"]),
    ([np.array([1j, None], dtype=object)], {}, ["Complex data not supported"]),
    (["a text"], {}, ["Row 0 of X is 'a text' (str)", "not text", "TextTokenizer"]),
    ([["1", "2"]], {}, ["Row 0 of X holds", "'1'", "TextTokenizer"]),
    (np.array([["1"], ["2"]]), {}, ["Row 0 of X is '1' (str)", "TextTokenizer"]),
    ([[1, 2], [1, "a"]], {}, ["Row 1 of X holds", "not text"]),
    ([np.array([1, "a"], dtype=object)], {}, ["Row 0 of X holds", "not text"]),
    ([[1, 2], [1, {}]], {}, ["Row 1 of X holds {} at step 1", "expected numbers"]),
    (np.array([["2020-01-01"]], dtype="M8[D]"), {}, ["X holds", "2020-01-01", "row 0, step 0", "not dates"]),
    ([1.0, 2.0], {}, ["Row 0 of X is 1.0 (float)", "a series of numbers"]),
    (np.array([1.0, 2.0]), {}, ["Row 0 of X is", "1.0", "a series of numbers"]),
    ([[1.0], None], {}, ["Row 1 of X is None (NoneType)"]),
    ([[[1, 2], [3]]], {}, ["Row 0 of X has steps with [1, 2] channels"]),
    (np.ones((1, 2, 3, 4)), {}, ["X has 4 dimensions"]),
    ([np.ones((1, 2, 3))], {}, ["Row 0 of X has 3 dimensions"]),
    (np.ones((2, 3, 0)), {}, ["Row 0 of X has 0 channels"]),
    ([np.ones((2, 0))], {}, ["Row 0 of X has 0 channels"]),
    ([np.ones((2, 2)), [], np.ones((2, 3))], {}, ["Row 2 of X has 3 channels, but row 0 has 2"]),
    (np.ones((2, 3, 2)), {"n_channels": 4}, ["Row 0 of X has 2 channels, but X of fit had 4"]),
    ([[1.0], np.ones((2, 2))], {"n_channels": 1}, ["Row 1 of X has 2 channels, but X of fit had 1"]),
    (np.ones((2, 3)), {"n_channels": 2}, ["Row 0 of X has 1 channel, but X of fit had 2"]),
    (np.array([[1.0, NAN, 2.0]]), {}, ["Input X contains NaN: row 0, step 1, channel 0"]),
    (WITH_NAN, {}, ["Input X contains NaN: row 1, step 2, channel 1"]),
    ([[1.0], [0.0, 1.0, -INF]], {}, ["Input X contains infinity: row 1, step 2, channel 0"]),
    (WITH_NAN.astype(object), {}, ["Input X contains NaN: row 1, step 2, channel 1"]),
    (np.empty((0, 3, 2)), {}, ["Found array with 0 sample(s)"]),
]


@pytest.mark.parametrize(("X", "keywords", "words"), BAD_SERIES)
def test_invalid_series_are_errors(X, keywords, words):
    with pytest.raises((ValueError, TypeError), match=containing(*words)):
        validated(X, **keywords)


def test_sparse_series_are_a_type_error():
    with pytest.raises(TypeError, match="Sparse data was passed for X"):
        validated(scipy.sparse.eye(3))
