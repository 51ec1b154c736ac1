"""Where dropout acts in the network, looked at from inside."""

import numpy as np
import pytest
import torch

import _factories
from seqclf._kernels import StepLayout, written_out
from seqclf._nn.sequence_batch import SequenceBatch

LENGTHS = np.array([4, 0, 6, 6])
IDS = torch.arange(int(LENGTHS.sum())) % 9 + 1


def make_network(units, **changes):
    config = {
        "n_outputs": 1,
        "vocab_size": 12,
        "embedding_dim": 40,
        "bidirectional": True,
        "pooling": "max",
        "dropout": 0.5,
    }
    return _factories.make_network(**(config | {"units": units} | changes)).train()


def inputs_of(network, module):
    seen = []
    handle = module.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    network(SequenceBatch(IDS, LENGTHS), torch.Generator().manual_seed(1))
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_half_of_what_a_layer_reads_is_dropped_the_same_all_along_a_sequence(layer):
    network = make_network((20, 20, 20))
    layout = StepLayout(LENGTHS)
    inputs = inputs_of(network, network.recurrent.layers[layer])
    read = written_out(inputs, layout).detach()
    masks = []
    for row in range(layout.n_rows):
        dropped = read[layout.row_of_step == row] == 0
        assert (dropped == dropped[0]).all(), "one mask per sequence, constant over time"
        masks.append(dropped[0])
    share = torch.stack(masks).float().mean().item()
    assert 0.3 < share < 0.7
    assert not torch.equal(masks[0], masks[1])


def test_half_of_what_the_head_reads_is_dropped():
    network = make_network((40,))
    read = inputs_of(network, network.head).detach()
    present = read[[0, 2, 3]]
    assert 0.3 < (present == 0).float().mean().item() < 0.7
    assert not torch.equal(present[0] == 0, present[1] == 0)


def test_series_are_not_dropped_before_the_first_layer():
    network = make_network((8,), vocab_size=None, embedding_dim=None, n_channels=3)
    values = torch.ones(int(LENGTHS.sum()), 3)
    seen = []
    network.recurrent.layers[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    network(SequenceBatch(values, LENGTHS), torch.Generator().manual_seed(1))
    assert (seen[0].numbers == 1).all()
