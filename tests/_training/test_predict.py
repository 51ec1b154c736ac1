"""Outputs and states for any number of sequences: those that each has alone, in any place and any batch."""

import numpy as np
import pytest
import torch

from seqclf._data.ragged import Ragged
from seqclf._nn.predictor import Predictor
from seqclf._training.predict import predict_outputs, predict_states

CPU = torch.device("cpu")
LENGTHS = [3, 0, 9, 1, 1, 0, 7, 2, 12, 5]


@pytest.mark.parametrize("n_rows", [2, 512])
@pytest.mark.parametrize("pooling", ["last", None])
def test_outputs_are_those_of_each_sequence_alone(monkeypatch, make_data, make_network, pooling, n_rows):
    """In the order given; without pooling a Ragged, with a row for each step."""
    monkeypatch.setattr("seqclf._training.batches.PREDICTION_ROWS", n_rows)
    network, sequences = make_network(pooling=pooling, n_outputs=3), make_data(LENGTHS).sequences
    outputs = predict_outputs(network, sequences, CPU)
    if pooling is None:
        assert isinstance(outputs, Ragged) and outputs.lengths.tolist() == LENGTHS
        outputs, lengths = outputs.values, LENGTHS
    else:
        lengths = [1] * len(LENGTHS)
    assert outputs.dtype == np.float64 and outputs.shape == (sum(lengths), 3)
    assert len(np.unique(outputs[:, 0])) >= 8
    for row, ours in enumerate(np.split(outputs, np.cumsum(lengths)[:-1])):
        alone = predict_outputs(network, sequences.take([row]), CPU)
        alone = alone.values if pooling is None else alone
        np.testing.assert_allclose(ours, alone, rtol=0, atol=1e-13)


@pytest.mark.parametrize("pooling", ["last", None])
def test_outputs_of_no_sequence(make_data, make_network, pooling):
    outputs = predict_outputs(make_network(pooling=pooling), make_data([]).sequences, CPU)
    assert len(outputs) == 0
    assert (outputs.values if pooling is None else outputs).shape == (0, 1)


@pytest.mark.parametrize("n_rows", [2, 512])
@pytest.mark.parametrize("pooling", ["last", None])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_states_are_those_of_each_sequence_alone(monkeypatch, make_data, make_network, pooling, n_rows, bidirectional):
    """A Ragged with a row for each step, whether the network pools them or not."""
    monkeypatch.setattr("seqclf._training.batches.PREDICTION_ROWS", n_rows)
    network, sequences = make_network(pooling=pooling, bidirectional=bidirectional), make_data(LENGTHS).sequences
    states = predict_states(network, sequences, CPU)
    assert isinstance(states, Ragged) and states.lengths.tolist() == LENGTHS
    assert states.values.dtype == np.float32 and states.values.shape == (sum(LENGTHS), 8 if bidirectional else 4)
    assert len(np.unique(states.values[:, 0])) >= 20
    for row, ours in enumerate(states.items()):
        alone = predict_states(network, sequences.take([row]), CPU)
        np.testing.assert_allclose(ours, alone.values, rtol=0, atol=1e-7)


def test_states_of_no_sequence(make_data, make_network):
    assert predict_states(make_network(), make_data([]).sequences, CPU).values.shape == (0, 4)


def test_states_are_computed_batch_by_batch(monkeypatch, make_data, make_network):
    """The memory that they take, besides the result, does not grow with the number of sequences."""
    monkeypatch.setattr("seqclf._training.batches.PREDICTION_STEPS", 24)
    n_steps, states_of = [], Predictor.states
    monkeypatch.setattr(
        Predictor, "states", lambda self, batch: n_steps.append(batch.n_steps) or states_of(self, batch)
    )
    predict_states(make_network(), make_data(LENGTHS * 3).sequences, CPU)
    assert sum(n_steps) == 3 * sum(LENGTHS) and max(n_steps) <= 24
