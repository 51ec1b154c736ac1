"""Outputs of a trained network for any number of sequences."""

import numpy as np
import torch

from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._nn.network import Network
from seqclf._nn.predictor import Predictor
from seqclf._training.batches import SequenceStore, prediction_rows


def predict_outputs(network: Network, sequences: EncodedSequences, device: torch.device) -> np.ndarray | Ragged:
    """Outputs in float64, in the order given.

    An array of shape (n_sequences, n_outputs); from a network without pooling a Ragged of shape (n_steps, n_outputs).
    """
    predictor = Predictor(network, device, sequences.steps.n_steps)
    per_step = network.pooling is None
    n_units = sequences.steps.n_steps if per_step else len(sequences)
    outputs = np.empty((n_units, network.head.n_outputs))
    store = SequenceStore(sequences)
    for rows in prediction_rows(sequences):
        units = sequences.steps.positions(rows) if per_step else rows
        outputs[units] = predictor.predict(store.batch(rows, predictor.device)).cpu().numpy()
    return Ragged(outputs, sequences.lengths) if per_step else outputs
