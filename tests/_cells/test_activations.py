"""The activations against their equations, and their use by each cell."""

import pytest
import torch

from seqclf._kernels import ACTIVATIONS, CELLS, StepLayout, Weights, reference

X = torch.tensor([-1e30, -3.0, -0.5, 0.0, 0.25, 1.0, 9.0, 1e30], dtype=torch.float64)
EQUATIONS = {
    "tanh": lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
    "relu": lambda x: x.clamp_min(0),
    "softsign": lambda x: x / (1 + x.abs()),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_equals_its_equation(name):
    x = X[1:-1] if name == "tanh" else X
    torch.testing.assert_close(ACTIVATIONS[name].function(x), EQUATIONS[name](x))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_name_is_its_key_and_zero_maps_to_zero(name):
    activation = ACTIVATIONS[name]
    assert activation.name == name
    assert activation.function(torch.zeros(1)) == 0


@pytest.mark.parametrize("cell", CELLS)
def test_each_activation_has_different_states(cell):
    layout, generator = StepLayout([3, 2]), torch.Generator().manual_seed(0)
    rows = CELLS[cell].n_gates * 4
    drawn = [torch.randn(shape, generator=generator) for shape in ((rows, 2), (rows, 4), (rows,), (rows,))]
    inputs = torch.randn(5, 2, generator=generator)
    outputs = [reference.run(cell, inputs, layout, Weights(*drawn), name, False) for name in ACTIVATIONS]
    for index, each in enumerate(outputs):
        assert not any(torch.allclose(each, other) for other in outputs[:index])
