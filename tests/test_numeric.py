"""Logistic functions against scipy, and bit-identical results for any other rows in the array."""

import numpy as np
import pytest
import scipy.special

from seqclf import _numeric

RNG = np.random.RandomState(0)
EDGES = [0.0, -0.0, 1e-300, -1e-300, 36.0, -36.0, 709.0, -709.0, 745.0, -745.0, 1e4, -1e4, 1e300, -1e300]
VALUES = np.concatenate([EDGES, *(scale * RNG.randn(1_000) for scale in (1e-9, 1.0, 30.0, 400.0))])


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-305)
    assert found.dtype == np.float64


@pytest.mark.parametrize("name", ["expit", "log_expit"])
def test_expit_and_log_expit_match_scipy(name):
    function, expected_function = getattr(_numeric, name), getattr(scipy.special, name)
    assert_close(function(VALUES), expected_function(VALUES))
    assert_close(function(VALUES[:, None]), expected_function(VALUES[:, None]))
    narrow = VALUES[np.abs(VALUES) < 1e30].astype(np.float32)
    assert_close(function(narrow), expected_function(narrow.astype(np.float64)))
    assert function(0.5).shape == ()
    assert_close(function([np.inf, -np.inf, np.nan]), expected_function([np.inf, -np.inf, np.nan]))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("n_classes", [1, 2, 3, 17, 300])
def test_softmax_and_log_softmax_match_scipy(name, n_classes):
    function, expected_function = getattr(_numeric, name), getattr(scipy.special, name)
    rows = np.concatenate([scale * RNG.randn(20, n_classes) for scale in (1e-9, 1.0, 30.0, 400.0, 1e300)])
    with np.errstate(over="ignore"):
        expected = expected_function(rows, axis=1)
    assert_close(function(rows, axis=1), expected)
    assert_close(function(rows.T, axis=0), expected.T)


@pytest.mark.parametrize("name", ["expit", "log_expit", "softmax", "log_softmax"])
@pytest.mark.parametrize("n_classes", [1, 2, 3, 7, 8, 9, 17, 300])
def test_results_of_a_row_do_not_depend_on_other_rows(name, n_classes):
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


def test_no_floating_point_errors_with_errstate_raise():
    with np.errstate(all="raise"):
        for name in ("expit", "log_expit"):
            assert np.isfinite(getattr(_numeric, name)(VALUES)).all()
        for name in ("softmax", "log_softmax"):
            assert np.isfinite(getattr(_numeric, name)(VALUES.reshape(-1, 2), axis=1)).all()
