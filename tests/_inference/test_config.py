"""The configuration of a network: number and shapes of its weights, and its saved state."""

from dataclasses import fields

import numpy as np
import pytest

from _sampling import sampled
from seqclf._cells import CELLS
from seqclf._inference.config import POOLINGS, NetworkConfig
from seqclf._nn.network import Network
from seqclf._saved import Saved, SavedStateError

SHAPE = {
    "n_outputs": 3,
    "units": (5, 4),
    "pooling": "last",
    "activation": "tanh",
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
}


@pytest.mark.parametrize("cell", CELLS)
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
def test_n_weights_is_a_lower_bound(cell, bidirectional, inputs):
    config = NetworkConfig(cell=cell, bidirectional=bidirectional, **SHAPE, **inputs)
    n_weights = sum(parameter.numel() for parameter in Network(config).parameters())
    n_matrices = config.n_weights
    if "conv_filters" in inputs:
        assert n_matrices < n_weights < 15 * n_matrices
    else:
        assert 0.8 * n_weights < n_matrices <= n_weights


def test_n_weights_of_a_huge_network():
    config = NetworkConfig(cell="gru", bidirectional=True, **SHAPE | {"units": (10**15,)}, n_channels=10**9)
    assert config.n_weights > 10**30


INPUTS = {
    "values": {"n_channels": 2},
    "values, a filter layer and scores": {"n_channels": 2, "conv_filters": (6,), "scores": True},
    "values and filters": {"n_channels": 2, "conv_filters": (6, 3, 2, 4)},
    "embedding": {"vocab_size": 40, "embedding_dim": 7},
    "all": {"vocab_size": 40, "embedding_dim": 7, "n_step_features": 3, "conv_filters": (6, 3)},
    "one-hot, features and scores": {"vocab_size": 40, "n_step_features": 2, "scores": True},
    "one-hot": {"vocab_size": 40},
}


@sampled(
    {
        "cell": list(CELLS),
        "bidirectional": [False, True],
        "pooling": [*POOLINGS, None],
        "units": {"one layer": (5,), "three layers": (5, 4, 3)},
        "inputs": INPUTS,
    },
    n_quick=28,
)
def test_weight_shapes_are_those_of_the_network(cell, bidirectional, pooling, units, inputs):
    settings = SHAPE | {"units": units, "pooling": pooling} | inputs
    config = NetworkConfig(cell=cell, bidirectional=bidirectional, **settings)
    state = Network(config).state_dict()
    assert config.weight_shapes() == {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert config.n_states == units[-1] * config.n_directions


CONFIGS = {
    "numbers": NetworkConfig(cell="lstm", bidirectional=True, **SHAPE, n_channels=2, conv_filters=(6, 3), scores=True),
    "ids": NetworkConfig(
        cell="mgu", bidirectional=False, **SHAPE | {"pooling": None}, vocab_size=40, embedding_dim=7,
        n_step_features=2, token_dropout=0.25,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_from_state_inverts_to_state(name):
    state = CONFIGS[name].to_state()
    assert NetworkConfig.from_state(Saved(state)) == CONFIGS[name]
    as_lists = {key: list(value) if isinstance(value, tuple) else value for key, value in state.items()}
    assert NetworkConfig.from_state(Saved(as_lists)) == CONFIGS[name]


@pytest.mark.parametrize("field", [field.name for field in fields(NetworkConfig)])
@pytest.mark.parametrize("value", [-1, 0.5, "lstm ", b"x", [], [0], ["5"], {}, np.zeros(3), float("nan"), 10**30, ()])
def test_from_state_validates_every_value(field, value):
    """A valid value is restored unchanged; every other value raises SavedStateError."""
    valid = {
        "conv_filters": ([], ()),
        **dict.fromkeys(("dropout", "recurrent_dropout", "token_dropout"), (0.5,)),
    }
    state = CONFIGS["numbers"].to_state() | {field: value}
    if any(type(value) is type(one) and value == one for one in valid.get(field, ())):
        restored = getattr(NetworkConfig.from_state(Saved(state)), field)
        assert restored == (tuple(value) if isinstance(value, list) else value)
    else:
        with pytest.raises(SavedStateError, match=field):
            NetworkConfig.from_state(Saved(state))


@pytest.mark.parametrize("field", [field.name for field in fields(NetworkConfig)])
def test_from_state_raises_for_a_missing_value(field):
    state = CONFIGS["ids"].to_state()
    del state[field]
    with pytest.raises(SavedStateError, match=f"network.{field} is missing"):
        NetworkConfig.from_state(Saved(state, "network"))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("numbers", {"embedding_dim": 3}, "without a vocab_size"),
        ("numbers", {"n_step_features": 3}, "without a vocab_size"),
        ("numbers", {"n_channels": 0}, "needs n_channels"),
        ("ids", {"n_channels": 1}, "both vocab_size and n_channels"),
        ("ids", {"embedding_dim": None, "conv_filters": [3]}, "are not possible with one-hot ids"),
        ("ids", {"units": []}, "units has no layer"),
    ],
)
def test_from_state_raises_for_incompatible_values(name, changes, message):
    with pytest.raises(SavedStateError, match=message):
        NetworkConfig.from_state(Saved(CONFIGS[name].to_state() | changes))
