"""Batches of sequences of similar length, drawn with a seed, as the network wants them: steps end to end."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seqclf._sequences.nb_ratios import Sequences

# Sequences are shuffled, cut into chunks of so many batches, and sorted by length inside a chunk only: batches then
# hold little padding where a kernel pads, and an epoch still mixes short and long ones.
CHUNK_BATCHES = 50
# A prediction batch holds at most so many steps, padding counted, so many numbers of wide steps, and so many sequences.
PREDICTION_STEPS = 2**16
PREDICTION_NUMBERS = 2**22
PREDICTION_ROWS = 512


@dataclass(frozen=True)
class Batch:
    """Sequences with what is known of them."""

    values: Tensor  # (n_steps,) or (n_steps, n_channels)
    beside: Tensor | None  # (n_steps, n_channels), numbers beside token ids
    votes: Tensor | None  # (n_sequences, n_classes)
    lengths: np.ndarray  # (n_sequences,)
    targets: Tensor  # (n_sequences,)
    weights: Tensor  # (n_sequences,), what a row counts in the loss
    score_weights: Tensor  # (n_sequences,), what it counts in the accuracy

    def __len__(self) -> int:
        return len(self.lengths)


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
        self.weights = weights.astype(np.float32)
        self.score_weights = score_weights.astype(np.float32)

    def __len__(self) -> int:
        return len(self.sequences)

    def batch(self, rows: np.ndarray) -> Batch:
        """The batch of those rows."""
        taken = self.sequences.take(rows)
        return Batch(
            *to_tensors(taken, self.device),
            taken.lengths,
            torch.from_numpy(self.targets[rows]).to(self.device),
            torch.from_numpy(self.weights[rows]).to(self.device),
            torch.from_numpy(self.score_weights[rows]).to(self.device),
        )


def to_tensors(sequences: Sequences, device: torch.device) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Values, what stands beside them, votes: ids as int64, numbers as float32 (what the network computes with)."""
    values = sequences.values
    tensor = torch.from_numpy(values.astype(np.int64 if values.dtype.kind in "iu" else np.float32)).to(device)
    beside, votes = (
        None if numbers is None else torch.from_numpy(numbers).to(device)
        for numbers in (sequences.beside, sequences.votes)
    )
    return tensor, beside, votes


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
