"""Logistic functions against scipy, and the same to the bit whatever other rows there are."""

import numpy as np
import pytest
import scipy.special

from seqclf import _numeric

RNG = np.random.RandomState(0)
EDGES = [0.0, -0.0, 1e-300, -1e-300, 36.0, -36.0, 709.0, -709.0, 745.0, -745.0, 1e4, -1e4, 1e300, -1e300]
NUMBERS = np.concatenate([EDGES, *(scale * RNG.randn(1_000) for scale in (1e-9, 1.0, 30.0, 400.0))])


def same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-305)
    assert found.dtype == np.float64


@pytest.mark.parametrize("name", ["expit", "log_expit"])
def test_of_numbers(name):
    function, scipys = getattr(_numeric, name), getattr(scipy.special, name)
    same(function(NUMBERS), scipys(NUMBERS))
    same(function(NUMBERS[:, None]), scipys(NUMBERS[:, None]))
    narrow = NUMBERS[np.abs(NUMBERS) < 1e30].astype(np.float32)
    same(function(narrow), scipys(narrow.astype(np.float64)))
    assert function(0.5).shape == ()
    same(function([np.inf, -np.inf, np.nan]), scipys([np.inf, -np.inf, np.nan]))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("n_classes", [1, 2, 3, 17, 300])
def test_of_rows(name, n_classes):
    function, scipys = getattr(_numeric, name), getattr(scipy.special, name)
    rows = np.concatenate([scale * RNG.randn(20, n_classes) for scale in (1e-9, 1.0, 30.0, 400.0, 1e300)])
    with np.errstate(over="ignore"):
        expected = scipys(rows, axis=1)
    same(function(rows, axis=1), expected)
    same(function(rows.T, axis=0), expected.T)


@pytest.mark.parametrize("name", ["expit", "log_expit", "softmax", "log_softmax"])
@pytest.mark.parametrize("n_classes", [1, 2, 3, 7, 8, 9, 17, 300])
def test_a_row_does_not_depend_on_the_others(name, n_classes):
    def function(rows):
        return getattr(_numeric, name)(rows, **({"axis": 1} if "softmax" in name else {}))

    rows = 10 * RNG.randn(131, n_classes)
    together = function(rows)
    for first in (0, 1, 2, 3, 64, 130):
        np.testing.assert_array_equal(function(rows[first:]), together[first:])
        np.testing.assert_array_equal(function(rows[first : first + 1]), together[first : first + 1])
    for strided in (rows[::2], rows[::-3], np.asfortranarray(rows)[::2], np.repeat(rows, 2, axis=1)[::2, ::2]):
        step = -3 if len(strided) == 44 else 2
        np.testing.assert_array_equal(function(strided), together[::step])


def test_errors_of_numpy_that_are_raised_are_not_raised_here():
    with np.errstate(all="raise"):
        for name in ("expit", "log_expit"):
            assert np.isfinite(getattr(_numeric, name)(NUMBERS)).all()
        for name in ("softmax", "log_softmax"):
            assert np.isfinite(getattr(_numeric, name)(NUMBERS.reshape(-1, 2), axis=1)).all()
