"""Validation of labels, sample weights and groups."""

from collections import deque
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.sparse import csr_array
from sklearn.exceptions import DataConversionWarning

from seqclf._validation.targets import (
    check_two_classes,
    class_indices,
    validate_groups,
    validate_labels,
    validate_sample_weight,
)

INF = float("inf")
NAN = float("nan")


def test_check_two_classes_error_contains_the_counted_rows():
    words = "y_val holds only one class among the rows with a weight: 'a'. .*at least 2 classes, and got 1 class"
    with pytest.raises(ValueError, match=words):
        check_two_classes(np.array(["a"]), "y_val", among="the rows with a weight")
    check_two_classes(np.array(["a", "b"]), "y")


def test_masked_labels_and_weights_are_errors():
    with pytest.raises(TypeError, match="y is a masked array"):
        validate_labels(np.ma.masked_array([0, 1, 0], mask=[0, 0, 1]), 3)
    with pytest.raises(TypeError, match="sample_weight is a masked array"):
        validate_sample_weight(np.ma.masked_array([0, 1, 0], mask=[0, 0, 1]), 3)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, [1, 1, 1]),
        (2, [2, 2, 2]),
        ([1, 0, 2], [1, 0, 2]),
        (np.array([1, 0, 2], dtype=np.float32), [1, 0, 2]),
        (pd.Series([1, 0, 2]), [1, 0, 2]),
        (pl.Series([1, 0, 2]), [1, 0, 2]),
    ],
)
def test_sample_weight_from_every_container(weights, expected):
    found = validate_sample_weight(weights, 3)
    assert found.dtype == np.float64
    assert found.tolist() == expected


def test_sample_weight_is_a_copy():
    weights = np.ones(3)
    assert not np.shares_memory(validate_sample_weight(weights, 3), weights)


BAD_WEIGHTS = [
    (np.ones((3, 1)), "must be 1D array or scalar, got 2D array"),
    ([1, 2], r"sample_weight.shape == \(2,\), expected \(3,\)"),
    ([1, NAN, 1], "sample_weight is nan in row 1"),
    ([1, 1, INF], "sample_weight is inf in row 2"),
    ([-0.5, 1, 1], "sample_weight is -0.5 in row 0"),
    ([0, 0, 0], "at least one non-zero number"),
    (["a", "b", "c"], "sample_weight must be numbers"),
    ([[1], [1, 2], [3]], "sample_weight must be numbers"),
    (["1", "2", "3"], "sample_weight must be numbers, one for each row: it holds '1' in row 0"),
    (pd.date_range("2024-02-29", periods=3), "sample_weight must be numbers.*2024-02-29.* in row 0"),
    (np.arange(3).astype("m8[s]"), "sample_weight must be numbers"),
    (np.datetime64("2024-02-29"), "sample_weight must be numbers.*2024-02-29"),
    ([1, 1j, 1], "sample_weight holds .1.0j. at position 0"),
    (np.array([1, 1j, 1]), "sample_weight holds .* at position 0"),
    ([1, 10**400, 1], "sample_weight holds 1000.* at position 1: it is too large for float64"),
    ([1e-300, 1, 1e300], r"sample_weight ranges from 1e-300 in row 0 to 1e\+300 in row 2: .*at least 1e-30 times"),
]


@pytest.mark.parametrize(("weights", "words"), BAD_WEIGHTS)
def test_invalid_sample_weight_is_an_error(weights, words):
    with pytest.raises(ValueError, match=words):
        validate_sample_weight(weights, 3)


@pytest.mark.parametrize(
    ("labels", "classes", "codes"),
    [
        (["b", "a"], ["a", "b", "c"], [1, 0]),
        ([3, 1, 3], [1, 2, 3], [2, 0, 2]),
        ([1.0, 0.0], [0, 1], [1, 0]),
        (pd.Series(["b", "a"], dtype="category"), ["a", "b"], [1, 0]),
        (pl.Series(["b", "a"]), np.array(["a", "b"], dtype=object), [1, 0]),
    ],
)
def test_class_indices_of_labels(labels, classes, codes):
    found = class_indices(validate_labels(labels, len(codes)), np.asarray(classes), name="y_val")
    assert found.tolist() == codes
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["a", "x", "y", "x"], r"y_val holds \['x', 'y'\], but the classes of y are \['a', 'b'\]"),
        ([1, 2], r"y_val holds \[1, 2\]"),
    ],
)
def test_class_indices_error_contains_the_unknown_labels(labels, words):
    with pytest.raises(ValueError, match=words):
        class_indices(np.array(labels), np.array(["a", "b"]), name="y_val")


@pytest.mark.parametrize(
    ("groups", "indices"),
    [
        (None, None),
        ([7, 3, 7], [0, 1, 0]),
        (("b", "a", "b"), [0, 1, 0]),
        ([1, "1", 1], [0, 1, 0]),
        ([1.5, -np.inf, 1.5], [0, 1, 0]),
        ([("ann", 1), ("bob", 1), ("ann", 1)], [0, 1, 0]),
        (np.array(["b", "a", "b"]), [0, 1, 0]),
        (np.array(["2020-01-01", "2020-01-02", "2020-01-01"], dtype="M8[D]"), [0, 1, 0]),
        (pd.Series(["b", "a", "b"], index=[5, 5, 5], dtype="category"), [0, 1, 0]),
        (pd.Series([4, 2, 4], dtype="Int64"), [0, 1, 0]),
        (pl.Series([4, 2, 4]), [0, 1, 0]),
    ],
)
def test_groups_are_indexed_in_order_of_occurrence(groups, indices):
    found = validate_groups(groups, 3)
    if indices is None:
        assert found is None
    else:
        assert found.tolist() == indices
        assert found.dtype == np.int64


BAD_GROUPS = [
    ([1, 2], r"groups has the shape \(2,\): expected \(3,\)\. Pass one group for each row of X"),
    (np.ones((3, 1)), r"groups has the shape \(3, 1\)"),
    ("abc", r"groups has the shape \(\)"),
    (["a", None, "b"], "groups holds None in row 1"),
    (["a", "b", NAN], "groups holds nan in row 2"),
    ([NAN, 1.0, 2.0], "groups holds nan in row 0"),
    (pd.Series([1, pd.NA, 2], dtype="Int64"), "groups holds (nan|<NA>) in row 1"),
    (pl.Series([1, None, 2]), "groups holds nan in row 1"),
    (np.array(["2020-01-01", "NaT", "2020-01-02"], dtype="M8[D]"), "groups holds .*NaT.* in row 1"),
    ([[1], [2], [3]], "groups must be numbers, strings or other hashable objects: unhashable"),
    ([4, 4, 4], "groups holds only one group: at least 2"),
]


@pytest.mark.parametrize(("groups", "words"), BAD_GROUPS)
def test_invalid_groups_are_errors(groups, words):
    with pytest.raises(ValueError, match=words):
        validate_groups(groups, 3)


def test_masked_groups_are_errors():
    with pytest.raises(TypeError, match="groups is a masked array"):
        validate_groups(np.ma.masked_array([1, 2, 3]), 3)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (
            [["a", "b"], ["a"], ["b"]],
            r"Row 0 of y holds 2 labels, \['a', 'b'\]: expected one label.*MultiLabelBinarizer",
        ),
        ([["a"], [], ["b"]], r"Row 1 of y holds 0 labels, \[\]"),
        ([{"a"}, {"b"}, {"b", "c", "d"}], "Row 2 of y holds 3 labels"),
        (pd.Series([["a"], ["b", "c"], ["a"]]), "Row 1 of y holds 2 labels"),
        (
            [["a", "b"], ["a", "c"], ["b", "c"]],
            r"y should be a 1d array, got an array of shape \(3, 2\) .*MultiLabelBinarizer",
        ),
        (
            [[1, 1, 0], [0, 1, 0], [1, 0, 0]],
            r"y should be a 1d array, got an array of shape \(3, 3\) .*MultiLabelBinarizer",
        ),
        (pd.DataFrame({"u": [1, 2, 3], "v": [1, 2, 3]}), r"Pick the column that holds the labels, e.g. y\['u'\]"),
        (
            [[1, 0], [0, 2], [3, 0]],
            r"\(3, 2\) instead: one label for each row, or an indicator matrix of 0 and 1, but row 1 holds 2\. For",
        ),
        (pd.DataFrame({"u": [1, 0, None], "v": [1, 1, 0]}), r"but row 2 holds nan\. Pick the column .*y\['u'\]"),
        (np.ones((1, 3)), r"If these are the labels of 3 rows, pass np.ravel\(y\)"),
        (np.ones((3, 2, 2)), "y must be one label for each row of X, got array"),
        ({"a": 1}, "y must be one label for each row of X, got {'a': 1}"),
        ([1, [2], 3], r"y must be one label for each row of X, got \[1, \[2\], 3\]"),
    ],
)
def test_labels_must_be_one_for_each_row(y, message):
    with pytest.raises(ValueError, match=message):
        validate_labels(y, 3)


def test_message_for_y_val_does_not_suggest_an_indicator_matrix():
    with pytest.raises(
        ValueError, match=r"got an array of shape \(3, 2\) instead: one label for each row\. For several"
    ):
        validate_labels([[1, 0], [0, 2], [3, 0]], 3, name="y_val", rows_name="X_val")


def test_sparse_labels_are_errors():
    with pytest.raises(TypeError, match=r"Convert it with y.toarray\(\)\.$"):
        validate_labels(csr_array(np.ones((3, 1))), 3)


@pytest.mark.parametrize(
    "y", [[["a"], ["b"], ["a"]], np.array([["a"], ["b"], ["a"]]), pd.DataFrame({"y": ["a", "b", "a"]})]
)
def test_column_of_labels_is_raveled_with_a_warning(y):
    with pytest.warns(DataConversionWarning):
        assert validate_labels(y, 3).tolist() == ["a", "b", "a"]


def test_sample_weight_allows_large_ratios_and_zeros():
    for weights in ([1e-20, 0, 1e9], [1e300, 1e280, 1e299], [0, 0, 5e-324]):
        assert validate_sample_weight(weights, 3).tolist() == weights


def labels(y, name="y"):
    return validate_labels(y, len(y), name=name)


NUL = ["a", "a\0", "b"]


@pytest.mark.parametrize("wrap", [list, tuple, deque, pd.Series, pa.array, lambda y: np.array(y, dtype=object)])
def test_labels_that_end_with_nul_are_errors(wrap):
    """numpy would drop the NUL."""
    with pytest.raises(ValueError, match=r"y_val holds 'a\\x00' in row 1, which ends with NUL: numpy drops it"):
        labels(wrap(NUL), "y_val")
    assert labels(wrap(["a", "\0a", "a\0a"])).tolist() == ["a", "\0a", "a\0a"]


@pytest.mark.parametrize(
    "y", [[2**63, 2**63 + 1, 1], [2**63, -1], (10**400, 1), pd.Series([2**70, 2**70 + 1]), [1, 2**63]]
)
def test_integer_labels_beyond_64_bits_are_errors(y):
    """numpy would convert them to floats, and different labels to equal ones."""
    with pytest.raises(
        ValueError, match=r"y holds \d.* in row [01]: expected whole numbers that fit in int64.*str\(\)"
    ):
        labels(y)


def test_integer_labels_beyond_exact_floats_are_not_mixed_with_floats():
    with pytest.raises(ValueError, match="y is an object array that holds float and int"):
        labels([2**53, 2**53 + 1, 1.0])
    assert labels([2**53, 1.0]).tolist() == [2**53, 1]
    assert labels([2**53, 2**53 + 1]).tolist() == [2**53, 2**53 + 1]
    assert labels(np.array([2**63, 2**63 + 1], dtype=np.uint64)).tolist() == [2**63, 2**63 + 1]


def test_labels_with_a_failing_comparison_are_errors():
    with pytest.raises(ValueError, match=r"Input y contains NaN: the label of row 0 is Decimal\('sNaN'\)"):
        labels([Decimal("sNaN"), Decimal(1)])


class Unhashable:
    def __hash__(self):
        raise RuntimeError("no hash")


def test_groups_with_a_failing_hash_are_errors():
    with pytest.raises(ValueError, match="groups can't be read, because it raises RuntimeError: no hash"):
        validate_groups([Unhashable(), 1], 2)
