import pytest
import torch

from seqclf._cells import Weights


@pytest.fixture
def assert_step_equals_torch():
    """A function that compares one step of a cell with torch's module for it, in float64."""

    def check(cell, make_module, activation=torch.tanh):
        generator, units, rows = torch.Generator().manual_seed(0), 5, 5 * cell.n_gates

        def draw(*shape):
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        recurrent_bias = draw(rows) if cell.has_recurrent_bias else None
        weights = Weights(draw(rows, 3), draw(rows, units), draw(rows), recurrent_bias)
        module = make_module(3, units, dtype=torch.float64)
        with torch.no_grad():
            module.weight_ih.copy_(weights.input)
            module.weight_hh.copy_(weights.recurrent)
            module.bias_ih.copy_(weights.bias)
            # torch has a second bias for every cell.
            module.bias_hh.copy_(torch.zeros(rows) if recurrent_bias is None else recurrent_bias)
        inputs, state = draw(4, 3), tuple(draw(4, units) for _ in range(1 + cell.has_memory))
        found = cell.step(inputs @ weights.input.T + weights.bias, state, weights, activation)
        expected = module(inputs, state if cell.has_memory else state[0])
        torch.testing.assert_close(found, expected if cell.has_memory else (expected,))

    return check
