"""Imputation of missing values from the same channel of the same series."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqclf._data.ragged import Ragged
from seqclf._validation.missing_values import fill_missing

NAN = float("nan")


def fill_reference(row, method):
    """One series, channel by channel and step by step."""
    filled = row.copy()
    for channel in range(row.shape[1]):
        observed = np.flatnonzero(~np.isnan(row[:, channel]))
        if not len(observed):
            continue
        if method == "interpolate":
            filled[:, channel] = np.interp(np.arange(len(row)), observed, row[observed, channel])
            continue
        for step in range(len(row)):
            before = observed[observed <= step]
            filled[step, channel] = row[before[-1] if len(before) else observed[0], channel]
    return filled


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("interpolate", [[1, 1, 2, 3, 4, 4], [5, 5], [NAN, NAN], [7]]),
        ("forward", [[1, 1, 1, 1, 4, 4], [5, 5], [NAN, NAN], [7]]),
    ],
)
def test_fill_holes_at_each_position(method, expected):
    rows = [[NAN, 1, NAN, NAN, 4, NAN], [NAN, 5], [NAN, NAN], [7]]
    filled = fill_missing(Ragged.from_items([np.array(row, dtype=float)[:, None] for row in rows]), method)
    for found, row in zip(filled.items(), expected, strict=True):
        np.testing.assert_array_equal(found[:, 0], row)


values = st.one_of(st.just(NAN), st.integers(-9, 9).map(float))


@given(st.lists(st.lists(st.tuples(values, values), max_size=7), min_size=1, max_size=5), st.data())
def test_fill_holes_equals_reference(rows, data):
    method = data.draw(st.sampled_from(["interpolate", "forward"]))
    arrays = [np.array(row, dtype=float).reshape(-1, 2) for row in rows]
    filled = fill_missing(Ragged.from_items(arrays, n_channels=2), method)
    for found, row in zip(filled.items(), arrays, strict=True):
        np.testing.assert_allclose(found, fill_reference(row, method), rtol=1e-12, atol=1e-12)


def test_fill_holes_without_missing_values_returns_the_same_object():
    series = Ragged.from_items([np.ones((3, 2))])
    assert fill_missing(series, "forward") is series
