"""Which outputs can be learned without any one fold."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from seqclf._label_features.supervision import Supervision


def spread(memberships, fold):
    memberships = csr_array(np.asarray(memberships, dtype=float))
    ones = np.ones(memberships.shape[0])
    return Supervision(memberships, ones, ones, np.asarray(fold), calibrate=None).spread.tolist()


def by_definition(memberships, fold):
    """For each output whether both its rows and its others are found in two folds, or there is one fold only."""
    fold, memberships = np.asarray(fold), np.asarray(memberships, dtype=float)
    several = [
        len(set(fold[column > 0].tolist())) > 1 and len(set(fold[column < 1].tolist())) > 1 for column in memberships.T
    ]
    return [one or len(set(fold.tolist())) == 1 for one in several]


def test_an_output_needs_rows_in_two_folds():
    memberships = np.eye(3)[[0, 0, 1, 1, 2, 2]]
    assert spread(memberships, [0, 1, 0, 1, 2, 2]) == [True, True, False]


def test_an_output_needs_other_rows_in_two_folds():
    assert spread(np.array([[1, 1, 1, 0, 0]]).T, [0, 1, 2, 2, 2]) == [False]
    assert spread(np.array([[1, 1, 1, 0, 0]]).T, [0, 1, 2, 2, 1]) == [True]


def test_an_output_without_a_row_can_not_be_learned():
    assert spread(np.eye(3)[[0, 1, 0, 1]], [0, 0, 1, 1]) == [True, True, False]


def test_a_row_in_part_is_a_row_of_the_output_and_of_the_others():
    assert spread([[0.5], [0.5]], [0, 1]) == [True]
    assert spread([[0.5], [1.0]], [0, 1]) == [False]
    assert spread([[0.5], [0.0]], [0, 1]) == [False]


def test_where_there_is_one_fold_all_can_be_learned():
    assert spread(np.eye(2)[[0, 1]], [0, 0]) == [True, True]
    assert spread(np.eye(2)[[0, 1]], [3, 3]) == [True, True]


@pytest.mark.parametrize("n_outputs", [1, 2, 5])
def test_random_rows_against_the_definition(n_outputs):
    rng = np.random.default_rng(n_outputs)
    found = []
    for _ in range(200):
        n = int(rng.integers(1, 12))
        memberships = rng.choice([0, 0, 0.5, 1], size=(n, n_outputs))
        fold = rng.integers(0, 3, size=n)
        found.append(spread(memberships, fold))
        assert found[-1] == by_definition(memberships, fold)
    assert {True, False} == set(np.concatenate(found).tolist())


def test_a_row_whose_target_is_not_known_is_no_row_of_the_others():
    memberships, fold = csr_array(np.array([[1.0, 1, 1, 0, 0, 0]]).T), np.array([0, 1, 2, 2, 2, 1])
    for known, several in ([1, 1, 1, 1, 1, 1], True), ([1, 1, 1, 1, 1, 0], False):
        weights = np.array(known, dtype=float)
        assert Supervision(memberships, weights, weights, fold, calibrate=None).spread.tolist() == [several]
