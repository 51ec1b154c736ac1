"""Recurrent layers: initial weights, directions, depth and dropout."""

import pytest
import torch

from seqclf._kernels import CELLS, Inputs, StepLayout, recurrence
from seqclf._nn.recurrent import Direction, RecurrentLayer, RecurrentStack

LAYOUT = StepLayout([3, 0, 5, 2])
UNITS = 4


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_inputs(n_inputs):
    return Inputs(torch.randn(LAYOUT.n_steps, n_inputs, generator=generator(1)))


def make_stack(units, bidirectional=True, dropout=0.0, recurrent_dropout=0.0, cell="gru"):
    stack = RecurrentStack(cell, 3, units, bidirectional, "tanh", dropout, recurrent_dropout)
    for module in stack.modules():
        if isinstance(module, Direction):
            module.reset_parameters(generator())
    return stack


@pytest.mark.parametrize("cell", CELLS)
def test_direction_reset_parameters(cell):
    """Orthogonal recurrent blocks, Glorot uniform input blocks, and the initial biases of the cell."""
    direction = Direction(cell, 3, UNITS, 0.0, reverse=False)
    direction.reset_parameters(generator())
    for index, gate in enumerate(CELLS[cell].gates):
        rows = slice(index * UNITS, (index + 1) * UNITS)
        block = direction.weight_recurrent[rows].detach()
        torch.testing.assert_close(block @ block.T, torch.eye(UNITS))
        assert direction.weight_input[rows].abs().max() <= (6 / (3 + UNITS)) ** 0.5
        assert (direction.bias[rows] == CELLS[cell].initial_biases.get(gate, 0.0)).all()
    if CELLS[cell].has_recurrent_bias:
        assert not direction.bias_recurrent.any()
    else:
        assert direction.bias_recurrent is None


@pytest.mark.parametrize("cell", CELLS)
def test_bidirectional_layer_concatenates_the_directions(cell):
    layer, inputs = RecurrentLayer(cell, 3, UNITS, True, "tanh", 0.0), random_inputs(3)
    for seed, direction in enumerate(layer.directions):
        direction.reset_parameters(generator(seed))
    found = layer(inputs, LAYOUT, None)
    assert found.shape == (LAYOUT.n_steps, layer.n_outputs) and layer.n_outputs == 2 * UNITS
    halves = [
        recurrence(cell, inputs, LAYOUT, weights, reverse=reverse)
        for weights, reverse in zip(layer.weights(None), (False, True), strict=True)
    ]
    torch.testing.assert_close(found, torch.cat(halves, dim=1))


def test_stack_applies_its_layers_in_order():
    stack, inputs = make_stack((4, 3)), random_inputs(3)
    expected = stack.layers[1](Inputs(stack.layers[0](inputs, LAYOUT, None)), LAYOUT, None)
    assert stack.n_outputs == 6
    assert torch.equal(stack(inputs, LAYOUT, None), expected)


def test_stack_drops_between_layers_in_training_only():
    stack, inputs = make_stack((4, 3), dropout=0.5), random_inputs(3)
    first, second = (stack(inputs, LAYOUT, generator(seed)) for seed in (0, 1))
    assert not torch.equal(first, second)
    stack.eval()
    assert torch.equal(stack(inputs, LAYOUT, generator(0)), make_stack((4, 3))(inputs, LAYOUT, None))


def test_recurrent_dropout_drops_recurrent_weights_only():
    direction = Direction("lstm", 3, 20, 0.5, reverse=False)
    direction.reset_parameters(generator())
    weights = direction.weights(generator())
    assert weights.input is direction.weight_input and weights.bias is direction.bias
    dropped = weights.recurrent == 0
    assert 0.4 < dropped.float().mean() < 0.6
    torch.testing.assert_close(weights.recurrent[~dropped], 2 * direction.weight_recurrent[~dropped])
    assert direction.eval().weights(generator()).recurrent is direction.weight_recurrent
