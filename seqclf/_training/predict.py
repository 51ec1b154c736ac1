"""Outputs and states of a trained network for any number of sequences."""

from collections.abc import Iterator

import numpy as np
import torch

from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._inference.batches import prediction_rows
from seqclf._inference.memory import check_prediction
from seqclf._inference.network import InferenceNetwork
from seqclf._nn.network import Network
from seqclf._nn.predictor import Predictor
from seqclf._nn.sequence_batch import SequenceBatch
from seqclf._training.batches import SequenceStore
from seqclf._training.memory import left_on


def predict_outputs(network: Network, sequences: EncodedSequences, device: torch.device) -> np.ndarray | Ragged:
    """Outputs in float64, in the order given.

    An array of shape (n_sequences, n_outputs); from a network without pooling a Ragged of shape (n_steps, n_outputs).
    """
    if device.type != "cuda":
        return without_torch(network).outputs(sequences)
    per_step = network.pooling is None
    _check_gpu(network, sequences, device, 8 * network.head.n_outputs if per_step else 0)
    predictor = Predictor(network, device)
    n_units = sequences.steps.n_steps if per_step else len(sequences)
    outputs = np.empty((n_units, network.head.n_outputs))
    for rows, batch in _batches(sequences, device):
        units = sequences.steps.positions(rows) if per_step else rows
        outputs[units] = predictor.predict(batch).cpu().numpy()
    return Ragged(outputs, sequences.lengths) if per_step else outputs


def predict_states(network: Network, sequences: EncodedSequences, device: torch.device) -> Ragged:
    """States of the last recurrent layer after every step, in float32 and in the order given."""
    if device.type != "cuda":
        return without_torch(network).states(sequences)
    _check_gpu(network, sequences, device, 4 * network.recurrent.n_outputs)
    predictor = Predictor(network, device)
    states = np.empty((sequences.steps.n_steps, network.recurrent.n_outputs), dtype=np.float32)
    for rows, batch in _batches(sequences, device):
        states[sequences.steps.positions(rows)] = predictor.states(batch).cpu().numpy()
    return Ragged(states, sequences.lengths)


def without_torch(network: Network) -> InferenceNetwork:
    """The network as it predicts on the CPU; it reads the memory of the weights, if they are of float32 there.

    Apple's MPS has no float64, so there too the CPU predicts.
    """
    tensors = network.state_dict().items()
    weights = {name: tensor.detach().to("cpu", torch.float32).numpy() for name, tensor in tensors}
    return InferenceNetwork(network.config, weights)


def _check_gpu(network: Network, sequences: EncodedSequences, device: torch.device, kept: int) -> None:
    check_prediction(network.config, sequences, kept, exact=False, find_left=lambda: left_on(device))


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
