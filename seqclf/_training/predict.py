"""Outputs and states of a trained network for any number of sequences, on any device."""

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
from seqclf._training.memory import available_on


def predict_outputs(network: Network, sequences: EncodedSequences, device: torch.device) -> np.ndarray | Ragged:
    """Outputs in float64, in the order of the sequences.

    An array of shape (n_sequences, n_outputs); for a network without pooling, a Ragged of shape (n_steps, n_outputs).
    """
    if device.type != "cuda":
        return to_inference_network(network).outputs(sequences)
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
    """States of the last recurrent layer after every step, in float32, in the order of the sequences."""
    if device.type != "cuda":
        return to_inference_network(network).states(sequences)
    _check_gpu(network, sequences, device, 4 * network.recurrent.n_outputs)
    predictor = Predictor(network, device)
    states = np.empty((sequences.steps.n_steps, network.recurrent.n_outputs), dtype=np.float32)
    for rows, batch in _batches(sequences, device):
        states[sequences.steps.positions(rows)] = predictor.states(batch).cpu().numpy()
    return Ragged(states, sequences.lengths)


def to_inference_network(network: Network) -> InferenceNetwork:
    """The inference network for predictions on the CPU; it shares the memory of weights that are float32 on the CPU.

    It also predicts for networks on Apple's MPS, which does not support float64.
    """
    tensors = network.state_dict().items()
    weights = {name: tensor.detach().to("cpu", torch.float32).numpy() for name, tensor in tensors}
    return InferenceNetwork(network.config, weights)


def _check_gpu(network: Network, sequences: EncodedSequences, device: torch.device, result_bytes: int) -> None:
    check_prediction(
        network.config, sequences, result_bytes, compiled=False, find_available=lambda: available_on(device)
    )


def extreme_rows(sequences: EncodedSequences, n: int) -> np.ndarray:
    """Rows in which an overflow of float32 is most likely: the longest ones, and those with the largest values."""
    selected = [np.argsort(-sequences.lengths, kind="stable")[:n]]
    values = sequences.steps.values
    if values.dtype.kind == "f" and values.size:
        nonempty = np.flatnonzero(sequences.lengths)
        largest = np.maximum.reduceat(np.abs(values).max(axis=1), sequences.steps.offsets[nonempty])
        selected.append(nonempty[np.argsort(-largest, kind="stable")[:n]])
    return np.unique(np.concatenate(selected))


def _batches(sequences: EncodedSequences, device: torch.device) -> Iterator[tuple[np.ndarray, SequenceBatch]]:
    """All sequences once, in batches that fit into memory, with their row indices."""
    store = SequenceStore(sequences)
    for rows in prediction_rows(sequences):
        yield rows, store.batch(rows, device)
