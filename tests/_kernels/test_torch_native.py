"""The recurrences on torch's own operations: against the reference, outputs and gradients."""

import numpy as np
import pytest
import torch

from _sampling import sampled
from seqclf._kernels import CELLS, Inputs, StepLayout, Weights, reference, torch_native

LENGTHS = {"ragged": [3, 7, 1, 5, 5, 0, 2], "equal": [4, 4, 4], "one step": [1, 1], "one row": [6]}
SUPPORTED = [(cell.name, activation) for cell in CELLS.values() for activation in cell.torch_operations]
N_IDS = 6


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_weights(cell, n_inputs, units):
    rows = CELLS[cell].n_gates * units
    shapes = [(rows, n_inputs), (rows, units), (rows,), *([(rows,)] if CELLS[cell].has_recurrent_bias else [])]
    return Weights(*((0.5 * draw(*shape, seed=i)).requires_grad_() for i, shape in enumerate(shapes)))


def make_inputs(kind, layout):
    """Inputs of a layer, and the number of columns of its input weights."""
    values = draw(layout.n_steps, 3, seed=7).requires_grad_()
    ids = torch.arange(layout.n_steps) % N_IDS
    if kind == "values":
        return Inputs(values), 3
    if kind == "ids":
        return Inputs(ids=ids), N_IDS
    if kind == "ids and values":
        return Inputs(values, ids), N_IDS + 3
    return Inputs(values.detach(), ids, draw(N_IDS, 2, seed=8).requires_grad_()), 5


def outputs_and_gradients(kernel, cell, inputs, layout, weights, activation, reverse):
    leaves = [leaf for leaf in (inputs.values, inputs.embedding, *weights) if leaf is not None and leaf.requires_grad]
    outputs = kernel.run(cell, inputs, layout, weights, activation, reverse)
    gradients = torch.autograd.grad(outputs, leaves, draw(*outputs.shape, seed=9))
    return [outputs.detach(), *gradients]


@sampled(
    {
        "cell, activation": SUPPORTED,
        "kind": ["values", "ids", "ids and values", "embedding"],
        "lengths": LENGTHS,
        "reverse": {"forward": False, "reverse": True},
    },
    n_quick=16,
)
def test_torch_native_equals_reference(cell, activation, kind, lengths, reverse):
    layout = StepLayout(lengths)
    inputs, n_inputs = make_inputs(kind, layout)
    arguments = (cell, inputs, layout, random_weights(cell, n_inputs, 5), activation, reverse)
    found = outputs_and_gradients(torch_native, *arguments)
    for ours, expected in zip(found, outputs_and_gradients(reference, *arguments), strict=True):
        np.testing.assert_allclose(ours.numpy(), expected.numpy(), rtol=1e-10, atol=1e-10)


def test_supports_the_cells_and_activations_of_torch():
    assert torch_native.supports("rnn", "relu") and torch_native.supports("lstm", "tanh")
    assert not torch_native.supports("lstm", "relu") and not torch_native.supports("mgu", "tanh")


@pytest.mark.parametrize("cell", [cell for cell, activation in SUPPORTED if activation == "tanh"])
def test_saturated_gates_give_finite_states(cell):
    layout = StepLayout([4])
    weights = Weights(*(each if each is None else each.detach().float() for each in random_weights(cell, 1, 2)))
    weights = weights._replace(input=torch.full_like(weights.input, 1e4))
    outputs = torch_native.run(cell, torch.ones(4, 1), layout, weights, "tanh", False)
    assert torch.isfinite(outputs).all() and outputs.abs().max() <= 1


@pytest.mark.parametrize("cell", [cell for cell, activation in SUPPORTED if activation == "tanh"])
def test_batch_is_padded_on_the_cpu(monkeypatch, cell):
    """A packed batch would not use oneDNN's fused kernel."""
    layout = StepLayout([2, 4])
    name = CELLS[cell].torch_operations["tanh"]
    operation, calls = getattr(torch, name), []

    def spy(*args):
        calls.append(args)
        return operation(*args)

    monkeypatch.setattr(torch, name, spy)
    torch_native.run(cell, draw(layout.n_steps, 3), layout, random_weights(cell, 3, 5), "tanh", False)
    (args,) = calls
    assert args[0].shape == (4, 2, 3), "padded: (max_length, n_rows, n_inputs)"
    assert args[6] is True, "training mode, which oneDNN's fused kernel needs"
