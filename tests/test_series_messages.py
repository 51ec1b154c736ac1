"""What is no number among series is refused: the message names row or column, the value, and what to do."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from seqclf import RNNClassifier, SequencePadder

X = np.random.default_rng(0).normal(size=(12, 7, 2))
Y = np.arange(12) % 2
TABLE = pd.DataFrame(X[:, :, 0]).rename(columns="t{}".format)
DAY = pd.Timestamp("2024-02-29")


def classifier():
    return RNNClassifier(units=2, max_epochs=1, conv_filters=2, random_state=0, n_threads=1)


def frames(**more):
    return [pd.DataFrame(row, columns=["x", "y"]).assign(**more) for row in X]


def as_polars(data):
    return [pl.from_pandas(frame) for frame in data] if isinstance(data, list) else pl.from_pandas(data)


def as_arrow(data):
    return [pa.Table.from_pandas(frame) for frame in data] if isinstance(data, list) else pa.Table.from_pandas(data)


LIBRARIES = {"pandas": lambda data: data, "polars": as_polars, "arrow": as_arrow}
COLUMNS = {
    "text": ("bob", ["'bob'", "not text", "Leave the column out"]),
    "a number as text": ("1.5", ["'1.5'", "not text"]),
    "category": (pd.Categorical(["bob"] * 12), ["'bob'", "not text"]),
    "date and time": (DAY, ["2024-02-29", "not dates or times", "time_as='delta'"]),
    "date": (datetime.date(2024, 2, 29), ["2024-02-29", "not dates or times"]),
    "duration": (pd.Timedelta(seconds=5), ["not dates or times"]),
    "a list as text": ("[1.0, 2.0]", ["'[1.0, 2.0]'", "a CSV file has turned into text", "json.loads"]),
    "an array as text": ("[1. 2.]", ["'[1. 2.]'", "np.fromstring"]),
}


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
@pytest.mark.parametrize(("value", "words"), COLUMNS.values(), ids=COLUMNS)
def test_a_column_that_is_no_numbers_is_named(library, value, words):
    row_value = value[:7] if isinstance(value, pd.Categorical) else value
    for data, where in (
        (library(TABLE.assign(extra=value)), "Column 'extra' of X holds"),
        (library(frames(extra=row_value)), "Column 'extra' of row 0 of X holds"),
    ):
        for fit in (lambda data: classifier().fit(data, Y), SequencePadder().fit):
            with pytest.raises(ValueError) as caught:
                fit(data)
            for word in (where, *words):
                assert word in str(caught.value)


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_a_column_in_predict_is_named_too(library):
    fitted = classifier().fit(library(TABLE), Y)
    with pytest.raises(ValueError, match="Column 't3' of X holds 'bob' in row 0"):
        fitted.predict(library(TABLE.assign(t3="bob")))
    with pytest.raises(ValueError, match="Column 't3' of X_val holds 'bob' in row 0"):
        classifier().fit(library(TABLE), Y, X_val=library(TABLE.assign(t3="bob")), y_val=Y)


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_numbers_of_every_type_are_columns(library):
    frame = TABLE.assign(t0=[True, False] * 6, t1=np.arange(12, dtype=np.uint8), t2=[Decimal("1.5")] * 12)
    plain = frame.astype(float)
    expected = classifier().fit(plain, Y).decision_function(plain)
    given = library(frame)
    np.testing.assert_array_equal(classifier().fit(given, Y).decision_function(given), expected)


OTHERS = {
    "texts in an array": (X[:, :, 0].astype(str), ["X holds '", "in row 0, column 0", "not text"]),
    "a text in an object array": (np.array([[1, "a"]] * 12, dtype=object), ["X holds 'a' in row 0, column 1"]),
    "texts in lists": ([["1", "2"], ["3", "4"]] * 6, ["X holds '1' in row 0, column 0", "not text"]),
    "dates in an array": (X[:, :, 0].astype("M8[s]"), ["in row 0, column 0", "not dates or times"]),
    "durations in an array": (X[:, :, 0].astype("m8[s]"), ["in row 0, column 0", "not dates or times"]),
    "dates with three axes": (X.astype("M8[s]"), ["at row 0, step 0, channel 0", "not dates or times"]),
    "a date in a row": ([[1.0, 2.0], [1.0, DAY, 2.0]] * 6, ["Row 1 of X holds 2024-02-29", "at step 1", "not dates"]),
    "lists as texts": (pd.Series(["[1.0, 2.0]"] * 12), ["Row 0 of X is '[1.0, 2.0]'", "CSV", "json.loads"]),
    "arrays as texts": (pd.Series(["[1. 2.]"] * 12), ["Row 0 of X is '[1. 2.]'", "CSV", "np.fromstring"]),
    "a column of lists as texts": (pd.DataFrame({"x": ["[1.0]"] * 12}), ["Row 0 of X is '[1.0]'", "CSV"]),
    "complex table": (X[:, :, 0] * 1j, ["Complex data not supported: X"]),
    "complex frame": (pd.DataFrame(X[:, :, 0] * 1j), ["Complex data not supported: column 0 of X"]),
    "infinity in a table": (np.where(X[:, :, 0] > 1, np.inf, X[:, :, 0]), ["Input X contains infinity: row "]),
    "too large a number": (np.array([[1, 10**400]] * 12, dtype=object), ["too large for float64"]),
    "too large a number in a row": ([[1.0, 10**400], [1.0]] * 6, ["too large for float64"]),
    "no columns": (pd.DataFrame(index=range(12)), ["0 feature(s)", "X"]),
    "lists in a table": (np.array([[1, [2]]] * 12, dtype=object), ["X holds [2] in row 0, column 1"]),
    "unequal steps": ([[[1, 2], [3]]] * 12, ["Row 0 of X has steps with [1, 2] channels"]),
}


@pytest.mark.parametrize(("data", "words"), OTHERS.values(), ids=OTHERS)
def test_what_is_no_number_is_named(data, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        classifier().fit(data, Y)
    for word in words:
        assert word in str(caught.value)
