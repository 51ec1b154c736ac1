"""Values that must be numbers: missing values, conversion to floats, and messages."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from seqclf import RNNClassifier
from seqclf._validation.numbers import as_floats, counted, is_infinite, is_missing, raise_not_a_number, shorten, type_of


class NoRepr:
    def __repr__(self):
        raise RuntimeError("no repr")


def test_shorten_of_a_failing_repr_contains_the_type():
    row = [1.0]
    for _ in range(3_000):
        row = [row]
    assert shorten(row) == "<list without a repr: RecursionError>"
    assert shorten(NoRepr()) == "<NoRepr without a repr: RuntimeError>"
    assert shorten([NoRepr()]) == "<list without a repr: RuntimeError>"
    assert shorten(10**5_000) == "<int without a repr: ValueError>"
    assert shorten("a  b") == "'a b'"


def test_counted_nouns_and_types_have_the_right_form():
    assert [counted(n, "step") for n in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]
    values = (1, "a", [], np.zeros(2), None)
    assert list(map(type_of, values)) == ["an int", "a str", "a list", "an ndarray", "a NoneType"]


@pytest.mark.parametrize(
    "value", [None, np.nan, np.float16("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), Decimal("sNaN")]
)
def test_is_missing(value):
    assert is_missing(value)
    assert not is_infinite(value)


def test_is_infinite():
    assert all(map(is_infinite, [np.inf, -np.inf, np.float32("inf"), Decimal("-Infinity")]))
    assert not any(map(is_infinite, [0, 1e308, 10**400, Decimal(3), "inf", np.array([np.inf]), object()]))


def test_as_floats_converts_objects():
    array = np.array([[1, Fraction(1, 4)], [Decimal("sNaN"), np.float32(2)]], dtype=object)
    np.testing.assert_array_equal(as_floats(array, "X"), [[1.0, 0.25], [np.nan, 2.0]])


@pytest.mark.parametrize(
    ("value", "words"),
    [(10**400, "it is too large for float64"), (np.complex128(1j), "float() rejects it (complex)"), (1j, "complex")],
)
def test_as_floats_error_contains_the_position(value, words):
    with pytest.raises(ValueError, match=r"^y holds .* at position 1, 0: ") as caught:
        as_floats(np.array([[1, 2], [value, 4]], dtype=object), "y")
    assert words in str(caught.value)


@pytest.mark.parametrize("value", [{"a": 1}, "[1, 2]", pd.Timestamp("2024-02-29")])
def test_raise_not_a_number_has_advice_for_series_only_if_in_series(value):
    messages = []
    for in_series in (True, False):
        with pytest.raises((ValueError, TypeError)) as caught:
            raise_not_a_number(value, "y", "in row 0", "Drop it", in_series=in_series)
        messages.append(str(caught.value))
    advice = ["DataFrame(row) for row in X", "a CSV file has stored", "series_from_frame"]
    assert any(words in messages[0] for words in advice)
    assert not any(words in messages[1] for words in advice)


# Messages of estimators

X = np.random.default_rng(0).normal(size=(12, 7, 2))
Y = np.arange(12) % 2
DAY = pd.Timestamp("2024-02-29")
NOT_NUMERIC = {
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
    "a too large number": (np.array([[1, 10**400]] * 12, dtype=object), ["too large for float64"]),
    "a too large number in a row": ([[1.0, 10**400], [1.0]] * 6, ["too large for float64"]),
    "no columns": (pd.DataFrame(index=range(12)), ["0 feature(s)", "X"]),
    "lists in a table": (np.array([[1, [2]]] * 12, dtype=object), ["X holds [2] in row 0, column 1"]),
    "unequal steps": ([[[1, 2], [3]]] * 12, ["Row 0 of X has steps with [1, 2] channels"]),
}


@pytest.mark.parametrize(("data", "words"), NOT_NUMERIC.values(), ids=NOT_NUMERIC)
def test_fit_error_contains_the_value_that_is_not_a_number(data, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        RNNClassifier(units=2, max_epochs=1, conv_filters=2, random_state=0, n_threads=1).fit(data, Y)
    for word in words:
        assert word in str(caught.value)
