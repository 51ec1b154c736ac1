"""Batches of sequences of similar length, drawn with a seed. A batch copies no steps: it says where they lie."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqclf._label_features.log_count_ratios import RatedIds, Sequences
from seqclf._nn import LookUp

# Sequences are shuffled, cut into chunks of so many batches, and sorted by length inside a chunk only: batches then
# hold little padding where a kernel pads, and an epoch still mixes short and long ones.
CHUNK_BATCHES = 50
# A prediction batch holds at most so many steps, padding counted, so many numbers of wide steps, and so many sequences.
PREDICTION_STEPS = 2**16
PREDICTION_NUMBERS = 2**22
PREDICTION_ROWS = 512


class NetworkInputs(NamedTuple):
    """Some sequences, as the network reads them: the first arguments of `Reader.read`."""

    values: Tensor  # (n,) or (n, n_channels), of all the data
    lengths: np.ndarray  # (n_sequences,)
    beside: LookUp | None  # numbers beside token ids
    votes: Tensor | None  # (n_sequences, n_classes)
    starts: np.ndarray  # (n_sequences,), where each of them begins in `values`


class Data:
    """Sequences as tensors, which stay where they are while batches of them are read.

    Parameters
    ----------
    sequences : Ragged or RatedIds
        Token ids, or numeric steps.
    """

    def __init__(self, sequences: Sequences):
        self._lengths, self._starts = sequences.lengths, sequences.offsets[:-1]
        self._votes, self._beside = None, None
        if isinstance(sequences, RatedIds):
            steps = _tensor(sequences.steps.values)
            self._values = steps[:, 0]
            self._beside = LookUp(steps[:, 1:], tuple(map(_tensor, sequences.tables)), sequences.version)
            self._votes = sequences.votes
        else:
            self._values = _tensor(sequences.values)

    def at(self, rows: np.ndarray, device: torch.device) -> NetworkInputs:
        """The sequences of those rows, for a network on that device."""
        beside, votes = self._beside, None
        if beside is not None:
            beside = beside._replace(versions=beside.versions[rows])
        if self._votes is not None:
            votes = torch.from_numpy(self._votes[rows]).to(device)
        return NetworkInputs(self._values, self._lengths[rows], beside, votes, self._starts[rows])


def _tensor(array: np.ndarray) -> Tensor:
    """Ids as int32, numbers as float32; the array's own memory where torch takes that (not, where it is read-only)."""
    array = array.astype(np.int32 if array.dtype.kind in "iu" else np.float32, copy=False)
    return torch.from_numpy(np.require(array, requirements=["C", "A", "W"]))


@dataclass(frozen=True)
class Batch:
    """Sequences with what is known of them."""

    inputs: NetworkInputs
    targets: Tensor  # (n_sequences,)
    weights: Tensor  # (n_sequences,), what a row counts in the loss
    score_weights: Tensor  # (n_sequences,), what it counts in the accuracy

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def n_steps(self) -> int:
        """The number of steps of all its sequences together."""
        return int(self.inputs.lengths.sum())


class TrainingData:
    """Sequences, encoded targets and weights; gives batches.

    Parameters
    ----------
    sequences : Ragged or RatedIds
        The inputs.
    targets : ndarray of shape (n_sequences,)
        Class codes.
    weights, score_weights : ndarray of shape (n_sequences,)
        What each row counts in the loss, and in the accuracy.
    device : torch.device
        Where the batches are wanted.
    """

    def __init__(
        self,
        sequences: Sequences,
        targets: np.ndarray,
        weights: np.ndarray,
        score_weights: np.ndarray,
        device: torch.device,
    ):
        self.sequences, self.targets, self.device = sequences, targets, device
        self._data = Data(sequences)
        self.weights = weights.astype(np.float32)
        self.score_weights = score_weights.astype(np.float32)

    def __len__(self) -> int:
        return len(self.sequences)

    def batch(self, rows: np.ndarray) -> Batch:
        """The batch of those rows."""
        return Batch(
            self._data.at(rows, self.device),
            torch.from_numpy(self.targets[rows]).to(self.device),
            torch.from_numpy(self.weights[rows]).to(self.device),
            torch.from_numpy(self.score_weights[rows]).to(self.device),
        )


class TrainingBatches:
    """An epoch of batches each time it is iterated over: every row once, shuffled, similar lengths together.

    Batches are of equal size but for one row, never larger than `batch_size`, so that no straggler of a few rows gets
    a whole step of the optimiser.
    """

    def __init__(self, data: TrainingData, batch_size: int, rng: np.random.RandomState):
        self.data, self.batch_size, self.rng = data, batch_size, rng

    def __len__(self) -> int:
        return -(-len(self.data) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for rows in self.draw():
            yield self.data.batch(rows)

    def draw(self) -> list[np.ndarray]:
        """The rows of each batch of one epoch."""
        lengths = self.data.sequences.lengths
        rows = self.rng.permutation(len(self.data))
        edges = np.linspace(0, len(rows), len(self) + 1).round().astype(np.int64)
        batches = []
        for first in range(0, len(self), CHUNK_BATCHES):
            chunk_edges = edges[first : first + CHUNK_BATCHES + 1]
            chunk = rows[chunk_edges[0] : chunk_edges[-1]]
            chunk = chunk[np.argsort(-lengths[chunk], kind="stable")]
            batches += np.split(chunk, chunk_edges[1:-1] - chunk_edges[0])
        return [batches[i] for i in self.rng.permutation(len(batches))]


class EvaluationBatches:
    """All rows once, longest first, in batches as large as memory likes; the same each time."""

    def __init__(self, data: TrainingData):
        self.data = data
        self._rows = prediction_rows(data.sequences)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Batch]:
        for rows in self._rows:
            yield self.data.batch(rows)


def prediction_rows(sequences: Sequences) -> list[np.ndarray]:
    """Rows of each batch for reading every sequence once: sorted by length, cut by memory."""
    lengths = sequences.lengths
    n_steps = min(PREDICTION_STEPS, PREDICTION_NUMBERS // max(sequences.n_channels, 1))
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        size = min(max(n_steps // longest, 1), PREDICTION_ROWS)
        batches.append(order[start : start + size])
        start += size
    return batches
