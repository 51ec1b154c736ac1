"""Pooling by the compiled library and in numpy, against a loop over the rows."""

import numpy as np
import pytest

from seqclf._inference.layout import BatchLayout
from seqclf._inference.pooling import attend, last, pool
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


def close(found, expected, dtype):
    assert found.dtype == dtype
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@DTYPES
@pytest.mark.parametrize("n_features", [1, 8, 19])
@pytest.mark.parametrize(("kind", "function"), [("max", np.max), ("mean", np.mean)])
def test_pooling_is_that_of_each_row(kind, function, n_features, dtype):
    values = draw(LAYOUT.n_steps, n_features, dtype=dtype)
    close(pool(kind, values, LAYOUT), [function(row, axis=0) for row in rows_of(values)], dtype)
    strided = np.concatenate((values, np.full_like(values, np.nan)), axis=1)[:, :n_features]
    close(pool(kind, strided, LAYOUT), pool(kind, values, LAYOUT), dtype)
    turned = np.asfortranarray(values)
    close(pool(kind, turned, LAYOUT), pool(kind, values, LAYOUT), dtype)


@DTYPES
@pytest.mark.parametrize("scale", [1, 50])
def test_attention_is_the_mean_weighted_by_a_softmax(scale, dtype):
    n = 9
    values, weight = draw(LAYOUT.n_steps, n, dtype=dtype), draw(n, n, seed=1, dtype=dtype)
    bias, query = draw(n, seed=2, dtype=dtype), scale * draw(n, seed=3, dtype=dtype)
    expected = []
    for row in rows_of(values.astype(np.float64)):
        scores = np.tanh(row @ weight.T + bias) @ query
        shares = np.exp(scores - scores.max())
        expected.append(shares @ row / shares.sum())
    found = attend(values, LAYOUT, weight, bias, query)
    assert found.dtype == dtype
    tolerance = 1e-12 if dtype == np.float64 else scale * 1e-5
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("n_forward", [4, 6])
def test_the_last_state_is_the_last_step_forward_and_the_first_in_reverse(n_forward):
    values = draw(LAYOUT.n_steps, 6)
    expected = [np.concatenate((row[-1, :n_forward], row[0, n_forward:])) for row in rows_of(values)]
    assert np.array_equal(last(values, LAYOUT, n_forward), expected)


@DTYPES
def test_values_are_left_as_they_are(dtype):
    values = draw(LAYOUT.n_steps, 5, dtype=dtype)
    before = values.copy()
    for kind in ("max", "mean"):
        pool(kind, values, LAYOUT)
    attend(values, LAYOUT, *(draw(*shape, dtype=dtype) for shape in ((5, 5), (5,), (5,))))
    assert np.array_equal(values, before)


@compiled
def test_any_number_of_threads_gives_the_same_bits(tune):
    tune(min_parallel_work=-1)
    values = draw(LAYOUT.n_steps, 19, dtype=np.float32)
    weights = [draw(*shape, seed=4, dtype=np.float32) for shape in ((19, 19), (19,), (19,))]
    found = []
    for n_threads in (1, 2, 5):
        with kernel_threads(n_threads):
            found.append([pool("max", values, LAYOUT), pool("mean", values, LAYOUT), attend(values, LAYOUT, *weights)])
    for others in found[1:]:
        assert all(map(np.array_equal, others, found[0]))
