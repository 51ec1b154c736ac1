"""Batches: their rows, targets and weights, and that they share memory with the dataset."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from seqclf import _kernels
from seqclf._data.encoded import EncodedSequences, StepFeatures
from seqclf._data.ragged import Ragged
from seqclf._training.batches import CHUNK_BATCHES, SequenceStore, TrainingBatches, TrainingData
from seqclf._training.process_group import ProcessGroup

CPU = torch.device("cpu")


@pytest.fixture
def training_data(make_data, make_task):
    """A function that makes the training data of sequences of these lengths."""
    return lambda lengths, **changes: TrainingData(make_data(lengths, **changes), make_task(), CPU)


@pytest.mark.parametrize("n", [1, 5, 64, 65, 1_000])
def test_training_batches_have_every_row_once_and_even_sizes(training_data, n):
    data = training_data(np.random.default_rng(1).integers(0, 30, n).tolist())
    batches = TrainingBatches(data, 8, np.random.RandomState(0), ProcessGroup())
    drawn = batches.draw()
    assert sorted(np.concatenate(drawn).tolist()) == list(range(n))
    sizes = {len(rows) for rows in drawn}
    assert len(drawn) == len(batches) == math.ceil(n / 8)
    assert max(sizes) <= 8 and max(sizes) - min(sizes) <= 1


def test_training_batches_sort_lengths_within_shuffled_chunks(training_data):
    n = 8 * CHUNK_BATCHES * 4
    lengths = np.random.default_rng(1).integers(1, 200, n)
    data = training_data(lengths.tolist())
    batches = TrainingBatches(data, 8, np.random.RandomState(0), ProcessGroup())
    spread = np.mean([np.ptp(lengths[rows]) for rows in batches.draw()])
    assert spread < 15 < 150 < np.mean([np.ptp(chunk) for chunk in lengths.reshape(-1, 8)])
    longest = [lengths[rows].max() for rows in batches.draw()]
    assert np.abs(np.diff(longest)).mean() > 30, "batches of similar length must not be consecutive"
    first, second = batches.draw(), batches.draw()
    assert any(not np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    once, again = (TrainingBatches(data, 8, np.random.RandomState(0), ProcessGroup()).draw() for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))


def test_training_data_batch_has_values_targets_and_weights_of_its_rows(training_data):
    data = training_data([3, 0, 2, 5], weights=np.array([1.0, 2.0, 0.5, 0.5]))
    sequences, targets = data.batch(np.array([3, 1, 0]), ProcessGroup())
    items = data.sequences.steps.items()
    spans = zip(sequences.starts, sequences.lengths, strict=True)
    found = [sequences.values[start : start + n].tolist() for start, n in spans]
    assert found == [list(items[row]) for row in (3, 1, 0)]
    assert targets.values.tolist() == [1, 1, 0]
    assert targets.weights.tolist() == targets.score_weights.tolist() == [0.5, 2, 1]
    assert len(sequences) == len(targets.values) == 3 and sequences.n_steps == 8


def test_training_data_batch_of_per_step_targets(make_data, make_task):
    """Units are steps, weighted by sequence times step; the mean weight over all steps is 1."""
    dataset = make_data([3, 0, 2, 5], weights=np.array([1.0, 2.0, 0.5, 0.5]))
    per_step = replace(dataset, targets=Ragged(np.arange(10), dataset.sequences.lengths))
    task = make_task()
    task.loss_weights = lambda targets: np.repeat([1.0, 1.0, 3.0, 1.0], [3, 0, 2, 5])
    task.score_weights = lambda targets: np.ones(10)
    data = TrainingData(per_step, task, CPU)
    _, targets = data.batch(np.array([3, 1, 0]), ProcessGroup())
    assert targets.values.tolist() == [5, 6, 7, 8, 9, 0, 1, 2]
    assert targets.score_weights.tolist() == pytest.approx([0.5 / 0.65] * 5 + [1 / 0.65] * 3)
    assert targets.weights.tolist() == pytest.approx([0.5 / 0.85] * 5 + [1 / 0.85] * 3)
    _, targets = data.batch(np.arange(4), ProcessGroup())
    assert targets.weights.mean().item() == pytest.approx(1) == targets.score_weights.mean().item()


def ids_with_features(lengths, seed=0):
    """Token ids with step features from two tables, in four versions, and with class scores."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(2, 9, sum(lengths)).astype(np.int32)
    entries = rng.integers(0, 5, (sum(lengths), 2)).astype(np.int32)
    tables = tuple(rng.standard_normal((4, 5, 3)).astype(np.float32) for _ in range(2))
    features = StepFeatures(entries, tables, rng.integers(0, 4, len(lengths)))
    return EncodedSequences(Ragged(ids, np.array(lengths)), features, rng.random((len(lengths), 2)))


@pytest.mark.parametrize("kind", ["ids", "series", "features"])
@pytest.mark.parametrize("writeable", [True, False])
def test_sequence_store_batch_copies_no_arrays(kind, writeable):
    """Only read-only arrays are copied, once for all batches."""
    lengths = [3, 0, 2, 5]
    if kind == "features":
        sequences = ids_with_features(lengths)
    elif kind == "ids":
        sequences = EncodedSequences(Ragged(np.arange(10, dtype=np.int32), np.array(lengths)))
    else:
        values = np.random.default_rng(0).standard_normal((10, 2)).astype(np.float32)
        sequences = EncodedSequences(Ragged(values, np.array(lengths)))
    arrays = [sequences.steps.values]
    if kind == "features":
        arrays += [sequences.features.entries, *sequences.features.tables]
    for array in arrays:
        array.flags.writeable = writeable
    store = SequenceStore(sequences)
    rows = np.array([3, 1, 0, 3])
    batch, again = store.batch(rows, CPU), store.batch(rows, CPU)
    tensors, tensors_again = (
        [one.values] + ([one.step_features.entries, *one.step_features.tables] if kind == "features" else [])
        for one in (batch, again)
    )
    is_shared = [np.shares_memory(tensor.numpy(), array) for tensor, array in zip(tensors, arrays, strict=True)]
    assert is_shared == len(arrays) * [writeable]
    assert [tensor.data_ptr() for tensor in tensors] == [tensor.data_ptr() for tensor in tensors_again]
    layout = _kernels.StepLayout(batch.lengths, starts=batch.starts)
    taken = sequences.take(rows)
    in_order = _kernels.StepLayout(taken.lengths).gather.numpy()
    np.testing.assert_array_equal(_kernels.gather_steps(batch.values, layout), taken.steps.values[in_order])
    if kind == "features":
        np.testing.assert_array_equal(_kernels.gather_steps(batch.step_features, layout), taken.step_features[in_order])
        np.testing.assert_array_equal(batch.scores, taken.scores)
    else:
        assert batch.step_features is None and batch.scores is None
