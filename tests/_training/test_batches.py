"""Batches: which rows they hold, and that they copy none."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from seqclf import _kernels
from seqclf._data.encoded import EncodedSequences, StepFeatures
from seqclf._data.ragged import Ragged
from seqclf._training.batches import CHUNK_BATCHES, SequenceStore, TrainingBatches, TrainingData

CPU = torch.device("cpu")


@pytest.fixture
def training_data(make_data, make_task):
    """A function that gives sequences of these lengths, ready for batches."""
    return lambda lengths, **changes: TrainingData(make_data(lengths, **changes), make_task(), CPU)


@pytest.mark.parametrize("n", [1, 5, 64, 65, 1_000])
def test_an_epoch_reads_every_row_once_in_even_batches(training_data, n):
    data = training_data(np.random.default_rng(1).integers(0, 30, n).tolist())
    batches = TrainingBatches(data, 8, np.random.RandomState(0))
    drawn = batches.draw()
    assert sorted(np.concatenate(drawn).tolist()) == list(range(n))
    sizes = {len(rows) for rows in drawn}
    assert len(drawn) == len(batches) == math.ceil(n / 8)
    assert max(sizes) <= 8 and max(sizes) - min(sizes) <= 1


def test_lengths_are_sorted_inside_shuffled_chunks_only(training_data):
    n = 8 * CHUNK_BATCHES * 4
    lengths = np.random.default_rng(1).integers(1, 200, n)
    data = training_data(lengths.tolist())
    batches = TrainingBatches(data, 8, np.random.RandomState(0))
    spread = np.mean([np.ptp(lengths[rows]) for rows in batches.draw()])
    assert spread < 15 < 150 < np.mean([np.ptp(chunk) for chunk in lengths.reshape(-1, 8)])
    longest = [lengths[rows].max() for rows in batches.draw()]
    assert np.abs(np.diff(longest)).mean() > 30, "batches of like length must not follow one another"
    first, second = batches.draw(), batches.draw()
    assert any(not np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    once, again = (TrainingBatches(data, 8, np.random.RandomState(0)).draw() for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))


def test_a_batch_holds_its_rows(training_data):
    data = training_data([3, 0, 2, 5], weights=np.array([1.0, 2.0, 0.5, 0.5]))
    sequences, targets = data[np.array([3, 1, 0])]
    items = data.sequences.steps.items()
    spans = zip(sequences.starts, sequences.lengths, strict=True)
    read = [sequences.values[start : start + n].tolist() for start, n in spans]
    assert read == [list(items[row]) for row in (3, 1, 0)]
    assert targets.values.tolist() == [1, 1, 0]
    assert targets.weights.tolist() == targets.score_weights.tolist() == [0.5, 2, 1]
    assert len(sequences) == len(targets.values) == 3 and sequences.n_steps == 8


def test_a_batch_of_sequences_with_a_target_for_each_step(make_data, make_task):
    """Its units are the steps, each with the weight of its sequence times its own; the mean weight of a step is 1."""
    one_each = make_data([3, 0, 2, 5], weights=np.array([1.0, 2.0, 0.5, 0.5]))
    per_step = replace(one_each, targets=Ragged(np.arange(10), one_each.sequences.lengths))
    task = make_task()
    task.loss_weights = lambda targets: np.repeat([1.0, 1.0, 3.0, 1.0], [3, 0, 2, 5])
    task.score_weights = lambda targets: np.ones(10)
    data = TrainingData(per_step, task, CPU)
    _, targets = data[np.array([3, 1, 0])]
    assert targets.values.tolist() == [5, 6, 7, 8, 9, 0, 1, 2]
    assert targets.score_weights.tolist() == pytest.approx([0.5 / 0.65] * 5 + [1 / 0.65] * 3)
    assert targets.weights.tolist() == pytest.approx([0.5 / 0.85] * 5 + [1 / 0.85] * 3)
    _, targets = data[np.arange(4)]
    assert targets.weights.mean().item() == pytest.approx(1) == targets.score_weights.mean().item()


def rated_ids(lengths, seed=0):
    """Token ids with the entries of two tables, in four versions, and with scores."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(2, 9, sum(lengths)).astype(np.int32)
    entries = rng.integers(0, 5, (sum(lengths), 2)).astype(np.int32)
    tables = tuple(rng.standard_normal((4, 5, 3)).astype(np.float32) for _ in range(2))
    features = StepFeatures(entries, tables, rng.integers(0, 4, len(lengths)))
    return EncodedSequences(Ragged(ids, np.array(lengths)), features, rng.random((len(lengths), 2)))


@pytest.mark.parametrize("kind", ["ids", "series", "rated"])
@pytest.mark.parametrize("writeable", [True, False])
def test_a_batch_copies_nothing(kind, writeable):
    """It says where its steps lie; only memory that may not be written is copied, once for all batches."""
    lengths = [3, 0, 2, 5]
    if kind == "rated":
        sequences = rated_ids(lengths)
    elif kind == "ids":
        sequences = EncodedSequences(Ragged(np.arange(10, dtype=np.int32), np.array(lengths)))
    else:
        numbers = np.random.default_rng(0).standard_normal((10, 2)).astype(np.float32)
        sequences = EncodedSequences(Ragged(numbers, np.array(lengths)))
    arrays = [sequences.steps.values]
    if kind == "rated":
        arrays += [sequences.features.entries, *sequences.features.tables]
    for array in arrays:
        array.flags.writeable = writeable
    store = SequenceStore(sequences)
    rows = np.array([3, 1, 0, 3])
    batch, again = store.batch(rows, CPU), store.batch(rows, CPU)
    tensors, tensors_again = (
        [one.values] + ([one.step_features.entries, *one.step_features.tables] if kind == "rated" else [])
        for one in (batch, again)
    )
    shared = [np.shares_memory(tensor.numpy(), array) for tensor, array in zip(tensors, arrays, strict=True)]
    assert shared == len(arrays) * [writeable]
    assert [tensor.data_ptr() for tensor in tensors] == [tensor.data_ptr() for tensor in tensors_again]
    layout = _kernels.StepLayout(batch.lengths, starts=batch.starts)
    taken = sequences.take(rows)
    in_order = _kernels.StepLayout(taken.lengths).gather.numpy()
    np.testing.assert_array_equal(_kernels.arrange(batch.values, layout), taken.steps.values[in_order])
    if kind == "rated":
        np.testing.assert_array_equal(_kernels.arrange(batch.step_features, layout), taken.step_features[in_order])
        np.testing.assert_array_equal(batch.scores, taken.scores)
    else:
        assert batch.step_features is None and batch.scores is None
