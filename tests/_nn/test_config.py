"""How many weights a network has, before there is one."""

import pytest

from seqclf._nn.config import NetworkConfig
from seqclf._nn.network import Network

SHAPE = {
    "n_outputs": 3,
    "units": (5, 4),
    "pooling": "last",
    "activation": "tanh",
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
}


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "mgu"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    "inputs",
    [
        {"n_channels": 2},
        {"n_channels": 2, "conv_filters": (6, 3)},
        {"vocab_size": 40, "embedding_dim": 7},
        {"vocab_size": 40, "n_step_features": 2},
    ],
)
def test_weights_are_counted(cell, bidirectional, inputs):
    config = NetworkConfig(cell=cell, bidirectional=bidirectional, **SHAPE, **inputs)
    n_weights = sum(parameter.numel() for parameter in Network(config).parameters())
    n_matrices = config.n_weights
    if "conv_filters" in inputs:
        assert n_matrices < n_weights < 15 * n_matrices
    else:
        assert 0.8 * n_weights < n_matrices <= n_weights


def test_what_no_machine_has_is_counted_at_once():
    config = NetworkConfig(cell="gru", bidirectional=True, **SHAPE | {"units": (10**15,)}, n_channels=10**9)
    assert config.n_weights > 10**30
