"""Whole groups held out: none on both sides, every class in training, and as good a choice as there is."""

from itertools import product

import numpy as np
import pytest

from seqclf import RNNClassifier
from seqclf._data.split import Strata, all_alike, validation_rows


def classes(codes):
    return Strata(codes, "class", "classes")


def make_groups(rng, n_groups, n_rows, n_classes):
    """Rows in groups of unequal size, each of which has a class that it prefers."""
    numbers = np.concatenate([np.arange(n_groups), rng.integers(0, n_groups, n_rows - n_groups)])
    preferred = rng.integers(0, n_classes, n_groups)
    codes = np.where(rng.random(n_rows) < 0.6, preferred[numbers], rng.integers(0, n_classes, n_rows))
    codes[:n_classes] = np.arange(n_classes)
    order = rng.permutation(n_rows)
    return codes[order], numbers[order]


def misfit(held, sizes, fraction):
    """Classes that are not held out, and the squared distances of the shares from the fraction."""
    shares = np.mean((held / sizes - fraction) ** 2)
    return int((held == 0).sum()), (held.sum() / sizes.sum() - fraction) ** 2 + shares


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(30))
def test_no_other_choice_of_few_groups_is_much_better(seed, fraction):
    """Compared with every choice there is: as many classes, and shares as near but for 0.05."""
    rng = np.random.default_rng(seed)
    n_groups, n_classes = int(rng.integers(3, 8)), int(rng.integers(2, 5))
    codes, groups = make_groups(rng, n_groups, int(rng.integers(30, 80)), n_classes)
    sizes = np.bincount(codes)
    table = np.zeros((n_groups, n_classes), dtype=int)
    np.add.at(table, (groups, codes), 1)
    choices = [np.array(choice) @ table for choice in product([0, 1], repeat=n_groups) if any(choice)]
    missing, best = min(misfit(held, sizes, fraction) for held in choices if (held < sizes).all())

    rows = validation_rows(classes(codes), fraction, np.random.RandomState(seed), groups)
    assert not set(groups[rows]) & set(np.delete(groups, rows))
    assert set(np.delete(codes, rows)) == set(codes)
    assert rows.tolist() == sorted(set(rows.tolist()))
    found_missing, found = misfit(np.bincount(codes[rows], minlength=n_classes), sizes, fraction)
    assert found_missing == missing
    assert found <= best + 0.05


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("seed", range(10))
def test_many_groups_meet_the_fraction_in_every_class(seed, fraction):
    codes, groups = make_groups(np.random.default_rng(seed), 150, 2_000, 3)
    rows = validation_rows(classes(codes), fraction, np.random.RandomState(seed), groups)
    assert not set(groups[rows]) & set(np.delete(groups, rows))
    np.testing.assert_allclose(np.bincount(codes[rows]) / np.bincount(codes), fraction, atol=0.01)
    again = validation_rows(classes(codes), fraction, np.random.RandomState(seed), groups)
    other = validation_rows(classes(codes), fraction, np.random.RandomState(seed + 1), groups)
    np.testing.assert_array_equal(rows, again)
    assert set(groups[rows]) != set(groups[other])


def test_a_huge_group_is_not_held_out():
    groups = np.concatenate([np.zeros(600, dtype=int), np.repeat(np.arange(1, 51), 8)])
    codes = np.arange(1_000) % 2
    for seed in range(20):
        rows = validation_rows(classes(codes), 0.1, np.random.RandomState(seed), groups)
        assert 0 not in groups[rows]
        assert 90 <= len(rows) <= 110


def test_a_rare_class_is_held_out_though_its_group_is_large():
    """Class 2 lives in two groups of ten rows; one of them is held out, beside little else."""
    groups = np.concatenate([np.repeat(np.arange(20), 4), np.repeat([20, 21], 10)])
    codes = np.concatenate([np.arange(80) % 2, np.repeat(2, 20)])
    rows = validation_rows(classes(codes), 0.1, np.random.RandomState(0), groups)
    assert np.bincount(codes[rows]).tolist() in ([2, 2, 10], [4, 4, 10])


def test_a_class_of_one_group_stays_in_training():
    groups, codes = np.repeat(np.arange(10), 4), np.repeat([0, 1, 0, 1, 0, 1, 0, 1, 0, 2], 4)
    for seed in range(20):
        rows = validation_rows(classes(codes), 0.2, np.random.RandomState(seed), groups)
        assert set(codes[rows]) == {0, 1}


def test_groups_that_are_needed_for_training_are_not_held_out():
    """One group for each class: none can go, a warning says so, and the training loss is watched."""
    X = np.random.default_rng(0).normal(size=(20, 4))
    y = np.repeat([0, 1], 10)
    with pytest.warns(UserWarning, match="None of the 2 groups can be held out.*no validation split") as caught:
        classifier = RNNClassifier(units=2, max_epochs=2, patience=1, random_state=0).fit(X, y, groups=y)
    assert len(caught) == 1
    assert "valid_loss" not in classifier.history_[0]


def test_messages_call_the_strata_by_their_names():
    halves, rng = Strata(np.repeat([0, 1], 5), "half", "halves"), np.random.RandomState(0)
    with pytest.warns(
        UserWarning, match="of 10 rows can't hold a row of each of 2 halves: there is no validation split"
    ):
        assert validation_rows(halves, 0.1, rng) is None
    with pytest.warns(UserWarning, match="None of the 2 groups can be held out, since a half would be left without"):
        assert validation_rows(halves, 0.1, rng, halves.of_rows) is None


# Without groups


def test_the_split_holds_every_class_in_proportion():
    codes = np.repeat([0, 1, 2], [80, 15, 5])
    rows = validation_rows(classes(codes), 0.2, np.random.RandomState(0))
    assert np.bincount(codes[rows]).tolist() == [16, 3, 1]
    assert not np.array_equal(rows, validation_rows(classes(codes), 0.2, np.random.RandomState(1)))


def test_a_class_with_a_single_row_stays_in_training():
    codes = np.repeat([0, 1, 2], [20, 20, 1])
    rows = validation_rows(classes(codes), 0.1, np.random.RandomState(0))
    assert set(codes[rows]) == {0, 1}


def test_too_few_rows_for_a_split_is_said():
    codes = np.repeat(np.arange(10), 3)
    with pytest.warns(UserWarning, match=r"validation_fraction=0.1 of 30 rows.*each of 10 classes.*training loss"):
        assert validation_rows(classes(codes), 0.1, np.random.RandomState(0)) is None


# Strata that are not needed


def labels(codes):
    return Strata(codes, "label", "labels", needed=False)


@pytest.mark.parametrize("groups", [None, np.arange(100) // 4])
def test_strata_that_are_not_needed_are_kept_in_proportion_where_they_can_be(groups):
    codes = np.repeat([0, 1, 2], [76, 16, 8])
    needed, others = (validation_rows(make(codes), 0.2, np.random.RandomState(0), groups) for make in (classes, labels))
    assert needed.tolist() == others.tolist()
    assert set(codes[others]) == {0, 1, 2}
    alike = validation_rows(all_alike(100), 0.2, np.random.RandomState(0), groups)
    assert alike.tolist() != others.tolist()


def test_rows_are_alike_where_strata_that_are_not_needed_are_too_many():
    codes = np.repeat(np.arange(10), 3)
    rows = validation_rows(labels(codes), 0.1, np.random.RandomState(0))
    assert len(rows) == 3
    assert rows.tolist() == validation_rows(all_alike(30), 0.1, np.random.RandomState(0)).tolist()


def test_rows_are_alike_where_every_row_is_a_stratum():
    """Strata of one row can't be held out, so there is none to hold a row of."""
    rows = validation_rows(labels(np.arange(30)), 0.1, np.random.RandomState(0))
    assert len(rows) == 3


def test_groups_that_have_strata_for_themselves_are_held_out_where_these_are_not_needed():
    groups = np.repeat(np.arange(10), 4)
    rows = validation_rows(labels(groups), 0.2, np.random.RandomState(0), groups)
    assert len(rows) == 8
    assert not set(groups[rows]) & set(np.delete(groups, rows))
    with pytest.warns(UserWarning, match="None of the 10 groups can be held out, since a class would be left"):
        assert validation_rows(classes(groups), 0.2, np.random.RandomState(0), groups) is None


def test_a_stratum_that_is_not_needed_stays_in_training_while_other_groups_can_be_held_out():
    groups, codes = np.repeat(np.arange(10), 4), np.repeat([0, 1, 0, 1, 0, 1, 0, 1, 0, 2], 4)
    for seed in range(20):
        rows = validation_rows(labels(codes), 0.2, np.random.RandomState(seed), groups)
        assert set(codes[rows]) == {0, 1}


def test_a_split_that_no_strata_prevent_may_be_impossible_all_the_same():
    with pytest.warns(UserWarning, match="of 4 rows can't hold a single row: there is no validation split"):
        assert validation_rows(labels(np.array([0, 0, 1, 1])), 0.1, np.random.RandomState(0)) is None
