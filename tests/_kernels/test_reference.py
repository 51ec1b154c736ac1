"""The reference against torch.nn, against plain loops and by `gradcheck`: outputs and gradients."""

import numpy as np
import pytest
import torch

from _factories import convolve_by_loop
from _sampling import sampled
from seqclf._kernels import ACTIVATIONS, CELLS, Inputs, LookUp, StepLayout, Weights, reference

TORCH_CELLS = [(cell.name, activation) for cell in CELLS.values() for activation in cell.torch_operations]


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
    """The outputs of `run`, and the gradients of a random projection of them for all leaves."""
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


@sampled({"cell": list(CELLS), "activation": list(ACTIVATIONS)})
def test_ids_are_one_hot_vectors(cell, activation):
    layout = StepLayout([3, 1, 4])
    ids = torch.tensor([2, 0, 4, 4, 1, 3, 2, 0])
    weights = random_weights(cell, 5, 4)
    one_hot = torch.nn.functional.one_hot(ids, 5).double()
    expected = outputs_and_gradients(
        lambda: reference.run(cell, one_hot, layout, weights, activation, False), one_hot, weights
    )
    found = outputs_and_gradients(lambda: reference.run(cell, ids, layout, weights, activation, False), ids, weights)
    assert_equal(found, expected)


def torch_nn(cell, activation, weights, n_inputs):
    """torch.nn's module with the same weights; its second bias is zero if the equation has none."""
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
@pytest.mark.parametrize(("cell", "activation"), TORCH_CELLS)
def test_reference_equals_torch_nn_sequence_by_sequence(cell, activation, reverse):
    """torch gets one sequence per call, reversed by hand, so there is no layout, padding or packing."""
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

    def run_torch():
        outputs = []
        for sequence in leaf.split(lengths):
            states = module(sequence.flip(0) if reverse else sequence)[0]
            outputs.append(states.flip(0) if reverse else states)
        return torch.cat(outputs)[layout.gather]

    outputs = run_torch()
    projection = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    parameters = [leaf, module.weight_ih_l0, module.weight_hh_l0, module.bias_ih_l0]
    if weights.recurrent_bias is not None:
        parameters.append(module.bias_hh_l0)
    gradients = list(torch.autograd.grad((outputs * projection).sum(), parameters))
    gradients[0] = gradients[0][layout.gather]
    assert_equal(found, [outputs.detach(), *gradients])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("reverse", [False, True])
def test_reference_passes_gradcheck(cell, reverse):
    layout = StepLayout([3, 1, 2])
    inputs, weights = random_inputs(layout, 2), random_weights(cell, 2, 3)
    leaves = [leaf for leaf in weights if leaf is not None]

    def run(inputs, *leaves):
        return reference.run(cell, inputs, layout, Weights(*leaves), "tanh", reverse)

    assert torch.autograd.gradcheck(run, (inputs, *leaves))


def test_saturated_gates_give_finite_states():
    layout = StepLayout([4])
    for cell in CELLS:
        weights = Weights(*(w if w is None else w.detach().float() for w in random_weights(cell, 1, 2)))
        weights = weights._replace(input=torch.full_like(weights.input, 1e4))
        outputs = reference.run(cell, torch.ones(4, 1), layout, weights, "tanh", False)
        assert torch.isfinite(outputs).all() and outputs.abs().max() <= 1


@sampled({"cell": list(CELLS), "activation": list(ACTIVATIONS), "reverse": {"forward": False, "reverse": True}})
def test_ids_with_values_are_one_hot_vectors_followed_by_values(cell, activation, reverse):
    layout = StepLayout([3, 1, 4])
    ids, values = torch.tensor([2, 0, 4, 4, 1, 3, 2, 0]), random_inputs(layout, 2).detach()
    weights = random_weights(cell, 5 + 2, 4)
    vectors = torch.cat((torch.nn.functional.one_hot(ids, 5).double(), values), dim=1)
    found = reference.run(cell, Inputs(values, ids), layout, weights, activation, reverse)
    torch.testing.assert_close(found, reference.run(cell, vectors, layout, weights, activation, reverse))


def test_materialize_returns_masked_vectors_followed_by_values():
    layout = StepLayout([1, 2])
    embedding, mask = torch.arange(6.0).reshape(3, 2), torch.tensor([[0.0, 2], [2, 2]])
    inputs = Inputs(torch.tensor([[7.0], [8], [9]]), torch.tensor([2, 0, 1]), embedding, mask)
    found = reference.materialize(inputs, layout)
    assert found.ids is None and found.embedding is None
    assert found.values.tolist() == [[0, 10, 7], [0, 2, 8], [0, 6, 9]]
    assert reference.materialize(found, layout) is found


def test_gather_steps_and_look_up_equal_a_loop():
    """In the order of the layout: all first steps, then all second steps, longest sequence first."""
    layout = StepLayout([1, 3], starts=[4, 0])
    positions = [0, 4, 1, 2]
    ids = torch.arange(10, 16, dtype=torch.int32)
    arranged = reference.gather_steps(ids, layout)
    assert arranged.dtype == torch.int64 and arranged.tolist() == [10, 14, 11, 12]
    tables = (torch.arange(12.0).reshape(2, 6, 1), torch.arange(24.0).reshape(2, 6, 2))
    entries = torch.stack((torch.arange(6), 5 - torch.arange(6)), dim=1).to(torch.int32)
    found = reference.look_up(LookUp(entries, tables, np.array([1, 0])), layout)
    for row, position in zip(found, positions, strict=True):
        version = 1 if position == 4 else 0
        first, second = entries[position].tolist()
        assert torch.equal(row, torch.cat((tables[0][version, first], tables[1][version, second])))


@pytest.mark.parametrize("kind", ["max", "mean", "attention"])
def test_pooling_equals_each_row_alone(kind):
    layout = StepLayout([2, 0, 5, 1])
    values = random_inputs(layout, 3).detach()
    weight, bias, query = torch.eye(3).double(), torch.ones(3).double(), torch.arange(3.0).double()
    for row in range(layout.n_rows):
        states = values[layout.row_of_step == row]
        attention = (torch.tanh(states + 1) @ query).softmax(dim=0)
        expected = {"max": states.max(dim=0).values, "mean": states.mean(dim=0), "attention": attention @ states}[kind]
        if kind == "attention":
            found = reference.attend(values, layout, weight, bias, query)
        else:
            found = reference.pool(kind, values, layout)
        torch.testing.assert_close(found[row], expected)


@sampled({"lengths": [[4, 1, 0, 9, 9, 2, 3], [5, 5, 5], [1], [1, 1]], "width": [1, 2, 3, 4, 7]}, n_quick=8)
def test_convolve_equals_a_loop_forward_and_backward(lengths, width):
    layout = StepLayout(lengths)
    results = []
    for convolve in (reference.convolve, convolve_by_loop):
        values = random_inputs(layout, 3)
        weight = random_inputs(StepLayout([4]), 3 * width, seed=3).detach().reshape(4, 3, width).requires_grad_()
        results.append(outputs_and_gradients(lambda c=convolve, v=values, w=weight: c(v, layout, w), values, (weight,)))
    assert_equal(*results, tolerance=1e-12)
