"""Pooling on the compiled library and in numpy, against a loop over the rows."""

import numpy as np
import pytest

from seqclf._inference.layout import BatchLayout
from seqclf._inference.pooling import attend, last_states, pool
from seqclf._native import library
from seqclf._native.threads import kernel_threads

compiled = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")
DTYPES = pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=compiled), np.float64])
LENGTHS = [12, 1, 7, 0, 12, 3, 2]
LAYOUT = BatchLayout(LENGTHS)


def draw(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32).astype(dtype)


def rows_of(values):
    """The steps of each row."""
    return [values[LAYOUT.row == row] for row in range(LAYOUT.n_rows)]


def assert_close(found, expected, dtype):
    assert found.dtype == dtype
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@DTYPES
@pytest.mark.parametrize("n_features", [1, 8, 19])
@pytest.mark.parametrize(("kind", "function"), [("max", np.max), ("mean", np.mean)])
def test_pool_equals_each_row_alone(kind, function, n_features, dtype):
    values = draw(LAYOUT.n_steps, n_features, dtype=dtype)
    assert_close(pool(kind, values, LAYOUT), [function(row, axis=0) for row in rows_of(values)], dtype)
    strided = np.concatenate((values, np.full_like(values, np.nan)), axis=1)[:, :n_features]
    assert_close(pool(kind, strided, LAYOUT), pool(kind, values, LAYOUT), dtype)
    transposed = np.asfortranarray(values)
    assert_close(pool(kind, transposed, LAYOUT), pool(kind, values, LAYOUT), dtype)


@DTYPES
@pytest.mark.parametrize("scale", [1, 50])
def test_attend_is_the_softmax_weighted_mean(scale, dtype):
    n = 9
    values, weight = draw(LAYOUT.n_steps, n, dtype=dtype), draw(n, n, seed=1, dtype=dtype)
    bias, query = draw(n, seed=2, dtype=dtype), scale * draw(n, seed=3, dtype=dtype)
    expected = []
    for row in rows_of(values.astype(np.float64)):
        scores = np.tanh(row @ weight.T + bias) @ query
        attention = np.exp(scores - scores.max())
        expected.append(attention @ row / attention.sum())
    found = attend(values, LAYOUT, weight, bias, query)
    assert found.dtype == dtype
    tolerance = 1e-12 if dtype == np.float64 else scale * 1e-5
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("n_forward", [4, 6])
def test_last_states(n_forward):
    values = draw(LAYOUT.n_steps, 6)
    expected = [np.concatenate((row[-1, :n_forward], row[0, n_forward:])) for row in rows_of(values)]
    assert np.array_equal(last_states(values, LAYOUT, n_forward), expected)


@DTYPES
def test_pooling_does_not_change_its_inputs(dtype):
    values = draw(LAYOUT.n_steps, 5, dtype=dtype)
    before = values.copy()
    for kind in ("max", "mean"):
        pool(kind, values, LAYOUT)
    attend(values, LAYOUT, *(draw(*shape, dtype=dtype) for shape in ((5, 5), (5,), (5,))))
    assert np.array_equal(values, before)


@compiled
def test_results_do_not_depend_on_the_number_of_threads(tune):
    tune(min_parallel_work=-1)
    values = draw(LAYOUT.n_steps, 19, dtype=np.float32)
    weights = [draw(*shape, seed=4, dtype=np.float32) for shape in ((19, 19), (19,), (19,))]
    found = []
    for n_threads in (1, 2, 5):
        with kernel_threads(n_threads):
            found.append([pool("max", values, LAYOUT), pool("mean", values, LAYOUT), attend(values, LAYOUT, *weights)])
    for others in found[1:]:
        assert all(map(np.array_equal, others, found[0]))
