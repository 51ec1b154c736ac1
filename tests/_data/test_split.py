"""`validation_rows`: stratified splits, with and without groups."""

from itertools import product

import numpy as np
import pytest

from seqclf import RNNClassifier
from seqclf._data.split import Strata, single_stratum, validation_rows


def classes(targets):
    return Strata(targets, "class", "classes")


def make_groups(rng, n_groups, n_rows, n_classes):
    """Classes and groups of rows. Groups have unequal sizes, and each has a class that most of its rows have."""
    groups = np.concatenate([np.arange(n_groups), rng.integers(0, n_groups, n_rows - n_groups)])
    majority = rng.integers(0, n_classes, n_groups)
    targets = np.where(rng.random(n_rows) < 0.6, majority[groups], rng.integers(0, n_classes, n_rows))
    targets[:n_classes] = np.arange(n_classes)
    order = rng.permutation(n_rows)
    return targets[order], groups[order]


def misfit(n_held_out, sizes, fraction):
    """The number of classes that are not held out, and the squared errors of the held-out fractions."""
    class_error = np.mean((n_held_out / sizes - fraction) ** 2)
    return int((n_held_out == 0).sum()), (n_held_out.sum() / sizes.sum() - fraction) ** 2 + class_error


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("seed", [*range(10), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(10, 30))])
def test_split_of_few_groups_is_close_to_the_best(seed, fraction):
    """Compared with all possible splits: the same number of classes, and a misfit within 0.05 of the best."""
    rng = np.random.default_rng(seed)
    n_groups, n_classes = int(rng.integers(3, 8)), int(rng.integers(2, 5))
    targets, groups = make_groups(rng, n_groups, int(rng.integers(30, 80)), n_classes)
    sizes = np.bincount(targets)
    counts = np.zeros((n_groups, n_classes), dtype=int)
    np.add.at(counts, (groups, targets), 1)
    choices = [np.array(choice) @ counts for choice in product([0, 1], repeat=n_groups) if any(choice)]
    missing, best = min(misfit(n_held_out, sizes, fraction) for n_held_out in choices if (n_held_out < sizes).all())

    rows = validation_rows(classes(targets), fraction, np.random.RandomState(seed), groups)
    assert not set(groups[rows]) & set(np.delete(groups, rows))
    assert set(np.delete(targets, rows)) == set(targets)
    assert rows.tolist() == sorted(set(rows.tolist()))
    found_missing, found = misfit(np.bincount(targets[rows], minlength=n_classes), sizes, fraction)
    assert found_missing == missing
    assert found <= best + 0.05


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 10))])
def test_split_of_many_groups_meets_the_fraction_in_every_class(seed, fraction):
    targets, groups = make_groups(np.random.default_rng(seed), 150, 2_000, 3)
    rows = validation_rows(classes(targets), fraction, np.random.RandomState(seed), groups)
    assert not set(groups[rows]) & set(np.delete(groups, rows))
    np.testing.assert_allclose(np.bincount(targets[rows]) / np.bincount(targets), fraction, atol=0.01)
    repeated = validation_rows(classes(targets), fraction, np.random.RandomState(seed), groups)
    other = validation_rows(classes(targets), fraction, np.random.RandomState(seed + 1), groups)
    np.testing.assert_array_equal(rows, repeated)
    assert set(groups[rows]) != set(groups[other])


def test_huge_group_is_not_held_out():
    groups = np.concatenate([np.zeros(600, dtype=int), np.repeat(np.arange(1, 51), 8)])
    targets = np.arange(1_000) % 2
    for seed in range(20):
        rows = validation_rows(classes(targets), 0.1, np.random.RandomState(seed), groups)
        assert 0 not in groups[rows]
        assert 90 <= len(rows) <= 110


def test_rare_class_is_held_out_even_if_its_group_is_large():
    """Class 2 occurs only in two groups of ten rows; one of them is held out, with few other rows."""
    groups = np.concatenate([np.repeat(np.arange(20), 4), np.repeat([20, 21], 10)])
    targets = np.concatenate([np.arange(80) % 2, np.repeat(2, 20)])
    rows = validation_rows(classes(targets), 0.1, np.random.RandomState(0), groups)
    assert np.bincount(targets[rows]).tolist() in ([2, 2, 10], [4, 4, 10])


def test_class_of_a_single_group_is_not_held_out():
    groups, targets = np.repeat(np.arange(10), 4), np.repeat([0, 1, 0, 1, 0, 1, 0, 1, 0, 2], 4)
    for seed in range(20):
        rows = validation_rows(classes(targets), 0.2, np.random.RandomState(seed), groups)
        assert set(targets[rows]) == {0, 1}


def test_fit_without_a_possible_group_split_warns_and_watches_the_training_loss():
    """With one group for each class none can be held out."""
    X = np.random.default_rng(0).normal(size=(20, 4))
    y = np.repeat([0, 1], 10)
    with pytest.warns(UserWarning, match="None of the 2 groups can be held out.*no validation split") as caught:
        classifier = RNNClassifier(units=2, max_epochs=2, patience=1, random_state=0).fit(X, y, groups=y)
    assert len(caught) == 1
    assert "valid_loss" not in classifier.history_[0]


def test_warnings_contain_the_names_of_the_strata():
    halves, rng = Strata(np.repeat([0, 1], 5), "half", "halves"), np.random.RandomState(0)
    with pytest.warns(
        UserWarning, match="of 10 rows is too small to hold a row of each of 2 halves: there is no validation split"
    ):
        assert validation_rows(halves, 0.1, rng) is None
    with pytest.warns(
        UserWarning, match="None of the 2 groups can be held out, because a half would then have no training"
    ):
        assert validation_rows(halves, 0.1, rng, halves.of_rows) is None


# Without groups


def test_split_is_stratified():
    targets = np.repeat([0, 1, 2], [80, 15, 5])
    rows = validation_rows(classes(targets), 0.2, np.random.RandomState(0))
    assert np.bincount(targets[rows]).tolist() == [16, 3, 1]
    assert not np.array_equal(rows, validation_rows(classes(targets), 0.2, np.random.RandomState(1)))


def test_class_with_a_single_row_is_not_held_out():
    targets = np.repeat([0, 1, 2], [20, 20, 1])
    rows = validation_rows(classes(targets), 0.1, np.random.RandomState(0))
    assert set(targets[rows]) == {0, 1}


def test_too_few_rows_for_a_split_warn():
    targets = np.repeat(np.arange(10), 3)
    with pytest.warns(UserWarning, match=r"validation_fraction=0.1 of 30 rows.*each of 10 classes.*training loss"):
        assert validation_rows(classes(targets), 0.1, np.random.RandomState(0)) is None


# Optional strata


def labels(targets):
    return Strata(targets, "label", "labels", needed=False)


@pytest.mark.parametrize("groups", [None, np.arange(100) // 4])
def test_optional_strata_are_stratified_where_possible(groups):
    targets = np.repeat([0, 1, 2], [76, 16, 8])
    required, optional = (
        validation_rows(make(targets), 0.2, np.random.RandomState(0), groups) for make in (classes, labels)
    )
    assert required.tolist() == optional.tolist()
    assert set(targets[optional]) == {0, 1, 2}
    unstratified = validation_rows(single_stratum(100), 0.2, np.random.RandomState(0), groups)
    assert unstratified.tolist() != optional.tolist()


def test_too_many_optional_strata_are_ignored():
    targets = np.repeat(np.arange(10), 3)
    rows = validation_rows(labels(targets), 0.1, np.random.RandomState(0))
    assert len(rows) == 3
    assert rows.tolist() == validation_rows(single_stratum(30), 0.1, np.random.RandomState(0)).tolist()


def test_optional_strata_of_single_rows_are_ignored():
    """Strata of one row can't be held out."""
    rows = validation_rows(labels(np.arange(30)), 0.1, np.random.RandomState(0))
    assert len(rows) == 3


def test_group_that_is_an_optional_stratum_is_held_out():
    groups = np.repeat(np.arange(10), 4)
    rows = validation_rows(labels(groups), 0.2, np.random.RandomState(0), groups)
    assert len(rows) == 8
    assert not set(groups[rows]) & set(np.delete(groups, rows))
    with pytest.warns(UserWarning, match="None of the 10 groups can be held out, because a class would then have no"):
        assert validation_rows(classes(groups), 0.2, np.random.RandomState(0), groups) is None


def test_optional_stratum_of_a_single_group_is_not_held_out_if_others_can_be():
    groups, targets = np.repeat(np.arange(10), 4), np.repeat([0, 1, 0, 1, 0, 1, 0, 1, 0, 2], 4)
    for seed in range(20):
        rows = validation_rows(labels(targets), 0.2, np.random.RandomState(seed), groups)
        assert set(targets[rows]) == {0, 1}


def test_too_few_rows_without_required_strata_warn():
    with pytest.warns(UserWarning, match="of 4 rows is too small to hold a single row: there is no validation split"):
        assert validation_rows(labels(np.array([0, 0, 1, 1])), 0.1, np.random.RandomState(0)) is None
