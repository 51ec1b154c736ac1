"""The pooling modules against one row at a time. `test_network.py` compares them inside a network."""

import pytest
import torch

from seqclf._kernels import StepLayout
from seqclf._nn.pooling import POOLINGS, AttentionPooling

LENGTHS = [4, 1, 0, 6, 3]
N_FEATURES, N_FORWARD = 5, 3


def by_row(module, name, states):
    """The pooled vector of one row, (n_features,)."""
    if name == "last":
        return torch.cat((states[-1, :N_FORWARD], states[0, N_FORWARD:]))
    if name == "mean":
        return states.mean(dim=0)
    if name == "max":
        return states.max(dim=0).values
    weights = (torch.tanh(states @ module.weight.T + module.bias) @ module.query).softmax(dim=0)
    return weights @ states


@pytest.mark.parametrize("name", POOLINGS)
def test_pooling_equals_each_row_alone(name):
    """float64 runs on the reference, which pads rows of different lengths."""
    layout = StepLayout(LENGTHS)
    module = POOLINGS[name](N_FEATURES, N_FORWARD).double()
    if name == "attention":
        module.reset_parameters(torch.Generator().manual_seed(1))
    states = torch.randn(layout.n_steps, N_FEATURES, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = [by_row(module, name, states[layout.row_of_step == row]) for row in range(layout.n_rows)]
    torch.testing.assert_close(module(states, layout), torch.stack(expected))


def test_last_pooling_of_one_direction():
    layout = StepLayout(LENGTHS)
    states = torch.arange(2.0 * layout.n_steps).reshape(-1, 2)
    assert torch.equal(POOLINGS["last"](2, 2)(states, layout), states[layout.last_step])


def test_attention_pooling_reset_parameters():
    module = AttentionPooling(400)
    module.reset_parameters(torch.Generator().manual_seed(0))
    assert not module.bias.any()
    assert abs(module.query.std().item() * 400**0.5 - 1) < 0.1
    bound = (6 / 800) ** 0.5
    assert 0.99 * bound < module.weight.abs().max() <= bound
