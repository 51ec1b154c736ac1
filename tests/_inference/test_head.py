"""The last layer on the compiled library and in numpy, against float64."""

import numpy as np
import pytest

from seqclf._inference.head import linear
from seqclf._native import library

compiled = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@compiled
@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize(
    ("n_rows", "n_inputs", "n_outputs"), [(1, 1, 1), (7, 33, 3), (40, 8, 20), (0, 5, 2), (3, 0, 2)]
)
def test_linear_equals_float64(n_rows, n_inputs, n_outputs):
    values, weight, bias = draw(n_rows, n_inputs), draw(n_outputs, n_inputs, seed=1), draw(n_outputs, seed=2)
    found = linear(values, weight, bias)
    expected = linear(*(each.astype(np.float64) for each in (values, weight, bias)))
    assert found.dtype == expected.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_linear_in_float64_is_the_product():
    values, weight, bias = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([0.5, 1.0])
    assert linear(values, weight, bias).tolist() == [[11.5, 18.0]]


@compiled
def test_linear_is_batch_invariant():
    values, weight, bias = draw(30, 19), draw(4, 19, seed=1), draw(4, seed=2)
    together = linear(values, weight, bias)
    assert all(np.array_equal(linear(values[i : i + 1], weight, bias)[0], together[i]) for i in range(30))


@compiled
def test_non_contiguous_memory_does_not_change_any_bit():
    values, weight, bias = draw(6, 5), draw(3, 5, seed=1), draw(3, seed=2)
    padded = [np.stack((array, array), axis=-1)[..., 0] for array in (values, weight, bias)]
    assert np.array_equal(linear(*padded), linear(values, weight, bias))


@compiled
@pytest.mark.parametrize("shapes", [((6, 4), (3, 5), (3,)), ((6, 5), (3, 5), (2,))])
def test_mismatched_shapes_raise(shapes):
    with pytest.raises(ValueError, match="do not match"):
        linear(*(draw(*shape) for shape in shapes))
