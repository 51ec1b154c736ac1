"""The minimal gated unit against a GRU with tied gates, which is tested against torch."""

import pytest
import torch

from seqclf._kernels import StepLayout, Weights, reference


@pytest.mark.parametrize("reverse", [False, True])
def test_mgu_equals_a_gru_with_tied_gates(reverse):
    """The reset gate is f, and the update gate 1 - f is the sigmoid of the negated sum."""
    generator, units = torch.Generator().manual_seed(0), 5

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    layout = StepLayout([3, 7, 1, 5])
    weights = Weights(draw(2 * units, 3), draw(2 * units, units), draw(2 * units), draw(2 * units))
    inputs = draw(layout.n_steps, 3)

    def tied(weight):
        f, n = weight.split(units)
        return torch.cat((f, -f, n))

    found = reference.run("mgu", inputs, layout, weights, "tanh", reverse)
    expected = reference.run("gru", inputs, layout, Weights(*map(tied, weights)), "tanh", reverse)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
