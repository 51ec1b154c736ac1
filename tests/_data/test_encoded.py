"""`EncodedSequences` and `StepFeatures`: lookup of step features, and selection of rows."""

import numpy as np

from seqclf._data.encoded import EncodedSequences, Spelling, StepFeatures
from seqclf._data.ragged import Ragged

STEPS = Ragged.from_items([[2, 3], [4], [5]], dtype=np.int32)
TABLES = (
    np.arange(12, dtype=np.float32).reshape(2, 3, 2),
    100 + np.arange(4, dtype=np.float32).reshape(2, 2, 1),
)
ENTRIES = np.array([[0, 1], [1, 1], [2, 0], [0, 0]], dtype=np.int32)
VERSION = np.array([0, 1, 0])


def encoded():
    scores = np.array([[0.5], [1.5], [2.5]], dtype=np.float32)
    spelling = Spelling(np.array([2, 7, 3, 8], dtype=np.int32), ["new", "newer"], 7)
    return EncodedSequences(STEPS, StepFeatures(ENTRIES, TABLES, VERSION), scores, spelling)


def test_width_is_the_sum_over_tables():
    assert StepFeatures(ENTRIES, TABLES, VERSION).width == 3
    assert encoded().n_numbers == 3


def test_n_numbers_counts_channels_but_not_ids():
    assert EncodedSequences(STEPS).n_numbers == 0
    assert EncodedSequences(Ragged.from_items([np.ones((2, 4))])).n_numbers == 4


def test_step_features_are_looked_up_in_the_version_of_each_sequence():
    expected = [
        np.concatenate([table[version, entry] for table, entry in zip(TABLES, entries, strict=True)])
        for version, entries in zip(np.repeat(VERSION, STEPS.lengths), ENTRIES, strict=True)
    ]
    np.testing.assert_array_equal(encoded().step_features, expected)


def test_step_features_without_features_are_empty():
    assert EncodedSequences(STEPS).step_features.shape == (4, 0)


def test_take_selects_steps_features_scores_and_spelling():
    sequences, rows = encoded(), np.array([2, 0])
    selected = sequences.take(rows)
    assert len(selected) == 2 and selected.lengths.tolist() == [1, 2]
    assert selected.steps.values.tolist() == [5, 2, 3]
    np.testing.assert_array_equal(selected.step_features, sequences.step_features[[3, 0, 1]])
    assert selected.scores.tolist() == [[2.5], [0.5]]
    assert selected.spelling.ids.tolist() == [8, 2, 7] and selected.spelling.new_tokens == ["new", "newer"]


def test_part_is_a_view_of_consecutive_sequences():
    sequences = encoded()
    for start, stop in ((0, 3), (0, 2), (1, 3), (2, 2)):
        part, taken = sequences.part(start, stop), sequences.take(np.arange(start, stop))
        assert part.lengths.tolist() == taken.lengths.tolist()
        np.testing.assert_array_equal(part.steps.values, taken.steps.values)
        np.testing.assert_array_equal(part.step_features, taken.step_features)
        np.testing.assert_array_equal(part.scores, taken.scores)
        assert part.steps.values.base is STEPS.values or not len(part.steps.values)


def test_part_has_only_the_new_tokens_of_its_steps():
    parts = [encoded().part(start, stop).spelling for start, stop in ((0, 3), (0, 1), (2, 3))]
    assert [part.new_tokens for part in parts] == [["new", "newer"], ["new"], ["newer"]]
    assert [part.ids.tolist() for part in parts] == [[2, 7, 3, 8], [2, 7], [7]]
    assert encoded().spelling.ids.tolist() == [2, 7, 3, 8]
