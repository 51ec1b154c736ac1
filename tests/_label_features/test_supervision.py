"""`Supervision`: which outputs can be fitted without any one fold."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from seqclf._label_features.supervision import Supervision


def is_learnable(memberships, fold):
    memberships = csr_array(np.asarray(memberships, dtype=float))
    ones = np.ones(memberships.shape[0])
    return Supervision(memberships, ones, ones, np.asarray(fold), calibrate=None).is_learnable.tolist()


def by_definition(memberships, fold):
    """Whether both the members of an output and its other rows are in two folds, or there is only one fold."""
    fold, memberships = np.asarray(fold), np.asarray(memberships, dtype=float)
    in_two_folds = [
        len(set(fold[column > 0].tolist())) > 1 and len(set(fold[column < 1].tolist())) > 1 for column in memberships.T
    ]
    return [value or len(set(fold.tolist())) == 1 for value in in_two_folds]


def test_output_needs_members_in_two_folds():
    memberships = np.eye(3)[[0, 0, 1, 1, 2, 2]]
    assert is_learnable(memberships, [0, 1, 0, 1, 2, 2]) == [True, True, False]


def test_output_needs_other_rows_in_two_folds():
    assert is_learnable(np.array([[1, 1, 1, 0, 0]]).T, [0, 1, 2, 2, 2]) == [False]
    assert is_learnable(np.array([[1, 1, 1, 0, 0]]).T, [0, 1, 2, 2, 1]) == [True]


def test_output_without_members_is_not_learnable():
    assert is_learnable(np.eye(3)[[0, 1, 0, 1]], [0, 0, 1, 1]) == [True, True, False]


def test_partial_member_counts_as_member_and_as_other_row():
    assert is_learnable([[0.5], [0.5]], [0, 1]) == [True]
    assert is_learnable([[0.5], [1.0]], [0, 1]) == [False]
    assert is_learnable([[0.5], [0.0]], [0, 1]) == [False]


def test_all_outputs_are_learnable_with_one_fold():
    assert is_learnable(np.eye(2)[[0, 1]], [0, 0]) == [True, True]
    assert is_learnable(np.eye(2)[[0, 1]], [3, 3]) == [True, True]


@pytest.mark.parametrize("n_outputs", [1, 2, 5])
def test_learnable_outputs_equal_the_definition(n_outputs):
    rng = np.random.default_rng(n_outputs)
    found = []
    for _ in range(200):
        n = int(rng.integers(1, 12))
        memberships = rng.choice([0, 0, 0.5, 1], size=(n, n_outputs))
        fold = rng.integers(0, 3, size=n)
        found.append(is_learnable(memberships, fold))
        assert found[-1] == by_definition(memberships, fold)
    assert {True, False} == set(np.concatenate(found).tolist())


def test_row_of_weight_zero_is_not_an_other_row():
    memberships, fold = csr_array(np.array([[1.0, 1, 1, 0, 0, 0]]).T), np.array([0, 1, 2, 2, 2, 1])
    for weights, expected in ([1, 1, 1, 1, 1, 1], True), ([1, 1, 1, 1, 1, 0], False):
        weights = np.array(weights, dtype=float)
        assert Supervision(memberships, weights, weights, fold, calibrate=None).is_learnable.tolist() == [expected]
