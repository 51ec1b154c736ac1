from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from seqclf._validation.numbers import as_floats, is_infinite, is_missing, refuse_no_number, shorten


class NoRepr:
    def __repr__(self):
        raise RuntimeError("no repr")


def test_what_has_no_repr_is_shown_by_its_type():
    row = [1.0]
    for _ in range(3_000):
        row = [row]
    assert shorten(row) == "<list without a repr: RecursionError>"
    assert shorten(NoRepr()) == "<NoRepr without a repr: RuntimeError>"
    assert shorten([NoRepr()]) == "<list without a repr: RuntimeError>"
    assert shorten(10**5_000) == "<int without a repr: ValueError>"
    assert shorten("a  b") == "'a b'"


@pytest.mark.parametrize(
    "value", [None, np.nan, np.float16("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), Decimal("sNaN")]
)
def test_missing(value):
    assert is_missing(value)
    assert not is_infinite(value)


def test_infinite():
    assert all(map(is_infinite, [np.inf, -np.inf, np.float32("inf"), Decimal("-Infinity")]))
    assert not any(map(is_infinite, [0, 1e308, 10**400, Decimal(3), "inf", np.array([np.inf]), object()]))


def test_objects_as_floats():
    array = np.array([[1, Fraction(1, 4)], [Decimal("sNaN"), np.float32(2)]], dtype=object)
    np.testing.assert_array_equal(as_floats(array, "X"), [[1.0, 0.25], [np.nan, 2.0]])


@pytest.mark.parametrize(
    ("value", "words"),
    [(10**400, "it is too large for float64"), (np.complex128(1j), "float() refuses it (complex)"), (1j, "complex")],
)
def test_no_float_is_named_with_its_place(value, words):
    with pytest.raises(ValueError, match=r"^y holds .* at position 1, 0: ") as caught:
        as_floats(np.array([[1, 2], [value, 4]], dtype=object), "y")
    assert words in str(caught.value)


@pytest.mark.parametrize("value", [{"a": 1}, "[1, 2]", pd.Timestamp("2024-02-29")])
def test_advice_on_series_is_given_for_series_only(value):
    messages = []
    for in_series in (True, False):
        with pytest.raises((ValueError, TypeError)) as caught:
            refuse_no_number(value, "y", "in row 0", "Drop it", in_series=in_series)
        messages.append(str(caught.value))
    advice = ["DataFrame(row) for row in X", "a CSV file has turned", "series_from_frame"]
    assert any(words in messages[0] for words in advice)
    assert not any(words in messages[1] for words in advice)
