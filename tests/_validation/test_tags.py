"""Validation of tags, one label for each step, from every container, and messages with row and step."""

import re
from collections import deque

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.sparse import csr_array

from seqclf._validation.tags import check_tag_type, tag_class_indices, validate_tags

TAGS = [["a", "b", "a"], [], ["b"]]


def check(y, n_rows=None, name="y", rows_name="X"):
    return validate_tags(y, len(y) if n_rows is None else n_rows, name=name, rows_name=rows_name)


def as_lists(tags):
    return [row.tolist() for row in tags.items()]


FORMS = {
    "lists": TAGS,
    "tuples": tuple(map(tuple, TAGS)),
    "arrays": [np.array(row, dtype="<U1") for row in TAGS],
    "object array": pd.Series(TAGS).to_numpy(),
    "a Series": pd.Series(TAGS, index=[7, 8, 9]),
    "a Series of polars": pl.Series(TAGS),
    "rows are Series": [pd.Series(row, dtype=object) for row in TAGS],
    "rows are Series of polars": [pl.Series(row, dtype=pl.String) for row in TAGS],
    "strings of numpy": [[np.str_(label) for label in row] for row in TAGS],
}


@pytest.mark.parametrize("form", FORMS)
def test_tags_from_every_form(form):
    tags = check(FORMS[form])
    assert tags.lengths.tolist() == [3, 0, 1]
    assert as_lists(tags) == TAGS
    assert {type(label) for label in tags.values} == {str}


@pytest.mark.parametrize("labels", [[[1, 2], [2, 1]], [[True, False], [True, True]], [["a", "b"], ["b", "a"]]])
@pytest.mark.parametrize("wrap", [list, np.array, pd.DataFrame, lambda y: [np.array(row) for row in y]])
def test_tags_of_equal_length_keep_their_type(labels, wrap):
    tags = check(wrap(labels))
    assert as_lists(tags) == labels
    assert {type(label) for label in tags.values} == {type(labels[0][0])}


def test_none_is_a_step_without_a_label():
    assert as_lists(check([["a", None], [None]])) == [["a", None], [None]]
    assert as_lists(check([np.array([None, 3], dtype=object), [4]])) == [[None, 3], [4]]


def test_tags_are_a_copy():
    y = [np.array([1, 2])]
    tags = check(y)
    tags.values[0] = 9
    assert y[0].tolist() == [1, 2]


EXPECTED = "expected a list of labels for each of the 2 rows of X, one label for each step"


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (None, "requires y to be passed, but the target y is None."),
        ("ab", f"y is 'ab': {EXPECTED}."),
        ({"a": 1, "b": 2}, f"{EXPECTED}."),
        ({"a", "b"}, f"{EXPECTED}."),
        (3, f"y is 3: {EXPECTED}."),
        (np.array("a"), f"{EXPECTED}."),
        (iter([["a"], ["b"]]), f"{EXPECTED}."),
        ([["a"]], "y has 1 rows, but X has 2: expected"),
        ([["a"]], "Found input variables with inconsistent numbers of samples: [2, 1]"),
        (["NOUN VERB", "VERB"], f"Row 0 of y is 'NOUN VERB': {EXPECTED}."),
        ([["a"], "b"], f"Row 1 of y is 'b': {EXPECTED}."),
        ([["a"], 3], f"Row 1 of y is 3: {EXPECTED}."),
        ([["a"], None], f"Row 1 of y is None: {EXPECTED}."),
        ([["a"], {"b": 1}], f"Row 1 of y is {{'b': 1}}: {EXPECTED}."),
        ([["a"], {"b"}], f"Row 1 of y is {{'b'}}: {EXPECTED}."),
        (np.array(["a", "b"]), f"Row 0 of y is 'a': {EXPECTED}."),
        ([0, 1], f"Row 0 of y is 0: {EXPECTED}."),
        ([["a"], ["b", ["c", "d"]]], "Row 1 of y holds ['c', 'd'] at step 1: expected one label for each step."),
        ([["a"], [["b"], ["c", "d"]]], "Row 1 of y holds ['b'] at step 0: expected one label for each step."),
        (np.zeros((2, 3, 2), dtype=int), "Row 0 of y holds [0, 0] at step 0: expected one label for each step."),
        ([["a"], ["b\0"]], "y holds 'b\\x00' in row 1, step 0, which ends with NUL"),
        ([[1], [2, 2**63]], "y holds 9223372036854775808 in row 1, step 1: expected whole numbers that fit in int64"),
        ([[1.0], [np.inf]], "Row 1 of y holds inf at step 0: expected a label, or None for a step"),
        ([["a"], ["b", 3]], "Row 1 of y holds 3, an int, at step 1: expected labels that are all texts"),
        ([[1], [2, True]], "Row 1 of y holds True, a bool, at step 1: expected labels that are all texts"),
        ([[None, 1.5], [2.0]], "Row 0 of y holds 1.5, a float, at step 1: expected labels that are all texts"),
        ([[b"a"], [b"b"]], "Row 0 of y holds b'a', a bytes, at step 0: expected labels that are all texts"),
    ],
)
def test_invalid_tags_are_errors(y, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        check(y, 2)


def test_sparse_and_masked_tags_are_errors():
    with pytest.raises(TypeError, match=re.escape(f"y is a sparse matrix: {EXPECTED}.")):
        check(csr_array(np.eye(2)), 2)
    with pytest.raises(TypeError, match="y is a masked array"):
        check(np.ma.masked_array([[1, 2], [1, 2]], mask=[[0, 1], [0, 0]]))
    with pytest.raises(TypeError, match="y holds a masked array at position 1"):
        check([[1], np.ma.masked_array([1, 2], mask=[0, 1])])


def test_messages_contain_the_given_names():
    with pytest.raises(ValueError, match=r"^Row 0 of y_val is 3: .* rows of X_val, "):
        check([3], name="y_val", rows_name="X_val")


def test_tag_class_indices():
    codes = tag_class_indices(check([["b", None], [], ["a"]]), np.array(["a", "b"]), name="y")
    assert codes.values.tolist() == [1, -1, 0] and codes.lengths.tolist() == [2, 0, 1]
    with pytest.raises(ValueError, match=re.escape("y_val holds ['c'], but the classes of y are ['a', 'b']")):
        tag_class_indices(check([["c", None], ["a"]]), np.array(["a", "b"]), name="y_val")


@pytest.mark.parametrize("missing", [float("nan"), np.nan, pd.NA, pd.NaT, np.datetime64("NaT")])
def test_missing_values_are_steps_without_a_label(missing):
    assert as_lists(check([["a", missing], [missing]])) == [["a", None], [None]]
    assert as_lists(check([pd.Series(["a", missing], dtype=object), [missing, "b"]])) == [["a", None], [None, "b"]]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: pd.DataFrame({"tags": y}),
        lambda y: pl.DataFrame({"tags": y}),
        lambda y: pa.table({"tags": y}),
        lambda y: pa.table({"tags": y})["tags"],
        pa.array,
        deque,
        lambda y: [pa.array(row, pa.string()) for row in y],
        lambda y: [deque(row) for row in y],
    ],
)
@pytest.mark.parametrize("y", [TAGS, [["a", "b"], ["b", "a"]]])
def test_tags_in_columns_of_lists(wrap, y):
    assert as_lists(check(wrap(y))) == y


def test_dates_are_errors():
    days = np.array(["2024-02-28", "2024-02-29"], dtype="M8[ns]")
    with pytest.raises(ValueError, match=r"Row 0 of y holds .*2024-02-28.*, a datetime64, at step 0: expected labels"):
        check([days, days])


def test_check_tag_type_error_contains_row_step_and_types():
    classes = np.array(["a", "b"])
    check_tag_type(check([["a", None], ["c"]]), classes, "y")
    with pytest.raises(
        ValueError, match=r"Row 1 of y holds 3, an int, at step 0, but the classes .* type str, \['a', 'b'\]"
    ):
        check_tag_type(check([[None], [3]]), classes, "y")
