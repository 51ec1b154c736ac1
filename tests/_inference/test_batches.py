"""The batches of a prediction: every row once, within the limits, without copies."""

import numpy as np
import pytest

from seqclf._data.encoded import EncodedSequences, StepFeatures
from seqclf._data.ragged import Ragged
from seqclf._inference.batches import prediction_batches, prediction_rows


def make_sequences(lengths, seed=0):
    """Token ids with looked-up features from two tables with four versions, and with scores."""
    rng, n = np.random.default_rng(seed), sum(lengths)
    tables = tuple(rng.random((4, 7, width)).astype(np.float32) for width in (1, 2))
    features = StepFeatures(rng.integers(0, 7, (n, 2)).astype(np.int32), tables, rng.integers(0, 4, len(lengths)))
    ids = rng.integers(0, 9, n).astype(np.int32)
    scores = rng.random((len(lengths), 2)).astype(np.float32)
    return EncodedSequences(Ragged(ids, np.array(lengths)), features, scores)


def test_batches_have_positions_in_the_data(tune):
    tune(prediction_rows=3)
    sequences = make_sequences([3, 0, 2, 5, 1])
    rows = []
    for batch in prediction_batches(sequences):
        rows += batch.rows.tolist()
        taken = sequences.take(batch.rows)
        layout = batch.layout
        in_data = layout.data_positions[layout.positions_end_to_end]
        assert np.array_equal(batch.values[in_data], taken.steps.values)
        assert np.shares_memory(batch.values, sequences.steps.values)
        assert np.array_equal(batch.features.version, taken.features.version)
        assert np.shares_memory(batch.features.entries, sequences.features.entries)
        assert all(map(np.shares_memory, batch.features.tables, sequences.features.tables))
        assert np.array_equal(batch.scores, taken.scores)
    assert sorted(rows) == [0, 1, 2, 3, 4] and rows[:2] == [3, 0]


@pytest.mark.parametrize(
    ("values", "dtype"), [(np.arange(5), np.int32), (np.ones((5, 2)), np.float32), (np.ones((2, 5)).T, np.float32)]
)
def test_batches_have_int32_ids_and_float32_values(values, dtype):
    (batch,) = prediction_batches(EncodedSequences(Ragged(values, np.array([2, 3]))))
    assert batch.values.dtype == dtype and batch.values.flags.c_contiguous
    assert np.array_equal(batch.values, values)
    assert batch.features is None and batch.scores is None


def test_no_sequences_give_no_batch():
    assert list(prediction_batches(EncodedSequences(Ragged(np.empty(0, np.int32), np.empty(0, np.int64))))) == []


def test_prediction_rows_have_every_row_once_within_the_limits(tune):
    tune(prediction_steps=100)
    tune(prediction_values=300)
    lengths = np.random.default_rng(0).integers(0, 150, 300)
    ids, series = np.ones(lengths.sum(), dtype=np.int32), np.zeros((lengths.sum(), 5))
    tables = (np.zeros((1, 1, 3), dtype=np.float32), np.zeros((1, 1, 2), dtype=np.float32))
    features = StepFeatures(np.stack([ids * 0, ids * 0], axis=1), tables, lengths * 0)
    # At most 100 steps, or 60 steps of 5 values.
    for sequences, budget in (
        (EncodedSequences(Ragged(ids, lengths)), 100),
        (EncodedSequences(Ragged(series, lengths)), 60),
        (EncodedSequences(Ragged(ids, lengths), features), 60),
    ):
        batches = prediction_rows(sequences)
        assert sorted(np.concatenate(batches).tolist()) == list(range(300))
        assert all(len(rows) == 1 or lengths[rows].max() * len(rows) <= budget for rows in batches)
        assert max(lengths[rows].max() * len(rows) for rows in batches if len(rows) > 1) > 0.7 * budget
