"""Outputs for any number of sequences: those that each has alone, wherever it stands and whichever batch it is in."""

import numpy as np
import pytest
import torch

from seqclf._data.ragged import Ragged
from seqclf._training.predict import predict_outputs

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
