"""Convolution on the compiled kernels, against the reference in float64."""

import numpy as np
import pytest
import torch

from seqclf._kernels import StepLayout, reference
from seqclf._kernels.cpu import convolution
from seqclf._native import library

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")

LENGTHS = [12, 1, 7, 0, 12, 3, 2]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("width", [1, 2, 5, 15])
@pytest.mark.parametrize(("n_inputs", "n_filters"), [(1, 1), (3, 8), (5, 21)])
def test_convolve_relu_equals_reference(width, n_inputs, n_filters):
    layout = StepLayout(LENGTHS)
    values, weight = draw(layout.n_steps, n_inputs), draw(n_filters, n_inputs, width, seed=1)
    bias = draw(n_filters, seed=2)
    with torch.no_grad():
        found = convolution.convolve_relu(values, layout, weight, bias)
    expected = reference.convolve_relu(values.double(), layout, weight.double(), bias.double())
    assert (expected == 0).any() and (expected > 0).any()
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5, atol=1e-5)


def test_convolve_relu_is_batch_invariant():
    layout, weight, bias = StepLayout(LENGTHS), draw(9, 4, 5, seed=1), draw(9, seed=2)
    flat = draw(sum(LENGTHS), 4)
    with torch.no_grad():
        together = torch.empty(len(flat), 9)
        together[layout.gather] = convolution.convolve_relu(flat[layout.gather], layout, weight, bias)
        for sequence, expected in zip(flat.split(LENGTHS), together.split(LENGTHS), strict=True):
            found = convolution.convolve_relu(sequence, StepLayout([len(sequence)]), weight, bias)
            assert torch.equal(found, expected)
