"""Validation of numeric targets."""

import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array

from seqclf._validation.numeric_targets import validate_numeric_targets

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "y",
    [
        [1, 2, 0],
        (1.0, 2.0, 0.0),
        np.array([1, 2, 0], dtype=np.int8),
        np.array([1, 2, 0], dtype=np.float32),
        np.array([1, 2.0, np.float64(0)], dtype=object),
        [Fraction(1), Decimal(2), 0],
        pd.Series([1, 2, 0], index=[7, 7, 7]),
        pd.Series([1, 2, 0], dtype="Int64"),
        pl.Series([1, 2, 0]),
    ],
)
def test_one_number_per_row_from_every_container(y):
    targets = validate_numeric_targets(y, 3)
    assert targets.dtype == np.float64
    assert targets.tolist() == [1.0, 2.0, 0.0]


@pytest.mark.parametrize(
    "y",
    [
        [[1, 2], [3, 4]],
        np.array([[1, 2], [3, 4]]),
        pd.DataFrame({"a": [1, 3], "b": [2, 4]}),
        [(1, 2), np.array([3, 4])],
    ],
)
def test_several_numbers_per_row(y):
    assert validate_numeric_targets(y, 2).tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_column_keeps_two_dimensions():
    assert validate_numeric_targets([[1], [2]], 2).shape == (2, 1)


def test_booleans_become_numbers():
    assert validate_numeric_targets([True, False], 2).tolist() == [1.0, 0.0]


def test_targets_are_a_copy():
    y = np.array([1.0, 2.0])
    validate_numeric_targets(y, 2)[0] = 5
    assert y[0] == 1


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (None, ValueError, "requires y to be passed, but the target y is None"),
        (
            [1, 2],
            ValueError,
            r"y has 2 rows, but X has 3: expected a number.*inconsistent numbers of samples: \[3, 2\]",
        ),
        ([1, NAN, 2], ValueError, "Input y contains NaN: the target of row 1 is nan"),
        ([1, 2, INF], ValueError, "Input y contains infinity: the target of row 2 is inf"),
        ([[1, 2], [3, -INF], [5, 6]], ValueError, "contains infinity: the target of row 1, column 1 is -inf"),
        ([1, None, 2], ValueError, "Input y contains NaN: the target of row 1 is None"),
        (pd.Series([1, None, 2], dtype="Int64"), ValueError, "contains NaN: the target of row 1"),
        ([1, "2", 3], ValueError, "y holds '2' as the target of row 1: expected numbers, not text"),
        (["1", "2", "3"], ValueError, "y holds '1' as the target of row 0: expected numbers, not text"),
        ([1, 2j, 3], ValueError, r"Complex data not supported: y holds .*, the target of row 0"),
        (np.array([1, 2j, 3], dtype=object), ValueError, "Complex data not supported: y holds 2j, the target of row 1"),
        (
            np.array(["2020-01-01"] * 3, dtype="M8[D]"),
            ValueError,
            "as the target of row 0: expected numbers, not dates",
        ),
        ([1, [2, 3], 4], ValueError, r"Row 1 of y holds 2 values, \[2, 3\]: expected one number for each row"),
        ([[1], [2, 3], [4]], ValueError, r"Row 0 of y holds 1 values, \[1\]"),
        (np.zeros((3, 2, 2)), ValueError, r"y has the shape \(3, 2, 2\): expected a number for each row"),
        (np.zeros((3, 0)), ValueError, r"y has the shape \(3, 0\)"),
        (5.0, ValueError, r"y is 5.0: expected a number for each row of X, \(3,\)"),
        ((value for value in range(3)), ValueError, "y is <generator.*: expected a number for each row"),
        ({1.0, 2.0, 3.0}, ValueError, "y is {1.0, 2.0, 3.0}: expected a number"),
        ({"a": 1}, ValueError, "y is {'a': 1}: expected a number"),
        ("123", ValueError, "y is '123': expected a number"),
        ([10**400, 1, 2], ValueError, "too large for float64"),
        ([object(), 1, 2], TypeError, "y holds <object.*as the target of row 0: expected numbers"),
        (csr_array(np.eye(3)), TypeError, r"y is a sparse matrix: expected.*y.toarray\(\)"),
        (np.ma.masked_array([1, 2, 3], [0, 1, 0]), TypeError, "y is a masked array"),
    ],
)
def test_invalid_targets_are_errors(y, error, message):
    with pytest.raises(error, match=message):
        validate_numeric_targets(y, 3)


def test_messages_contain_the_given_names():
    with pytest.raises(ValueError, match=re.escape("Input y_val contains NaN")):
        validate_numeric_targets([1, NAN], 2, name="y_val", rows_name="X_val")
    with pytest.raises(ValueError, match="y_val has 1 rows, but X_val has 2"):
        validate_numeric_targets([1], 2, name="y_val", rows_name="X_val")
