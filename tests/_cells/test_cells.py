"""Each cell is one equation, with equal results for arrays and tensors."""

import numpy as np
import pytest
import torch

from seqclf._cells import ACTIVATIONS, CELLS, Weights


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_step_of_arrays_equals_step_of_tensors(cell, activation):
    rng, units, n_gates = np.random.default_rng(0), 5, CELLS[cell].n_gates
    shapes = ((n_gates * units, 3), (n_gates * units, units), (n_gates * units,), (n_gates * units,))
    weights = Weights(*(rng.normal(size=shape) for shape in shapes))
    projected = rng.normal(size=(4, n_gates * units))
    state = tuple(rng.normal(size=(4, units)) for _ in range(1 + CELLS[cell].has_memory))
    step, activate = CELLS[cell].step, ACTIVATIONS[activation].function
    of_arrays = step(projected, state, weights, activate)
    as_tensors = tuple(map(torch.from_numpy, state)), Weights(*map(torch.from_numpy, weights))
    of_tensors = step(torch.from_numpy(projected), *as_tensors, activate)
    assert len(of_arrays) == len(of_tensors) == len(state)
    for ours, theirs in zip(of_arrays, of_tensors, strict=True):
        assert isinstance(ours, np.ndarray)
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("cell", CELLS)
def test_cell_name_is_its_key_and_its_torch_operations_exist(cell):
    assert CELLS[cell].name == cell
    assert CELLS[cell].torch_operations.keys() <= ACTIVATIONS.keys()
    assert all(callable(getattr(torch, name)) for name in CELLS[cell].torch_operations.values())
