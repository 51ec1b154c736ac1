"""Batches of sequences of similar length, drawn with a seed. A batch copies no steps: it says where they are."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqclf._data.dataset import Dataset
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._inference.batches import prediction_rows
from seqclf._kernels import LookUp
from seqclf._nn.sequence_batch import SequenceBatch
from seqclf._tasks.task import Task

# Sequences are shuffled, cut into chunks of this many batches, and sorted by length inside a chunk only: batches then
# hold little padding where a kernel pads, and an epoch still mixes short and long ones.
CHUNK_BATCHES = 50


class SequenceStore:
    """Encoded sequences as tensors, which stay where they are while batches of them are read."""

    def __init__(self, sequences: EncodedSequences):
        self._lengths, self._starts = sequences.lengths, sequences.steps.offsets[:-1]
        self._values, self._scores = _tensor(sequences.steps.values), sequences.scores
        self._features = None
        if (features := sequences.features) is not None:
            self._features = LookUp(_tensor(features.entries), tuple(map(_tensor, features.tables)), features.version)

    def batch(self, rows: np.ndarray, device: torch.device) -> SequenceBatch:
        """The sequences of those rows, for a network on that device."""
        features, scores = self._features, None
        if features is not None:
            features = features._replace(versions=features.versions[rows])
        if self._scores is not None:
            scores = torch.from_numpy(self._scores[rows]).to(device)
        return SequenceBatch(self._values, self._lengths[rows], self._starts[rows], features, scores)


def _tensor(array: np.ndarray) -> Tensor:
    """Ids as int32, numbers as float32; the array's own memory where torch takes that (not, where it is read-only)."""
    array = array.astype(np.int32 if array.dtype.kind in "iu" else np.float32, copy=False)
    return torch.from_numpy(np.require(array, requirements=["C", "A", "W"]))


class BatchTargets(NamedTuple):
    """What a batch should give, for each of its units: its sequences, or their steps."""

    values: Tensor  # (n_units, ...)
    weights: Tensor  # (n_units,), what each counts in the loss
    score_weights: Tensor  # (n_units,), what it counts in the score


class Batch(NamedTuple):
    """What the network reads, and what it should give; skorch takes such a pair apart."""

    sequences: SequenceBatch
    targets: BatchTargets


class TrainingData(torch.utils.data.Dataset):
    """A data set on the way into batches, with the weights that the loss and the score use.

    Parameters
    ----------
    dataset : Dataset
        The sequences with encoded targets.
    task : Task
        What is learned; it has learned its weights.
    device : torch.device
        Where the batches are wanted.
    unit : float, default=None
        The weight that counts as 1 in the loss; None is the mean over all units.

    Attributes
    ----------
    unit : float
    """

    def __init__(self, dataset: Dataset, task: Task, device: torch.device, unit: float | None = None):
        self.sequences, self.targets, self.device = dataset.sequences, dataset.targets, device
        self._store = SequenceStore(dataset.sequences)
        largest = dataset.weights.max()  # The sum of weights may not be finite.
        weights = dataset.weights / largest
        if isinstance(self.targets, Ragged):
            weights = np.repeat(weights, self.targets.lengths)
        loss_weights = weights * task.loss_weights(self.targets)
        self.unit = largest * _mean(loss_weights) if unit is None else unit
        self.weights = (loss_weights / (self.unit / largest)).astype(np.float32)
        self.score_weights = _normalised(weights * task.score_weights(self.targets))

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, rows: np.ndarray) -> Batch:
        targets: Any = self.targets
        units = rows
        if isinstance(targets, Ragged):
            units, targets = targets.positions(rows), targets.values
        tensors = (
            torch.from_numpy(each[units]).to(self.device) for each in (targets, self.weights, self.score_weights)
        )
        return Batch(self._store.batch(rows, self.device), BatchTargets(*tensors))


def _normalised(weights: np.ndarray) -> np.ndarray:
    """With a mean of 1 over all units, so that a unit counts the same whichever batch it is in."""
    return (weights / _mean(weights)).astype(np.float32)


def _mean(weights: np.ndarray) -> float:
    mean = weights.mean() if len(weights) else 1.0
    return float(mean) if mean > 0 else 1.0


class TrainingBatches:
    """An epoch of batches each time it is iterated over: every row once, shuffled, similar lengths together.

    Batches are of equal size but for one row, never larger than `batch_size`, so that no straggler of a few rows gets
    a whole update of its own.
    """

    def __init__(self, data: TrainingData, batch_size: int, rng: np.random.RandomState):
        self.data, self.batch_size, self.rng = data, batch_size, rng

    def __len__(self) -> int:
        return n_batches(len(self.data), self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for rows in self.draw():
            yield self.data[rows]

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


def n_batches(n_rows: int, batch_size: int) -> int:
    """How many batches an epoch has."""
    return -(-n_rows // batch_size)


class EvaluationBatches:
    """All rows once, longest first, in batches as large as memory allows; the same each time."""

    def __init__(self, data: TrainingData):
        self.data = data
        self._rows = prediction_rows(data.sequences)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Batch]:
        for rows in self._rows:
            yield self.data[rows]
