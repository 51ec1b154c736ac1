"""The reference against torch.nn, and torch's own operations against the reference: outputs and gradients."""

import numpy as np
import pytest
import torch

from seqclf._kernels import CELLS, StepLayout, Weights, reference, torch_native

LENGTHS = {
    "ragged": [3, 7, 1, 5, 5, 0, 2],
    "equal": [4, 4, 4],
    "one step": [1, 1],
    "one row": [6],
}
NATIVE = [(cell.name, activation) for cell in CELLS.values() for activation in cell.torch_operations]


def random_weights(cell, n_inputs, units, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return (torch.randn(*shape, generator=generator, dtype=torch.float64) * 0.5).requires_grad_()

    rows = CELLS[cell].n_gates * units
    weights = Weights(draw(rows, n_inputs), draw(rows, units), draw(rows))
    return weights._replace(recurrent_bias=draw(rows)) if CELLS[cell].has_recurrent_bias else weights


def random_inputs(layout, n_inputs, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(layout.n_steps, n_inputs, generator=generator, dtype=torch.float64).requires_grad_()


def outputs_and_gradients(run, inputs, weights):
    """What `run` gives, and the gradients of a random projection of it for all that it read."""
    leaves = [leaf for leaf in (inputs, *weights) if leaf is not None and leaf.requires_grad]
    outputs = run()
    generator = torch.Generator().manual_seed(2)
    projection = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype)
    gradients = torch.autograd.grad((outputs * projection).sum(), leaves)
    return [outputs.detach(), *gradients]


def assert_equal(ours, theirs, tolerance=1e-10):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize(("cell", "activation"), NATIVE)
def test_torch_native_equals_reference(cell, activation, lengths, reverse):
    layout = StepLayout(lengths)
    inputs, weights = random_inputs(layout, 3), random_weights(cell, 3, 5)
    arguments = (cell, inputs, layout, weights, activation, reverse)
    expected = outputs_and_gradients(lambda: reference.run(*arguments), inputs, weights)
    assert_equal(outputs_and_gradients(lambda: torch_native.run(*arguments), inputs, weights), expected)


@pytest.mark.parametrize("kernel", [reference, torch_native])
@pytest.mark.parametrize(("cell", "activation"), NATIVE)
def test_ids_stand_for_one_hot_vectors(cell, activation, kernel):
    layout = StepLayout([3, 1, 4])
    ids = torch.tensor([2, 0, 4, 4, 1, 3, 2, 0])
    weights = random_weights(cell, 5, 4)
    one_hot = torch.nn.functional.one_hot(ids, 5).double()
    expected = outputs_and_gradients(
        lambda: reference.run(cell, one_hot, layout, weights, activation, False), one_hot, weights
    )
    found = outputs_and_gradients(lambda: kernel.run(cell, ids, layout, weights, activation, False), ids, weights)
    assert_equal(found, expected)


def torch_nn(cell, activation, weights, n_inputs):
    """torch.nn's module with the same weights; where it wants a second bias and the equation has none, zeros."""
    options = {"nonlinearity": activation} if cell == "rnn" else {}
    module = getattr(torch.nn, cell.upper())(n_inputs, weights.units, dtype=torch.float64, **options)
    with torch.no_grad():
        module.weight_ih_l0.copy_(weights.input)
        module.weight_hh_l0.copy_(weights.recurrent)
        module.bias_ih_l0.copy_(weights.bias)
        module.bias_hh_l0.zero_()
        if weights.recurrent_bias is not None:
            module.bias_hh_l0.copy_(weights.recurrent_bias)
    return module


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("cell", "activation"), NATIVE)
def test_reference_equals_torch_nn_sequence_by_sequence(cell, activation, reverse):
    """The judge reads one sequence at a time, turned around by hand: no layout, no padding, no packing."""
    lengths = [3, 7, 1, 5]
    layout = StepLayout(lengths)
    sequences = [torch.randn(n, 3, generator=torch.Generator().manual_seed(n), dtype=torch.float64) for n in lengths]
    inputs = torch.cat(sequences)[layout.gather].requires_grad_()
    weights = random_weights(cell, 3, 5)
    found = outputs_and_gradients(
        lambda: reference.run(cell, inputs, layout, weights, activation, reverse), inputs, weights
    )

    module = torch_nn(cell, activation, weights, 3)
    leaf = torch.cat(sequences).requires_grad_()

    def judge():
        outputs = []
        for sequence in leaf.split(lengths):
            read = sequence.flip(0) if reverse else sequence
            states = module(read)[0]
            outputs.append(states.flip(0) if reverse else states)
        return torch.cat(outputs)[layout.gather]

    outputs = judge()
    projection = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    parameters = [leaf, module.weight_ih_l0, module.weight_hh_l0, module.bias_ih_l0]
    if weights.recurrent_bias is not None:
        parameters.append(module.bias_hh_l0)
    gradients = list(torch.autograd.grad((outputs * projection).sum(), parameters))
    gradients[0] = gradients[0][layout.gather]
    assert_equal(found, [outputs.detach(), *gradients])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("reverse", [False, True])
def test_gradcheck_of_the_reference(cell, reverse):
    layout = StepLayout([3, 1, 2])
    inputs, weights = random_inputs(layout, 2), random_weights(cell, 2, 3)
    leaves = [leaf for leaf in weights if leaf is not None]

    def run(inputs, *leaves):
        return reference.run(cell, inputs, layout, Weights(*leaves), "tanh", reverse)

    assert torch.autograd.gradcheck(run, (inputs, *leaves))


def test_saturated_gates_give_the_limits():
    layout = StepLayout([4])
    for cell in CELLS:
        weights = Weights(*(w if w is None else w.detach().float() for w in random_weights(cell, 1, 2)))
        weights = weights._replace(input=torch.full_like(weights.input, 1e4))
        for kernel in (reference, torch_native) if torch_native.supports(cell, "tanh") else (reference,):
            outputs = kernel.run(cell, torch.ones(4, 1), layout, weights, "tanh", False)
            assert torch.isfinite(outputs).all() and outputs.abs().max() <= 1


@pytest.mark.parametrize("cell", [cell for cell, activation in NATIVE if activation == "tanh"])
def test_torch_is_never_given_a_packed_batch_on_the_cpu(monkeypatch, cell):
    layout = StepLayout([2, 4])
    name = CELLS[cell].torch_operations["tanh"]
    operation, seen = getattr(torch, name), []

    def spy(*args):
        seen.append(args)
        return operation(*args)

    monkeypatch.setattr(torch, name, spy)
    torch_native.run(cell, random_inputs(layout, 3), layout, random_weights(cell, 3, 5), "tanh", False)
    (args,) = seen
    assert args[0].shape == (4, 2, 3), "padded: (max_length, n_rows, n_inputs)"
    assert args[6] is True, "oneDNN's fused path is told that it is training"
