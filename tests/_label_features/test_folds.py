"""Folds for cross-fitting: which rows are together, how evenly the others are spread, and that they are drawn."""

from itertools import pairwise

import numpy as np
import pytest

from seqclf._data.ragged import Ragged
from seqclf._label_features.folds import N_FOLDS, cross_fitting_folds


def as_ids(rows):
    return Ragged.from_items([np.array(row, dtype=np.int32) for row in rows], dtype=np.int32)


def different(n):
    """Rows of one token, each another one."""
    return as_ids([[2 + row] for row in range(n)])


def draw(rows, strata, groups=None, seed=0):
    return cross_fitting_folds(
        rows, np.asarray(strata), None if groups is None else np.asarray(groups), np.random.RandomState(seed)
    )


@pytest.mark.parametrize("counts", [(50, 50), (95, 3, 2), (7, 1), (1, 1), (10,) * 12])
def test_every_stratum_is_spread_evenly(counts):
    codes = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    fold = draw(different(len(codes)), codes)
    assert fold.dtype == np.int64 and set(fold.tolist()) == set(range(min(N_FOLDS, len(codes))))
    assert np.ptp(np.bincount(fold)) <= 1
    for code in range(len(counts)):
        assert np.ptp(np.bincount(fold[codes == code], minlength=min(N_FOLDS, len(codes)))) <= 1


def test_equal_rows_are_in_one_fold():
    """Whatever their strata; rows of the same values that are cut elsewhere are not equal."""
    rows = [[2, 3, 4], [2, 3], [4], [], [3, 2]]
    folds = [draw(as_ids(rows * 8), np.arange(40) // 5 % 2, seed=seed) for seed in range(20)]
    for fold in folds:
        assert [len(set(fold[one::5].tolist())) for one in range(5)] == [1] * 5
        assert sorted(fold[:5].tolist()) == list(range(5))
    assert len({tuple(fold[:5]) for fold in folds}) > 10


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_series_are_in_one_fold(dtype):
    """All channels of all steps count: series of the same numbers in another order are others."""
    rng = np.random.default_rng(0)
    items = [rng.normal(size=(3, 2)).astype(dtype) for _ in range(10)]
    items += [item[::-1].copy() for item in items]
    series = Ragged.from_items([*items, *items])
    fold = draw(series, np.arange(40) % 2)
    np.testing.assert_array_equal(fold[:20], fold[20:])
    assert (fold[:10] != fold[10:20]).any() and np.bincount(fold).tolist() == [8] * 5


@pytest.mark.parametrize("n_groups", [2, 5, 9, 33])
def test_groups_are_in_one_fold(n_groups):
    rng = np.random.default_rng(0)
    groups = np.concatenate([np.arange(n_groups), rng.integers(0, n_groups, size=80)])
    fold = draw(different(len(groups)), rng.integers(0, 2, size=len(groups)), groups)
    of_group = [set(fold[groups == group].tolist()) for group in range(n_groups)]
    assert all(len(folds) == 1 for folds in of_group)
    n_in_fold = np.bincount([folds.pop() for folds in of_group])
    assert len(n_in_fold) == min(N_FOLDS, n_groups) and np.ptp(n_in_fold) <= 1


def test_groups_that_share_a_row_are_in_one_fold():
    """A chain: the second group has an equal row in the first and one in the third."""
    rows = [[2], [3], [3], [4], [4], [5], *([6 + row] for row in range(20))]
    groups = [0, 0, 1, 1, 2, 2, *range(3, 23)]
    for seed in range(20):
        fold = draw(as_ids(rows), np.arange(26) % 2, groups, seed=seed)
        assert len(set(fold[:6].tolist())) == 1 and len(set(fold.tolist())) == N_FOLDS


def tied(content, strata, groups):
    """The same number for rows that must be in one fold: of a group, and equal ones but for strata of few kinds."""
    several = [len(set(content[strata == code].tolist())) >= N_FOLDS for code in range(strata.max() + 1)]
    unit = list(range(len(content)))
    for one in range(len(content)):
        for other in range(one):
            equal = content[one] == content[other] and several[strata[one]] and several[strata[other]]
            if equal or (groups is not None and groups[one] == groups[other]):
                unit = [unit[one] if number == unit[other] else number for number in unit]
    return np.array(unit)


@pytest.mark.parametrize("grouped", [False, True])
def test_no_row_has_its_equal_or_its_group_in_another_fold(grouped):
    """And what is tied is spread evenly; where all is, its rows are."""
    rng = np.random.default_rng(0)
    found = []
    for seed in range(100):
        n, most = int(rng.integers(1, 60)), int(rng.integers(2, 60))
        content, strata = rng.integers(0, most, n), np.unique(rng.integers(0, 3, n), return_inverse=True)[1]
        groups = np.unique(rng.integers(0, 30, n), return_inverse=True)[1] if grouped else None
        fold = draw(as_ids([[2 + one] for one in content]), strata, groups, seed)
        unit = tied(content, strata, groups if grouped and groups.max() else None)
        if len(set(unit.tolist())) == 1:
            unit = np.arange(n)
        assert all(len(set(fold[unit == one].tolist())) == 1 for one in unit)
        first = np.unique(unit, return_index=True)[1]
        assert np.ptp(np.bincount(fold[first], minlength=min(N_FOLDS, len(first)))) <= 1
        found.append(len(first) < n)
    assert any(found) and not all(found)


@pytest.mark.parametrize("n_different", [1, 2, 4])
def test_a_stratum_of_few_different_rows_is_spread(n_different):
    """In one fold each, some models would know nothing of them."""
    rows = [[2 + row % n_different] for row in range(20)] + [[9 + row] for row in range(30)]
    fold = draw(as_ids(rows), np.repeat([0, 1], [20, 30]))
    assert np.bincount(fold[:20]).tolist() == [4] * 5 and np.bincount(fold).tolist() == [10] * 5


def test_the_rows_of_a_single_group_are_spread():
    strata = np.arange(40) % 2
    alone = draw(different(40), strata, np.zeros(40, dtype=np.int64))
    np.testing.assert_array_equal(alone, draw(different(40), strata))
    assert np.bincount(alone).tolist() == [8] * 5


@pytest.mark.parametrize("groups", [None, np.arange(60) // 2])
def test_folds_are_drawn(groups):
    rows, codes = different(60), np.arange(60) % 3
    first, again, other = (draw(rows, codes, groups, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    draws = np.array([draw(rows, codes, groups, seed) for seed in range(200)])
    shares = np.array([np.bincount(column, minlength=N_FOLDS) for column in draws.T]) / 200
    assert shares.min() > 0.08 and shares.max() < 0.35, "every row may come into every fold"
    assert all(not np.array_equal(one, two) for one, two in pairwise(draws[:20]))


def test_what_rows_hold_does_not_decide_where_they_go():
    """Other tokens, the same draw: only which rows are equal counts."""
    rng = np.random.default_rng(0)
    content, codes = rng.integers(0, 25, size=60), rng.integers(0, 3, size=60)
    one = draw(as_ids([[2 + number] for number in content]), codes)
    pairs = np.equal.outer(one, one)
    other = draw(as_ids([[900 - 7 * number, 3] for number in content]), codes)
    equal = np.equal.outer(content, content)
    assert pairs[equal].all() and np.equal.outer(other, other)[equal].all()


@pytest.mark.parametrize("rows", [[[]], [[2]], [[], []], [[2], [2]]])
def test_few_rows_and_empty_ones(rows):
    fold = draw(as_ids(rows), np.arange(len(rows)) % 2)
    assert fold.tolist() in ([0], [0, 1], [1, 0])
