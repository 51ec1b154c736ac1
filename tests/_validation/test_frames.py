"""Frames of pandas, polars and arrow: columns, labels, conversion to arrays, and messages that name the column."""

import datetime
from collections import deque
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from seqclf import RNNClassifier, SequencePadder
from seqclf._validation.frames import (
    channel_names,
    check_numeric_column,
    column_labels,
    columns,
    frame_to_array,
    holds_structs,
    is_frame,
    is_nested,
    is_sequence,
    nested_columns,
)

MAKE_FRAME = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
every_library = pytest.mark.parametrize("make", MAKE_FRAME.values(), ids=MAKE_FRAME)


@every_library
def test_is_frame_accepts_frames(make):
    assert is_frame(make({"a": [1, 2]}))


@pytest.mark.parametrize(
    "X",
    [[1], (1,), "a", {"a": 1}, np.eye(2), pd.Series([1]), pl.Series([1]), pl.LazyFrame({"a": [1]}), deque([1]), None],
)
def test_is_frame_rejects_other_containers(X):
    assert not is_frame(X)


@every_library
def test_column_labels_and_columns(make):
    frame = make({"b": [1.5, 2.5], "a": ["x", "y"]})
    assert column_labels(frame, "X") == ["b", "a"]
    found = {label: values.tolist() for label, values in columns(frame, "X")}
    assert found == {"b": [1.5, 2.5], "a": ["x", "y"]}


def test_column_labels_must_be_unique():
    with pytest.raises(ValueError, match="X_val has two columns named 'a': rename or drop one of them"):
        column_labels(pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"]), "X_val")


def test_columns_of_equally_long_lists_are_object_arrays():
    frame = pl.DataFrame({"steps": pl.Series([[1.0, 2.0], [3.0, 4.0]], dtype=pl.Array(pl.Float64, 2))})
    ((label, values),) = columns(frame, "X")
    assert label == "steps" and values.shape == (2,) and values.dtype == object
    assert [cell.tolist() for cell in values] == [[1.0, 2.0], [3.0, 4.0]]


def test_channel_names_ignore_default_labels():
    assert channel_names(pd.DataFrame([[1, 2]]), "X") is None
    assert channel_names(pd.DataFrame([[1, 2]], columns=[1, 0]), "X") == ("1", "0")
    assert channel_names(pl.DataFrame({"x": [1], "y": [2]}), "X") == ("x", "y")


@every_library
def test_frame_to_array_of_numbers(make):
    array = frame_to_array(make({"a": [1, 2], "b": [0.5, 1.5]}), "X")
    assert array.dtype == np.float64 and array.tolist() == [[1, 0.5], [2, 1.5]]
    with_decimals = frame_to_array(make({"a": [1, None], "b": [Decimal("1.5"), Decimal(2)]}), "X")
    np.testing.assert_array_equal(with_decimals, [[1, 1.5], [np.nan, 2]])


@every_library
def test_frame_to_array_error_contains_column_and_row(make):
    with pytest.raises(ValueError, match=r"Column 'b' of X_val holds 'x' in step 0: expected numbers, not text"):
        frame_to_array(make({"a": [1, 2], "b": ["x", "y"]}), "X_val", "step")


def test_check_numeric_column_rejects_complex_and_text():
    check_numeric_column("a", np.array([1, None, True], dtype=object), "X")
    with pytest.raises(ValueError, match="Complex data not supported: column 'a' of row 3 of X"):
        check_numeric_column("a", np.array([1j]), "Row 3 of X")
    with pytest.raises(ValueError, match=r"Column 'a' of X holds 'b' in row 1: .* Drop the column"):
        check_numeric_column("a", np.array([1, "b"], dtype=object), "X")


def test_holds_structs():
    structs = pl.Series([{"x": 1, "y": 2}])
    assert holds_structs(structs, "X") and holds_structs(pl.DataFrame({"a": structs}), "X")
    assert holds_structs(pl.Series([[{"x": 1}]]), "X")
    for X in (pl.Series([1]), pl.DataFrame({"a": [1]}), pd.DataFrame({"a": [{"x": 1}]}), [{"x": 1}], np.eye(2)):
        assert not holds_structs(X, "X")


@every_library
def test_is_nested_and_nested_columns(make):
    nested = make({"a": [[1.0, 2.0], [3.0]], "b": [[4.0, 5.0], [6.0]]})
    assert is_nested(nested, "X") and not is_nested(make({"a": [1, 2]}), "X") and not is_nested(make({"a": ["x"]}), "X")
    found = {label: [list(cell) for cell in cells] for label, cells in nested_columns(nested, "X")}
    assert found == {"a": [[1.0, 2.0], [3.0]], "b": [[4.0, 5.0], [6.0]]}
    with pytest.raises(
        ValueError, match=r"Column 'age' of X holds 7 in row 0, but column 'a' holds series: .*Drop 'age'"
    ):
        nested_columns(make({"a": [[1.0], [2.0]], "age": [7, 8]}), "X")


def test_is_sequence():
    assert all(map(is_sequence, ([1], (1,), np.ones(2), pd.Series([1]), pl.Series([1]))))
    assert not any(map(is_sequence, ("text", b"text", {"a": 1}, 3, None, np.array(3))))


# Messages of estimators

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
    "text": ("bob", ["'bob'", "not text", "Drop the column"]),
    "a number as text": ("1.5", ["'1.5'", "not text"]),
    "category": (pd.Categorical(["bob"] * 12), ["'bob'", "not text"]),
    "date and time": (DAY, ["2024-02-29", "not dates or times", "time_as='delta'"]),
    "date": (datetime.date(2024, 2, 29), ["2024-02-29", "not dates or times"]),
    "duration": (pd.Timedelta(seconds=5), ["not dates or times"]),
    "a list as text": ("[1.0, 2.0]", ["'[1.0, 2.0]'", "a CSV file has stored as text", "json.loads"]),
    "an array as text": ("[1. 2.]", ["'[1. 2.]'", "np.fromstring"]),
}


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
@pytest.mark.parametrize(("value", "words"), COLUMNS.values(), ids=COLUMNS)
def test_error_contains_the_column_that_is_not_numeric(library, value, words):
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
def test_error_in_predict_contains_the_column(library):
    fitted = classifier().fit(library(TABLE), Y)
    with pytest.raises(ValueError, match="Column 't3' of X holds 'bob' in row 0"):
        fitted.predict(library(TABLE.assign(t3="bob")))
    with pytest.raises(ValueError, match="Column 't3' of X_val holds 'bob' in row 0"):
        classifier().fit(library(TABLE), Y, X_val=library(TABLE.assign(t3="bob")), y_val=Y)


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_numeric_columns_of_every_dtype_are_valid(library):
    frame = TABLE.assign(t0=[True, False] * 6, t1=np.arange(12, dtype=np.uint8), t2=[Decimal("1.5")] * 12)
    floats = frame.astype(float)
    expected = classifier().fit(floats, Y).decision_function(floats)
    converted = library(frame)
    np.testing.assert_array_equal(classifier().fit(converted, Y).decision_function(converted), expected)
