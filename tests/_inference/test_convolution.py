"""Convolution on the compiled library and in numpy, against torch in float64."""

import numpy as np
import pytest
import torch

from seqclf._inference.convolution import convolve_relu, fold_normalisation
from seqclf._inference.layout import BatchLayout
from seqclf._kernels import StepLayout, reference
from seqclf._native import library
from seqclf._nn.convolution import Convolution

compiled = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")
LENGTHS = [12, 1, 7, 0, 12, 3, 2]
LAYOUT = BatchLayout(LENGTHS)


def draw(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32).astype(dtype)


@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=compiled), np.float64])
@pytest.mark.parametrize("width", [1, 2, 5, 15])
@pytest.mark.parametrize(("n_inputs", "n_filters"), [(1, 1), (3, 8), (5, 21)])
def test_convolve_relu_equals_reference(width, n_inputs, n_filters, dtype):
    shapes = (LAYOUT.n_steps, n_inputs), (n_filters, n_inputs, width), (n_filters,)
    values, weight, bias = (draw(*shape, seed=i, dtype=dtype) for i, shape in enumerate(shapes))
    found = convolve_relu(values, LAYOUT, weight, bias)
    tensors = [torch.from_numpy(each).double() for each in (values, weight, bias)]
    expected = reference.convolve_relu(tensors[0], StepLayout(LENGTHS), *tensors[1:]).numpy()
    assert found.dtype == dtype and (expected == 0).any() and (expected > 0).any()
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@compiled
def test_convolve_relu_is_batch_invariant():
    weight, bias = draw(9, 4, 5, seed=1, dtype=np.float32), draw(9, seed=2, dtype=np.float32)
    flat = draw(sum(LENGTHS), 4, dtype=np.float32)
    together = np.empty((len(flat), 9), dtype=np.float32)
    together[LAYOUT.data_positions] = convolve_relu(flat[LAYOUT.data_positions], LAYOUT, weight, bias)
    start = 0
    for length in filter(None, LENGTHS):
        alone = convolve_relu(flat[start : start + length], BatchLayout([length]), weight, bias)
        assert np.array_equal(alone, together[start : start + length])
        start += length


@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=compiled), np.float64])
def test_fold_normalisation_equals_the_torch_layer(dtype):
    """In float32 they have the same bits."""
    torch_layer = Convolution(3, 200, 5)
    torch_layer.reset_parameters(torch.Generator().manual_seed(0))
    arrays = {"mean": draw(200, seed=1), "variance": draw(200, seed=2) ** 2, "bias": draw(200, seed=3)}
    torch_layer.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()}, strict=False)
    torch_layer = torch_layer.to(torch.from_numpy(np.empty(0, dtype)).dtype).eval()
    parameters = [getattr(torch_layer, name).detach().numpy() for name in ("weight", "bias", "mean", "variance")]
    weight, bias = fold_normalisation(*parameters)
    assert weight.dtype == bias.dtype == dtype
    values = draw(LAYOUT.n_steps, 3, dtype=dtype)
    with torch.no_grad():
        expected = torch_layer(torch.from_numpy(values), StepLayout(LENGTHS)).numpy()
    found = convolve_relu(values, LAYOUT, weight, bias)
    if dtype == np.float32:
        assert np.array_equal(found, expected)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
