"""`Dataset`: selection of rows with their targets, weights and groups."""

import numpy as np
import pytest

from seqclf._data.dataset import Dataset, take
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged

SEQUENCES = Ragged.from_items([[2, 3], [4], [], [5, 6]])


def dataset(targets=None, groups=None, rows=None):
    targets = np.array([0, 1, 1, 0]) if targets is None else targets
    return Dataset(EncodedSequences(SEQUENCES), targets, np.array([1.0, 2.0, 3.0, 4.0]), groups, rows)


def test_take_selects_sequences_targets_and_weights():
    selected = dataset().take(np.array([3, 0]))
    assert len(selected) == 2
    assert [row.tolist() for row in selected.sequences.steps.items()] == [[5, 6], [2, 3]]
    assert selected.targets.tolist() == [0, 0] and selected.weights.tolist() == [4.0, 1.0]
    assert selected.groups is None


def test_take_selects_targets_of_steps():
    targets = Ragged(np.arange(5), SEQUENCES.lengths)
    selected = dataset(targets).take(np.array([1, 3]))
    assert [row.tolist() for row in selected.targets.items()] == [[2], [3, 4]]


def test_take_renumbers_groups_without_gaps():
    selected = dataset(groups=np.array([0, 5, 2, 5])).take(np.array([3, 2, 1]))
    assert selected.groups.tolist() == [1, 0, 1]


def test_take_keeps_track_of_the_rows_of_X():
    selected = dataset().take(np.array([3, 1]))
    assert selected.rows.tolist() == [3, 1]
    assert selected.take(np.array([1])).rows.tolist() == [1]
    assert dataset(rows=np.array([10, 11, 12, 13])).take(np.array([2, 0])).rows.tolist() == [12, 10]


def test_row_of_length_is_the_first_row_of_X_with_this_length():
    assert dataset().row_of_length(2) == 0
    assert dataset().take(np.array([1, 3, 0])).row_of_length(2) == 3


@pytest.mark.parametrize("values", [["a", "b", "c"], np.array(["a", "b", "c"])])
def test_take_of_lists_and_arrays(values):
    assert list(take(values, np.array([2, 0]))) == ["c", "a"]


def test_take_of_a_ragged():
    assert [row.tolist() for row in take(SEQUENCES, np.array([1, 2])).items()] == [[4], []]
