"""Token ids, numbers, and both together, as what a layer reads."""

import numpy as np
import pytest
import torch

from seqclf import _kernels
from seqclf._kernels import Inputs, StepLayout, Weights, reference, torch_native
from seqclf._kernels.cpu import recurrence
from seqclf._native import library
from seqclf._native.threads import kernel_threads

COMPILED = [(cell.name, activation) for cell in _kernels.CELLS.values() for activation in _kernels.ACTIVATIONS]
TORCHS = [(cell.name, activation) for cell in _kernels.CELLS.values() for activation in cell.torch_operations]
ALL_CELLS = pytest.mark.parametrize(("cell", "activation"), COMPILED, ids=map("-".join, COMPILED))
compiled = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")
N_IDS, N_NUMBERS, LENGTHS = 23, 3, [5, 30, 1, 17, 30, 2, 9, 0, 12]
LAYOUT = StepLayout(LENGTHS)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make_weights(cell, n_inputs, units, dtype=torch.float32):
    rows = _kernels.CELLS[cell].n_gates * units
    shapes = [(rows, n_inputs), (rows, units), (rows,), (rows,) if _kernels.CELLS[cell].has_recurrent_bias else None]
    drawn = [None if shape is None else draw(*shape, seed=i) / units**0.5 for i, shape in enumerate(shapes)]
    return Weights(*(None if each is None else each.to(dtype).requires_grad_() for each in drawn))


def make_ids():
    ids = np.random.default_rng(3).integers(0, N_IDS, LAYOUT.n_steps)
    ids[ids == 5] = 6  # one that doesn't occur
    return torch.from_numpy(ids)


def results(kernel, cell, activation, reverse, units, dtype=torch.float32):
    """Outputs and all gradients for ids and numbers beside them."""
    weights = make_weights(cell, N_IDS + N_NUMBERS, units, dtype)
    numbers = draw(LAYOUT.n_steps, N_NUMBERS, seed=9).to(dtype).requires_grad_()
    outputs = kernel.run(cell, Inputs(numbers, make_ids()), LAYOUT, weights, activation, reverse)
    leaves = [numbers, *(weight for weight in weights if weight is not None)]
    gradients = torch.autograd.grad(outputs, leaves, draw(LAYOUT.n_steps, units, seed=7).to(dtype))
    return [outputs.detach(), *gradients]


def test_of_takes_floats_for_numbers_and_whole_numbers_for_ids():
    floats, whole = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int32)
    assert Inputs.of(floats) == Inputs(numbers=floats)
    assert Inputs.of(whole) == Inputs(ids=whole)
    both = Inputs(floats, whole)
    assert Inputs.of(both) is both


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@ALL_CELLS
def test_the_reference_reads_ids_and_numbers_as_one_vector(cell, activation, reverse):
    weights = make_weights(cell, N_IDS + N_NUMBERS, 6)
    numbers, ids = draw(LAYOUT.n_steps, N_NUMBERS), make_ids()
    vectors = torch.cat((torch.nn.functional.one_hot(ids, N_IDS).float(), numbers), dim=1)
    found = reference.run(cell, Inputs(numbers, ids), LAYOUT, weights, activation, reverse)
    expected = reference.run(cell, vectors, LAYOUT, weights, activation, reverse)
    torch.testing.assert_close(found, expected)


@compiled
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("units", [1, 8, 13, 32])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@ALL_CELLS
def test_the_kernels_equal_the_reference(cell, activation, reverse, units, n_threads, tune):
    tune(min_parallel_work=0)
    with kernel_threads(n_threads):
        found = results(recurrence, cell, activation, reverse, units)
    expected = results(reference, cell, activation, reverse, units, torch.float64)
    torch.testing.assert_close(found[0].double(), expected[0], rtol=1e-6, atol=1e-5)
    for gradient, of_reference in zip(found[1:], expected[1:], strict=True):
        assert (gradient - of_reference).norm() <= 1e-4 * of_reference.norm()
    assert (found[2][:, 5] == 0).all(), "an id that doesn't occur"


@pytest.mark.parametrize(("cell", "activation"), TORCHS, ids=map("-".join, TORCHS))
def test_torchs_own_operations_equal_the_reference(cell, activation):
    found = results(torch_native, cell, activation, True, 6, torch.float64)
    expected = results(reference, cell, activation, True, 6, torch.float64)
    torch.testing.assert_close(found, expected)


@compiled
def test_ids_beyond_the_table_are_refused():
    weights, ids = make_weights("lstm", N_IDS + N_NUMBERS, 4), make_ids()
    ids[7] = N_IDS
    numbers = draw(LAYOUT.n_steps, N_NUMBERS)
    with pytest.raises(IndexError, match=f"to {N_IDS}; expected 0 to {N_IDS - 1}"):
        recurrence.run("lstm", Inputs(numbers, ids), LAYOUT, weights, "tanh", False)
