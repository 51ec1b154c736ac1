"""Folds for cross-fitting: which rows share a fold, balance within strata, and randomness."""

from itertools import pairwise

import numpy as np
import pytest

from _factories import ragged_ids
from seqclf._data.ragged import Ragged
from seqclf._label_features import folds
from seqclf._label_features.folds import N_FOLDS, StreamFolds, cross_fitting_folds


def distinct_rows(n):
    """Rows of one token, all different."""
    return ragged_ids([[2 + row] for row in range(n)])


def draw(rows, strata, groups=None, seed=0):
    return cross_fitting_folds(
        rows, np.asarray(strata), None if groups is None else np.asarray(groups), np.random.RandomState(seed)
    )


@pytest.mark.parametrize("counts", [(50, 50), (95, 3, 2), (7, 1), (1, 1), (10,) * 12])
def test_folds_are_balanced_in_every_stratum(counts):
    codes = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    fold = draw(distinct_rows(len(codes)), codes)
    assert fold.dtype == np.int64 and set(fold.tolist()) == set(range(min(N_FOLDS, len(codes))))
    assert np.ptp(np.bincount(fold)) <= 1
    for code in range(len(counts)):
        assert np.ptp(np.bincount(fold[codes == code], minlength=min(N_FOLDS, len(codes)))) <= 1


def test_equal_rows_are_in_one_fold():
    """In any stratum. Rows with the same concatenated values but other lengths are not equal."""
    rows = [[2, 3, 4], [2, 3], [4], [], [3, 2]]
    others = [[9 + row] for row in range(20)]
    folds = [draw(ragged_ids(rows * 4 + others), np.arange(40) // 5 % 2, seed=seed) for seed in range(20)]
    for fold in folds:
        assert [len(set(fold[one:20:5].tolist())) for one in range(5)] == [1] * 5
    assert len({tuple(fold[:5]) for fold in folds}) > 10


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_series_are_in_one_fold(dtype):
    """All channels of all steps are compared: series with the same values in another order are different."""
    rng = np.random.default_rng(0)
    items = [rng.normal(size=(3, 2)).astype(dtype) for _ in range(10)]
    items += [item[::-1].copy() for item in items]
    series = Ragged.from_items([*items, *items])
    fold = draw(series, np.arange(40) % 2)
    np.testing.assert_array_equal(fold[:20], fold[20:])
    assert (fold[:10] != fold[10:20]).any() and np.bincount(fold).tolist() == [8] * 5


@pytest.mark.parametrize("n_groups", [2, 5, 9, 33])
def test_rows_of_a_group_are_in_one_fold(n_groups):
    rng = np.random.default_rng(0)
    groups = np.concatenate([np.arange(n_groups), rng.integers(0, n_groups, size=80)])
    fold = draw(distinct_rows(len(groups)), rng.integers(0, 2, size=len(groups)), groups)
    of_group = [set(fold[groups == group].tolist()) for group in range(n_groups)]
    assert all(len(folds) == 1 for folds in of_group)
    n_in_fold = np.bincount([folds.pop() for folds in of_group])
    assert len(n_in_fold) == min(N_FOLDS, n_groups) and np.ptp(n_in_fold) <= 1


def test_equal_rows_of_different_groups_are_independent():
    """Otherwise a short text that occurs in all groups would merge them."""
    rows = [[2] if row % 2 else [3 + row] for row in range(80)]
    fold = draw(ragged_ids(rows), np.arange(80) // 2 % 2, np.arange(80) // 4)
    assert np.bincount(fold).tolist() == [16] * 5


@pytest.mark.parametrize("n_repeated", [0, 30, 49])
def test_equal_rows_are_in_one_fold_if_duplicates_are_exceptions(n_repeated):
    content = np.concatenate([np.arange(100), np.arange(n_repeated) % 25])
    strata = content % 3
    for seed in range(10):
        fold = draw(ragged_ids([[2 + one] for one in content]), strata, None, seed)
        assert all(len(set(fold[content == one].tolist())) == 1 for one in range(25))
        assert np.ptp(np.bincount(fold[:100])) <= 1


def test_equal_rows_are_distributed_if_duplicates_are_common():
    """New rows will be duplicates too, so every model should see rows like them."""
    content = np.arange(210) % 100
    fold = draw(ragged_ids([[2 + one] for one in content[:199]]), content[:199] % 2)
    assert all(len(set(fold[content[:199] == one].tolist())) == 1 for one in range(100))
    fold = draw(ragged_ids([[2 + one] for one in content]), content % 2)
    assert np.ptp(np.bincount(fold)) <= 1 and any(len(set(fold[content == one].tolist())) > 1 for one in range(100))


@pytest.mark.parametrize("n_different", [1, 2, 4])
def test_equal_rows_are_distributed_in_a_stratum_of_few_distinct_rows(n_different):
    """Otherwise some models would see no row of the stratum."""
    rows = [[2 + row % n_different] for row in range(20)] + [[9 + row] for row in range(30)]
    fold = draw(ragged_ids(rows), np.repeat([0, 1], [20, 30]))
    assert np.bincount(fold[:20]).tolist() == [4] * 5 and np.bincount(fold).tolist() == [10] * 5


def test_a_single_group_is_the_same_as_none():
    strata = np.arange(40) % 2
    fold = draw(distinct_rows(40), strata, np.zeros(40, dtype=np.int64))
    np.testing.assert_array_equal(fold, draw(distinct_rows(40), strata))
    assert np.bincount(fold).tolist() == [8] * 5


@pytest.mark.parametrize("groups", [None, np.arange(60) // 2])
def test_folds_are_random_and_reproducible(groups):
    rows, codes = distinct_rows(60), np.arange(60) % 3
    first, again, other = (draw(rows, codes, groups, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    draws = np.array([draw(rows, codes, groups, seed) for seed in range(200)])
    frequencies = np.array([np.bincount(column, minlength=N_FOLDS) for column in draws.T]) / 200
    assert frequencies.min() > 0.08 and frequencies.max() < 0.35, "any row can be in any fold"
    assert all(not np.array_equal(one, two) for one, two in pairwise(draws[:20]))


def test_folds_depend_on_row_content_only_through_equality():
    """With other tokens, equal rows share a fold as before."""
    rng = np.random.default_rng(0)
    content, codes = rng.integers(0, 60, size=60), rng.integers(0, 3, size=60)
    one = draw(ragged_ids([[2 + value] for value in content]), codes)
    pairs = np.equal.outer(one, one)
    other = draw(ragged_ids([[900 - 7 * value, 3] for value in content]), codes)
    equal = np.equal.outer(content, content)
    assert pairs[equal].all() and np.equal.outer(other, other)[equal].all()


@pytest.mark.parametrize("rows", [[[]], [[2]], [[], []], [[2], [2]]])
def test_folds_of_few_and_empty_rows(rows):
    fold = draw(ragged_ids(rows), np.arange(len(rows)) % 2)
    assert fold.tolist() in ([0], [0, 1], [1, 0])


def windows(n_steps=130, length=20, stride=1, n_channels=1, seed=0):
    """Overlapping windows of one series, in its order."""
    values = np.random.default_rng(seed).normal(size=(n_steps, n_channels)).astype(np.float32)
    return Ragged.from_items([values[start : start + length] for start in range(0, n_steps - length + 1, stride)])


@pytest.mark.parametrize("stride", [1, 4, 10])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_folds_of_windows_are_blocks(stride, n_channels):
    rows = windows(stride=stride, n_channels=n_channels)
    fold = draw(rows, np.zeros(len(rows), dtype=int))
    assert (np.diff(fold) >= 0).all() and set(fold.tolist()) == set(range(N_FOLDS))
    assert np.ptp(np.bincount(fold)) <= 1


def test_windows_are_detected_after_an_offset_and_with_a_constant_channel():
    values = windows(length=20).values.reshape(-1, 20, 1)
    rows = values - values[:, -1:]
    constant = np.random.default_rng(1).normal(size=(len(rows), 1, 1)).repeat(20, axis=1)
    for X in (rows, np.concatenate([values, constant], axis=2)):
        steps = Ragged(X.reshape(-1, X.shape[2]).astype(np.float32), np.full(len(X), 20))
        assert (np.diff(draw(steps, np.zeros(len(X), dtype=int))) >= 0).all()


def test_folds_of_windows_are_blocks_in_every_stratum():
    rows = windows()
    strata = np.arange(len(rows)) % 3
    fold = draw(rows, strata)
    for one in range(3):
        assert (np.diff(fold[strata == one]) >= 0).all() and set(fold[strata == one].tolist()) == set(range(N_FOLDS))


@pytest.mark.parametrize(
    "rows",
    [
        windows(stride=20),
        windows(stride=11),
        windows().take(np.random.default_rng(0).permutation(111)),
        Ragged(np.ones((400, 1), dtype=np.float32), np.full(40, 10)),
        Ragged(np.zeros((0, 1), dtype=np.float32), np.zeros(40, dtype=np.int64)),
        ragged_ids([list(range(start, start + 9)) for start in range(2, 42)]),
    ],
    ids=["next to each other", "less than half", "shuffled", "constant", "empty", "token ids"],
)
def test_rows_that_do_not_overlap_are_not_windows(rows):
    fold = draw(rows, np.zeros(len(rows), dtype=int))
    assert (np.diff(fold) < 0).any()


def overlap_by_definition(X):
    """Whether half of the rows equal the next one after the same shift, up to a constant and at least half of it."""
    steps = np.diff(X.astype(float), axis=1)
    for shift in range(1, X.shape[1] // 2 + 1):
        equal = np.isclose(steps[:-1, shift:], steps[1:, : steps.shape[1] - shift], rtol=0, atol=1e-6)
        if np.mean(equal.all(axis=(1, 2)) & steps[:-1].any(axis=(1, 2))) >= 0.5:
            return True
    return False


def test_windows_are_detected_as_by_comparing_all_steps(monkeypatch):
    """Of series of few values, which often agree for some steps, and with blocks of two steps."""
    monkeypatch.setattr(folds, "_FIRST_COMPARED", 2)
    found = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        n_rows, length, stride = rng.integers(10, 14), rng.integers(4, 12), rng.integers(1, 8)
        series = (rng.random((n_rows * stride + length, rng.integers(1, 3))) < (0.1, 0.5)[seed % 2]).astype(float)
        X = np.stack([series[row * stride : row * stride + length] for row in range(n_rows)])
        X[rng.random(n_rows) < 0.2] = 1.0
        found.append(folds._are_overlapping_windows(Ragged.from_array(X)))
        assert found[-1] == overlap_by_definition(X), seed
    assert 30 < sum(found) < 270


def test_work_of_detecting_windows_is_proportional_to_their_length(monkeypatch):
    """Of series that are mostly constant, where many shifts agree for some steps."""
    compared, differences = [], folds._differences
    monkeypatch.setattr(folds, "_differences", lambda steps: compared.append(steps.size) or differences(steps))

    def work(length):
        compared.clear()
        X = (np.random.default_rng(0).random((20, length, 1)) < 0.01).astype(np.float32)
        assert not folds._are_overlapping_windows(Ragged.from_array(X))
        return sum(compared)

    assert work(16_000) < 6 * work(4_000)


def test_groups_take_precedence_over_windows():
    rows = windows()
    groups = np.random.default_rng(0).permutation(np.arange(len(rows)) % 10)
    fold = draw(rows, np.zeros(len(rows), dtype=int), groups)
    assert all(len(set(fold[groups == one].tolist())) == 1 for one in range(10))


def test_stream_folds_depend_on_row_content():
    rng = np.random.default_rng(0)
    steps = Ragged.from_items([rng.integers(2, 50, size=rng.integers(0, 9)).astype(np.int32) for _ in range(200)])
    folds = StreamFolds(steps)
    assert set(folds.first_chunk_folds) == set(range(5))
    np.testing.assert_array_equal(folds.of(steps), folds.first_chunk_folds)
    order = rng.permutation(200)
    np.testing.assert_array_equal(folds.of(steps.take(order)), folds.first_chunk_folds[order])


def test_stream_folds_of_rows_in_folds_absent_from_the_first_chunk():
    steps = Ragged.from_items([np.array([n], dtype=np.int32) for n in range(100)])
    folds = StreamFolds(steps.take([0, 1, 0]))
    assert folds.first_chunk_folds[0] == folds.first_chunk_folds[2] and folds.first_chunk_folds.min() == 0
    of_all = folds.of(steps)
    assert of_all.max() == folds.first_chunk_folds.max() and (of_all == -1).any()
    assert of_all[0] == folds.first_chunk_folds[0]
