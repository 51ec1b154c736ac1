"""Prediction on a device, with a copy of the network in float64."""

import numpy as np
import pytest
import torch

import _factories
from seqclf._nn.predictor import Predictor
from seqclf._nn.sequence_batch import SequenceBatch

LENGTHS = np.random.default_rng(0).integers(0, 30, 70)
IDS = torch.from_numpy(np.random.default_rng(1).integers(1, 30, LENGTHS.sum()))
BATCH = SequenceBatch(IDS, LENGTHS)


def make_network():
    config = {"vocab_size": 30, "embedding_dim": 12, "cell": "lstm", "units": (9, 16), "bidirectional": True}
    return _factories.make_network(**config, pooling="max", dropout=0.5, recurrent_dropout=0.5)


def test_predictor_computes_in_float64_without_dropout_on_a_copy():
    network = make_network().train()
    predictor = Predictor(network, torch.device("cpu"))
    outputs, states = predictor.predict(BATCH), predictor.states(BATCH)
    assert network.training and all(weight.dtype == torch.float32 for weight in network.parameters())
    assert not outputs.requires_grad and not states.requires_grad
    double = make_network().double().eval()
    assert outputs.dtype == torch.float64 and states.dtype == torch.float32
    torch.testing.assert_close(outputs, double(BATCH).detach(), rtol=0, atol=0)
    torch.testing.assert_close(states, double.states(BATCH).detach().float(), rtol=0, atol=0)


@pytest.mark.parametrize("pick", [slice(0, 1), slice(7, 30)])
def test_predictor_is_nearly_batch_invariant(pick):
    predictor = Predictor(make_network(), torch.device("cpu"))
    ends = LENGTHS.cumsum()
    steps = slice(ends[pick][0] - LENGTHS[pick][0], ends[pick][-1])
    some = predictor.predict(SequenceBatch(IDS[steps], LENGTHS[pick]))
    np.testing.assert_allclose(some, predictor.predict(BATCH)[pick], rtol=0, atol=1e-13)
