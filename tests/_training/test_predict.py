"""Outputs and states for any number of sequences: those that each has alone, in any place and any batch."""

import numpy as np
import pytest
import torch

from seqclf._data.ragged import Ragged
from seqclf._nn.predictor import Predictor
from seqclf._training import predict
from seqclf._training.batches import SequenceStore
from seqclf._training.predict import predict_outputs, predict_states

CPU = torch.device("cpu")
LENGTHS = [3, 0, 9, 1, 1, 0, 7, 2, 12, 5]


@pytest.mark.parametrize("n_rows", [2, 512])
@pytest.mark.parametrize("pooling", ["last", None])
def test_outputs_are_those_of_each_sequence_alone(tune, make_data, make_network, pooling, n_rows):
    """In the order given; without pooling a Ragged, with a row for each step."""
    tune(prediction_rows=n_rows)
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
def test_states_are_those_of_each_sequence_alone(tune, make_data, make_network, pooling, n_rows, bidirectional):
    """A Ragged with a row for each step, whether the network pools them or not."""
    tune(prediction_rows=n_rows)
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


@pytest.mark.parametrize("pooling", ["last", None])
def test_a_device_that_has_float64_predicts_with_torch(monkeypatch, make_data, make_network, pooling):
    """The CPU stands for it here; it gives nearly the same."""

    class Device:
        type, index = "cuda", None

    monkeypatch.setattr(predict, "Predictor", lambda network, device: Predictor(network, CPU))
    monkeypatch.setattr(predict, "left_on", lambda device: pytest.fail("so little is not asked for"))
    batch = SequenceStore.batch
    monkeypatch.setattr(SequenceStore, "batch", lambda self, rows, device: batch(self, rows, CPU))
    network, sequences = make_network(pooling=pooling, n_outputs=3), make_data(LENGTHS).sequences
    for function in (predict_outputs, predict_states):
        found, expected = function(network, sequences, Device()), function(network, sequences, CPU)
        if isinstance(expected, Ragged):
            assert found.lengths.tolist() == expected.lengths.tolist()
            found, expected = found.values, expected.values
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_weights_are_read_where_they_are(make_data, make_network):
    """So a change of them counts at the next prediction; nothing is copied."""
    network, sequences = make_network(), make_data(LENGTHS).sequences
    before = predict_outputs(network, sequences, CPU)
    light = predict.without_torch(network)
    for name, tensor in network.state_dict().items():
        assert np.shares_memory(light.weights[name], tensor.numpy()), name
    with torch.no_grad():
        network.head.bias += 1
    np.testing.assert_allclose(predict_outputs(network, sequences, CPU), before + 1, rtol=1e-6)


def test_where_there_is_no_float64_the_cpu_predicts(make_data, make_network):
    network, sequences = make_network(), make_data(LENGTHS).sequences
    found = predict_outputs(network, sequences, torch.device("mps"))
    assert np.array_equal(found, predict_outputs(network, sequences, CPU))


def test_weights_of_float64_are_rounded(make_data, make_network):
    """Some processes have torch make float64 by default; a saved model has float32."""
    network, sequences = make_network(), make_data(LENGTHS).sequences
    expected = predict_outputs(network, sequences, CPU)
    assert np.array_equal(predict_outputs(network.double(), sequences, CPU), expected)
