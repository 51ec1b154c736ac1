"""Outputs and states of a trained network for any number of sequences."""

from collections.abc import Iterator

import numpy as np
import torch

from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._nn.network import Network
from seqclf._nn.predictor import Predictor
from seqclf._nn.sequence_batch import SequenceBatch
from seqclf._training.batches import SequenceStore, prediction_rows
from seqclf._training.memory import check_prediction


def predict_outputs(network: Network, sequences: EncodedSequences, device: torch.device) -> np.ndarray | Ragged:
    """Outputs in float64, in the order given.

    An array of shape (n_sequences, n_outputs); from a network without pooling a Ragged of shape (n_steps, n_outputs).
    """
    per_step = network.pooling is None
    check_prediction(network.config, sequences, device, 8 * network.head.n_outputs if per_step else 0)
    predictor = Predictor(network, device, sequences.steps.n_steps)
    n_units = sequences.steps.n_steps if per_step else len(sequences)
    outputs = np.empty((n_units, network.head.n_outputs))
    for rows, batch in _batches(sequences, predictor.device):
        units = sequences.steps.positions(rows) if per_step else rows
        outputs[units] = predictor.predict(batch).cpu().numpy()
    return Ragged(outputs, sequences.lengths) if per_step else outputs


def predict_states(network: Network, sequences: EncodedSequences, device: torch.device) -> Ragged:
    """States of the last recurrent layer after every step, in float32 and in the order given."""
    check_prediction(network.config, sequences, device, 4 * network.recurrent.n_outputs)
    predictor = Predictor(network, device, sequences.steps.n_steps)
    states = np.empty((sequences.steps.n_steps, network.recurrent.n_outputs), dtype=np.float32)
    for rows, batch in _batches(sequences, predictor.device):
        states[sequences.steps.positions(rows)] = predictor.states(batch).cpu().numpy()
    return Ragged(states, sequences.lengths)


def extreme_rows(sequences: EncodedSequences, n: int) -> np.ndarray:
    """The rows in which a number that is too large for float32 shows first: the longest, and those of large numbers."""
    chosen = [np.argsort(-sequences.lengths, kind="stable")[:n]]
    values = sequences.steps.values
    if values.dtype.kind == "f" and values.size:
        filled = np.flatnonzero(sequences.lengths)
        largest = np.maximum.reduceat(np.abs(values).max(axis=1), sequences.steps.offsets[filled])
        chosen.append(filled[np.argsort(-largest, kind="stable")[:n]])
    return np.unique(np.concatenate(chosen))


def _batches(sequences: EncodedSequences, device: torch.device) -> Iterator[tuple[np.ndarray, SequenceBatch]]:
    """All sequences once, in batches that memory allows, with their positions."""
    store = SequenceStore(sequences)
    for rows in prediction_rows(sequences):
        yield rows, store.batch(rows, device)
