"""Outputs and states do not depend on the order of sequences or the batch."""

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
def test_predict_outputs_equal_those_of_each_sequence_alone(tune, make_data, make_network, pooling, n_rows):
    """Without pooling, the result is a Ragged with the outputs of each step."""
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
    for row, found in enumerate(np.split(outputs, np.cumsum(lengths)[:-1])):
        alone = predict_outputs(network, sequences.take([row]), CPU)
        alone = alone.values if pooling is None else alone
        np.testing.assert_allclose(found, alone, rtol=0, atol=1e-13)


@pytest.mark.parametrize("pooling", ["last", None])
def test_predict_outputs_of_no_sequences(make_data, make_network, pooling):
    outputs = predict_outputs(make_network(pooling=pooling), make_data([]).sequences, CPU)
    assert len(outputs) == 0
    assert (outputs.values if pooling is None else outputs).shape == (0, 1)


@pytest.mark.parametrize("n_rows", [2, 512])
@pytest.mark.parametrize("pooling", ["last", None])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_predict_states_equal_those_of_each_sequence_alone(
    tune, make_data, make_network, pooling, n_rows, bidirectional
):
    """The result is a Ragged with the state after each step, with or without pooling."""
    tune(prediction_rows=n_rows)
    network, sequences = make_network(pooling=pooling, bidirectional=bidirectional), make_data(LENGTHS).sequences
    states = predict_states(network, sequences, CPU)
    assert isinstance(states, Ragged) and states.lengths.tolist() == LENGTHS
    assert states.values.dtype == np.float32 and states.values.shape == (sum(LENGTHS), 8 if bidirectional else 4)
    assert len(np.unique(states.values[:, 0])) >= 20
    for row, found in enumerate(states.items()):
        alone = predict_states(network, sequences.take([row]), CPU)
        np.testing.assert_allclose(found, alone.values, rtol=0, atol=1e-7)


def test_predict_states_of_no_sequences(make_data, make_network):
    assert predict_states(make_network(), make_data([]).sequences, CPU).values.shape == (0, 4)


@pytest.mark.parametrize("pooling", ["last", None])
def test_prediction_on_a_gpu_matches_the_cpu(monkeypatch, make_data, make_network, pooling):
    """The GPU is simulated by torch on the CPU."""

    class Device:
        type, index = "cuda", None

    monkeypatch.setattr(predict, "Predictor", lambda network, device: Predictor(network, CPU))
    monkeypatch.setattr(
        predict, "available_on", lambda device: pytest.fail("small predictions should not query the available memory")
    )
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


def test_inference_network_does_not_copy_weights(make_data, make_network):
    """A change of the weights affects the next prediction."""
    network, sequences = make_network(), make_data(LENGTHS).sequences
    before = predict_outputs(network, sequences, CPU)
    inference_network = predict.to_inference_network(network)
    for name, tensor in network.state_dict().items():
        assert np.shares_memory(inference_network.weights[name], tensor.numpy()), name
    with torch.no_grad():
        network.head.bias += 1
    np.testing.assert_allclose(predict_outputs(network, sequences, CPU), before + 1, rtol=1e-6)


def test_predict_outputs_on_mps_runs_on_the_cpu(make_data, make_network):
    network, sequences = make_network(), make_data(LENGTHS).sequences
    found = predict_outputs(network, sequences, torch.device("mps"))
    assert np.array_equal(found, predict_outputs(network, sequences, CPU))


def test_predict_outputs_rounds_float64_weights(make_data, make_network):
    """With torch's default dtype set to float64, networks have float64 weights; saved models have float32."""
    network, sequences = make_network(), make_data(LENGTHS).sequences
    expected = predict_outputs(network, sequences, CPU)
    assert np.array_equal(predict_outputs(network.double(), sequences, CPU), expected)
