"""Batches of sequences of similar length, drawn with a seed. A batch holds offsets into shared arrays, not copies."""

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
from seqclf._training.process_group import ProcessGroup

# Sequences are shuffled, split into chunks of this many batches, and sorted by length within each chunk. Batches then
# need little padding in kernels that pad, but short and long batches are still mixed within an epoch.
CHUNK_BATCHES = 50


class SequenceStore:
    """Encoded sequences as tensors, which all batches share."""

    def __init__(self, sequences: EncodedSequences):
        self._lengths, self._starts = sequences.lengths, sequences.steps.offsets[:-1]
        self._values, self._scores = _tensor(sequences.steps.values), sequences.scores
        self._features = None
        if (features := sequences.features) is not None:
            self._features = LookUp(_tensor(features.entries), tuple(map(_tensor, features.tables)), features.version)

    def batch(self, rows: np.ndarray, device: torch.device) -> SequenceBatch:
        """The sequences of these rows, for a network on this device."""
        features, scores = self._features, None
        if features is not None:
            features = features._replace(versions=features.versions[rows])
        if self._scores is not None:
            scores = torch.from_numpy(self._scores[rows]).to(device)
        return SequenceBatch(self._values, self._lengths[rows], self._starts[rows], features, scores)


def _tensor(array: np.ndarray) -> Tensor:
    """Ids as int32, values as float32, without a copy unless the array is read-only or has another layout or dtype."""
    array = array.astype(np.int32 if array.dtype.kind in "iu" else np.float32, copy=False)
    return torch.from_numpy(np.require(array, requirements=["C", "A", "W"]))


class BatchTargets(NamedTuple):
    """The targets of a batch, for each unit: a sequence, or a step if each step has a target."""

    values: Tensor  # (n_units, ...)
    weights: Tensor  # (n_units,), weights in the loss
    score_weights: Tensor  # (n_units,), weights in the score
    n_units: int  # of the whole batch, in all processes


class Batch(NamedTuple):
    """Inputs and targets of the rows of a batch that this process computes; skorch unpacks such a pair."""

    sequences: SequenceBatch
    targets: BatchTargets


class TrainingData(torch.utils.data.Dataset):
    """A data set that makes batches, with the weights that loss and score use.

    Parameters
    ----------
    dataset : Dataset
        The sequences with encoded targets.
    task : Task
        The task, with fitted weights.
    device : torch.device
        The device of the batches.
    reference_weight : float, default=None
        The weight that is scaled to 1 in the loss; None is the mean over all units.

    Attributes
    ----------
    reference_weight : float
    """

    def __init__(self, dataset: Dataset, task: Task, device: torch.device, reference_weight: float | None = None):
        self.sequences, self.targets, self.device = dataset.sequences, dataset.targets, device
        self._store = SequenceStore(dataset.sequences)
        largest = dataset.weights.max()  # the sum of large weights could be infinite
        weights = dataset.weights / largest
        if isinstance(self.targets, Ragged):
            weights = np.repeat(weights, self.targets.lengths)
        loss_weights = weights * task.loss_weights(self.targets)
        self.reference_weight = largest * _mean(loss_weights) if reference_weight is None else reference_weight
        self.weights = (loss_weights / (self.reference_weight / largest)).astype(np.float32)
        self.score_weights = _normalise(weights * task.score_weights(self.targets))

    def __len__(self) -> int:
        return len(self.sequences)

    def batch(self, rows: np.ndarray, group: ProcessGroup) -> Batch:
        """The rows of a batch that this process computes."""
        targets: Any = self.targets
        n_units = int(targets.lengths[rows].sum()) if isinstance(targets, Ragged) else len(rows)
        units = rows = group.rows_of_rank(rows)
        if isinstance(targets, Ragged):
            units, targets = targets.positions(rows), targets.values
        values, weights, score_weights = (
            torch.from_numpy(each[units]).to(self.device) for each in (targets, self.weights, self.score_weights)
        )
        batch_targets = BatchTargets(values, weights, score_weights, n_units)
        return Batch(self._store.batch(rows, self.device), batch_targets)


def _normalise(weights: np.ndarray) -> np.ndarray:
    """Scale the weights to a mean of 1 over all units, so that the weight of a unit does not depend on its batch."""
    return (weights / _mean(weights)).astype(np.float32)


def _mean(weights: np.ndarray) -> float:
    mean = weights.mean() if len(weights) else 1.0
    return float(mean) if mean > 0 else 1.0


class TrainingBatches:
    """Each iteration is one epoch: every row once, shuffled, in batches of similar lengths.

    The sizes of batches differ by at most one row and never exceed `batch_size`, so that there is no update for a small
    last batch. All processes of a group draw the same batches.
    """

    def __init__(self, data: TrainingData, batch_size: int, rng: np.random.RandomState, group: ProcessGroup):
        self.data, self.batch_size, self.rng, self._group = data, batch_size, rng, group

    def __len__(self) -> int:
        return n_batches(len(self.data), self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for rows in self.draw():
            yield self.data.batch(rows, self._group)

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
    """The number of batches in an epoch."""
    return -(-n_rows // batch_size)


class EvaluationBatches:
    """All rows once, longest first, in batches as large as memory allows; the order is fixed."""

    def __init__(self, data: TrainingData, group: ProcessGroup):
        self.data, self._group = data, group
        self._rows = prediction_rows(data.sequences)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Batch]:
        for rows in self._rows:
            yield self.data.batch(rows, self._group)
