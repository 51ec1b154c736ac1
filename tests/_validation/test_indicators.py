"""Detection and validation of indicator matrices."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import coo_array, coo_matrix, csc_array, csr_array, csr_matrix, lil_matrix

from seqclf._validation.indicators import first_non_binary, is_indicator, validate_indicator

NAN = float("nan")
Y = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0], [0, 1, 0]])

FORMS = {
    "list": Y.tolist(),
    "tuple": tuple(map(tuple, Y.tolist())),
    "list of arrays": list(Y),
    "int": Y,
    "uint8": Y.astype(np.uint8),
    "bool": Y.astype(bool),
    "float": Y.astype(float),
    "float16": Y.astype(np.float16),
    "objects": Y.astype(object),
    "objects of several types": np.array([[1, False, 1.0], [0, 0.0, 0], [True, 1, 0], [0, np.float32(1), 0]], object),
    "pandas": pd.DataFrame(Y, columns=list("uvw"), index=[4, 4, 4, 4]),
    "pandas, Int64": pd.DataFrame(Y).astype("Int64"),
    "pandas, boolean": pd.DataFrame(Y).astype("boolean"),
    "pandas, several types": pd.DataFrame({"u": Y[:, 0], "v": Y[:, 1].astype(bool), "w": Y[:, 2].astype(float)}),
    "polars": pl.DataFrame(Y),
    "polars, bool": pl.DataFrame(Y.astype(bool)),
    "csr": csr_array(Y),
    "csr_matrix": csr_matrix(Y),
    "csc, bool": csc_array(Y.astype(bool)),
    "coo, float": coo_matrix(Y.astype(float)),
    "lil": lil_matrix(Y),
}


@pytest.mark.parametrize("form", FORMS)
def test_validate_indicator_accepts_every_form(form):
    y = FORMS[form]
    assert is_indicator(y)
    found = validate_indicator(y, 4, name="y", rows_name="X")
    assert found.dtype == np.int8
    assert found.tolist() == Y.tolist()


@pytest.mark.parametrize("y", [Y.astype(np.int8), csr_array(Y.astype(np.int8))])
def test_validate_indicator_returns_a_copy(y):
    found = validate_indicator(y, 4, name="y", rows_name="X")
    found[:] = 0
    np.testing.assert_array_equal(y.toarray() if isinstance(y, csr_array) else y, Y)


def test_explicit_zeros_and_duplicates_in_sparse_matrices():
    stored = csr_array((np.array([1, 0, 1]), np.array([0, 1, 1]), np.array([0, 2, 3])), shape=(2, 2))
    assert validate_indicator(stored, 2, name="y_val", rows_name="X_val").tolist() == [[1, 0], [0, 1]]
    twice = coo_array((np.ones(3), ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    with pytest.raises(ValueError, match=r"y holds 2\.0 in row 0: "):
        validate_indicator(twice, 2, name="y", rows_name="X")


@pytest.mark.parametrize(
    "y",
    [
        None,
        0,
        "01",
        b"01",
        {"a": [0, 1]},
        {0, 1},
        iter(Y),
        [0, 1, 0],
        Y[:, 0],
        pd.Series([0, 1, 0]),
        Y[:, :1],
        Y[:, :1].tolist(),
        csr_array(Y[:, :1]),
        pd.DataFrame({"y": [0, 1, 0]}),
        Y[:1],
        Y[:0],
        Y[:, :0],
        Y[:, :, None],
        2 * Y,
        -Y,
        Y.astype(str),
        Y.astype(str).tolist(),
        Y.astype(complex),
        Y.astype("m8[s]"),
        np.where(Y == 1, NAN, 0),
        np.where(Y == 1, None, 0),
        pd.DataFrame(Y).astype("Int64").replace(1, pd.NA),
        [["a", "b"], ["a"], ["b"]],
        [[0, 1], [1], []],
    ],
)
def test_is_indicator_rejects_other_targets(y):
    assert not is_indicator(y)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (Y, None),
        (Y.astype(object), None),
        (np.empty((0, 2), dtype=object), None),
        (np.empty((0, 2), dtype="U1"), None),
        (np.array([[0, 1], [1, 2], [3, 0]]), (1, 2)),
        (np.array([[0, 1], [-1, 2]]), (1, -1)),
        (np.array([[0.0, 0.5]]), (0, 0.5)),
        (np.array([[0, 1], [0, None]], dtype=object), (1, None)),
        (np.array([[0, "1"], [0, None]], dtype=object), (0, "1")),
        (np.array([["0", "1"]]), (0, "0")),
        (np.array([[1 + 0j, 0]]), (0, 1 + 0j)),
    ],
)
def test_first_non_binary(array, expected):
    assert first_non_binary(array) == expected


EXPECTED = r"expected an indicator matrix of shape \(4, n_labels\), 1 where a row of X has a label"


def with_value(value, dtype=object):
    changed = Y.astype(dtype)
    changed[2, 1] = value
    return changed


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (with_value(2, int), rf"y holds 2 in row 2: {EXPECTED}, else 0\."),
        (with_value(-1, int).tolist(), rf"y holds -1 in row 2: {EXPECTED}"),
        (with_value(0.5, float), rf"y holds 0\.5 in row 2: {EXPECTED}"),
        (with_value(NAN, float), rf"y holds nan in row 2: {EXPECTED}"),
        (with_value(None), rf"y holds None in row 2: {EXPECTED}"),
        (with_value("1"), rf"y holds '1' in row 2: {EXPECTED}"),
        (pd.DataFrame(Y).astype("Int64").replace(1, pd.NA), rf"y holds <NA> in row 0: {EXPECTED}"),
        (pl.DataFrame(with_value(None).tolist(), orient="row"), rf"y holds nan in row 2: {EXPECTED}"),
        (Y.astype(str), rf"y holds '1' in row 0: {EXPECTED}"),
        (csc_array(with_value(2, int)), rf"y holds 2 in row 2: {EXPECTED}"),
        (Y[:3], rf"y has 3 rows, but X has 4: {EXPECTED}.*inconsistent numbers of samples: \[4, 3\]"),
        (csr_array(Y[:3]), "y has 3 rows, but X has 4: "),
        (Y[:, :, None], rf"y has the shape \(4, 3, 1\): {EXPECTED}, as in fit\."),
        (Y[:, 0], rf"y has the shape \(4,\): {EXPECTED}, as in fit\."),
        ([[0, 1], [1], [], [0]], rf"y has the shape \(4,\): {EXPECTED}, as in fit\."),
    ],
)
def test_error_contains_the_invalid_value_and_row(y, words):
    with pytest.raises(ValueError, match=words):
        validate_indicator(y, 4, name="y", rows_name="X")


def test_messages_contain_the_given_names():
    with pytest.raises(ValueError, match=r"y_val holds 2 in row 2: .* 1 where a row of X_val has a label"):
        validate_indicator(with_value(2, int), 4, name="y_val", rows_name="X_val")
    with pytest.raises(ValueError, match="y_val has 3 rows, but X_val has 4: "):
        validate_indicator(Y[:3], 4, name="y_val", rows_name="X_val")


@pytest.mark.parametrize("y", [np.ma.masked_array(Y, mask=Y == 1), [np.ma.masked_array(row) for row in Y]])
def test_masked_matrices_are_errors(y):
    with pytest.raises(TypeError, match=r"y (is|holds) a masked array"):
        validate_indicator(y, 4, name="y", rows_name="X")


def test_one_hot_matrix_warns():
    one_hot = np.eye(3)[[0, 1, 2, 1]]
    words = r"y has exactly one 1 in each row\. .* has one class, pass the classes: y\.argmax\(axis=1\)\."
    for y in (one_hot, csr_array(one_hot)):
        with pytest.warns(UserWarning, match=words):
            assert validate_indicator(y, 4, name="y", rows_name="X").tolist() == one_hot.tolist()


def test_other_indicator_matrices_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        validate_indicator(np.eye(3), 3, name="y_val", rows_name="X_val")  # few rows, by chance
        validate_indicator(np.eye(3)[:1], 1, name="y", rows_name="X")
        for y in (np.array([[1, 0], [0, 0]]), np.array([[1, 0], [1, 1]]), np.zeros((2, 2))):
            validate_indicator(y, 2, name="y", rows_name="X")
