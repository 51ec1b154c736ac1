"""Validation of tables in prediction: the same values as scikit-learn, and the errors."""

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from seqclf import RNNClassifier
from seqclf._validation.table import validate_table

ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
FRAME = pd.DataFrame(ROWS, columns=["a", "b", "c"])


@pytest.mark.parametrize(
    "X",
    [
        ROWS,
        [[1, 2, 3], [4, 5, 2**63]],
        [[1, True, 3], [4, 5, 6.5]],
        [[1.0, None, 3.0], [4.0, float("nan"), float("inf")]],
        [[2**70, 1, 2]],
        np.array(ROWS, dtype=np.float32),
        np.array(ROWS, dtype=np.uint8),
        np.array(ROWS, dtype=bool),
        np.array(ROWS, dtype=">f8"),
        np.array(ROWS, dtype=object),
        np.array(ROWS * 3)[::2, ::-1],
        tuple(map(tuple, ROWS)),
    ],
)
def test_validate_table_equals_validate_data(X):
    class FittedEstimator(BaseEstimator):
        n_features_in_ = 3

    expected = validate_data(FittedEstimator(), X, reset=False, dtype=np.float64, ensure_all_finite=False)
    found = validate_table(X, 3)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "X",
    [
        FRAME,
        FRAME.astype("Int64"),
        FRAME.astype({"b": np.int8}),
        pl.DataFrame(FRAME.to_dict("list")),
        pa.Table.from_pandas(FRAME),
    ],
)
def test_validate_table_accepts_every_frame(X):
    assert validate_table(X, 3, ["a", "b", "c"]).tolist() == ROWS


def test_missing_values_of_a_frame_become_nan():
    assert np.isnan(validate_table(FRAME.astype("Int64").mask(FRAME == 2), 3, ["a", "b", "c"])[0, 1])


@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        ([1.0, 2.0, 3.0], ValueError, "Expected 2D array, got 1D array instead"),
        ([[1.0], [1.0, 2.0]], ValueError, "got ragged or 3-D series"),
        (np.zeros((2, 3, 1)), ValueError, "got ragged or 3-D series"),
        ([np.zeros(3)], ValueError, "got ragged or 3-D series"),
        (np.zeros((2, 4)), ValueError, "X has 4 columns, but in fit it had 3"),
        (np.zeros((0, 3)), ValueError, "Found array with 0 sample"),
        (np.zeros((2, 3), dtype=complex), ValueError, "Complex data not supported"),
        ([["a", "b", "c"]], ValueError, "expected numbers, not text"),
        ([[1, 2, 3], [4, "a", 5]], ValueError, "X holds 'a' in row 1, column 1: expected numbers, not text"),
        (scipy.sparse.eye(3), TypeError, "Sparse data was passed for X, but dense data is required"),
        (np.ma.array(ROWS, mask=False), TypeError, "X is a masked array"),
        (FRAME[["a", "c", "b"]], ValueError, "feature names should match .* in a different order"),
        (FRAME.rename(columns={"a": "d"}), ValueError, "feature names should match .* not those of fit"),
        ([[10**400, 1, 2]], ValueError, "too large for float64"),
        (None, ValueError, "X must be a table of 3 steps"),
    ],
)
def test_invalid_tables_are_errors(X, error, words):
    with pytest.raises(error, match=re.compile(words, re.DOTALL)):
        validate_table(X, 3, ["a", "b", "c"] if hasattr(X, "columns") else None)


def test_missing_column_names_warn_and_match_by_position():
    with pytest.warns(UserWarning, match="X has feature names, but the model was fitted without"):
        assert validate_table(FRAME, 3).tolist() == ROWS
    with pytest.warns(UserWarning, match="valid has no feature names, but the model was fitted with them"):
        assert validate_table(ROWS, 3, ["a", "b", "c"], "valid").tolist() == ROWS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        validate_table(FRAME.set_axis([0, 1, 2], axis=1), 3)


def test_validate_table_equals_the_validation_of_estimators():
    table = pd.DataFrame(np.random.RandomState(0).randn(20, 3), columns=["a", "b", "c"])
    estimator = RNNClassifier(units=2, max_epochs=1, random_state=0).fit(table, [0, 1] * 10)
    rows = estimator._validate_X(table, reset=False)
    found = validate_table(table, estimator.n_features_in_, estimator.feature_names_in_)
    np.testing.assert_array_equal(found.reshape(-1, 1), rows.values)


def test_columns_of_several_levels_are_errors():
    """A pivoted frame has all steps of a channel, then those of the next, so its rows are not series of one channel."""
    long = pd.DataFrame({"i": np.repeat(range(6), 4), "t": list(range(4)) * 6, "a": range(24), "b": range(24)})
    wide = long.pivot(index="i", columns="t", values=["a", "b"])
    with pytest.raises(ValueError, match=r"columns of 2 levels.*channels_first=True.*series_from_frame"):
        RNNClassifier().fit(wide, [0, 1] * 3)
