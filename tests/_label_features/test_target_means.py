"""`TargetMeans` against a reference that loops over the rows."""

import numpy as np
import pytest

from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._label_features.ngrams import NGrams
from seqclf._label_features.supervision import Supervision
from seqclf._label_features.target_means import SHRINKAGE, TargetMeans

VOCAB = 7


def make_rows(n=40, seed=0):
    rng = np.random.default_rng(seed)
    rows = [rng.integers(1, VOCAB, size=rng.integers(0, 7)).tolist() for _ in range(n)]
    rows[3] = []
    return rows


def fit_means(rows, targets, fold, weights=None, n_orders=3):
    ids = Ragged.from_items([np.array(row, dtype=np.int32) for row in rows], dtype=np.int32)
    ngrams = NGrams(n_orders, VOCAB)
    means = TargetMeans(ngrams, n_orders)
    weights = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=float)
    supervision = Supervision(np.asarray(targets, dtype=float), weights, weights, np.asarray(fold), calibrate=None)
    return means, ids, means.fit_transform(list(ngrams.fit_transform(ids, limit=2**20)), supervision)


def by_row(ids, features):
    return np.split(EncodedSequences(ids, features).step_features, ids.offsets[1:-1])


def ngrams_of(row):
    return {tuple(row[end - n : end]) for n in (1, 2, 3) for end in range(n, len(row) + 1)}


def reference(rows, targets, weights, used, row, n_orders=3):
    """The values at the steps of one row, computed from the rows in the mask `used`."""
    targets, weights = np.asarray(targets), np.asarray(weights) / np.mean(weights)
    used = np.flatnonzero(used)
    mean = (weights[used] @ targets[used]) / weights[used].sum()
    steps = []
    for end in range(1, len(row) + 1):
        step = []
        for n in range(1, n_orders + 1):
            ngram = tuple(row[end - n : end]) if end >= n else None
            occurrences = [i for i in range(len(rows)) if ngram in ngrams_of(rows[i])]
            value = 0 * mean
            if len(occurrences) > 1:
                index = [i for i in occurrences if i in used]
                total = weights[index].sum()
                value = (weights[index] @ (targets[index] - mean)) / (total + SHRINKAGE) if index else value
            step.append(value)
        steps.append(np.concatenate(step))
    return np.array(steps).reshape(len(row), n_orders * targets.shape[1])


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_values_equal_the_reference(n_outputs, weighted):
    rows = make_rows()
    rng = np.random.default_rng(1)
    targets = rng.normal(size=(len(rows), n_outputs))
    weights = rng.uniform(0.1, 3, size=len(rows)) if weighted else np.ones(len(rows))
    fold = rng.permutation(np.arange(len(rows)) % 4)
    means, ids, training = fit_means(rows, targets, fold, weights)
    for row, found in enumerate(by_row(ids, training)):
        expected = reference(rows, targets, weights, fold != fold[row], rows[row])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    new = make_rows(10, seed=2)
    new_ids = Ragged.from_items([np.array(row, dtype=np.int32) for row in new], dtype=np.int32)
    features = means.transform(means.ngrams.transform(new_ids), len(new))
    for row, found in zip(new, by_row(new_ids, features), strict=True):
        all_rows = np.ones(len(rows), dtype=bool)
        np.testing.assert_allclose(found, reference(rows, targets, weights, all_rows, row), rtol=0, atol=1e-6)


def test_values_of_a_fold_do_not_depend_on_its_targets():
    rows, fold = make_rows(), np.arange(40) % 5
    targets = np.random.default_rng(0).normal(size=(40, 1))
    _, ids, before = fit_means(rows, targets, fold)
    other = targets.copy()
    other[7] += 100
    _, _, after = fit_means(rows, other, fold)
    for row, (one, two) in enumerate(zip(by_row(ids, before), by_row(ids, after), strict=True)):
        if fold[row] == fold[7]:
            np.testing.assert_array_equal(one, two)
    assert any(not np.array_equal(one, two) for one, two in zip(by_row(ids, before), by_row(ids, after), strict=True))


def test_values_do_not_reveal_the_mean_of_a_fold():
    """If all rows have the same tokens and the target is the fold, each value is 0."""
    fold = np.arange(40) % 5
    _, ids, training = fit_means([[2, 3]] * 40, fold[:, None].astype(float), fold)
    np.testing.assert_allclose(EncodedSequences(ids, training).step_features, 0, atol=1e-12)


def test_ngrams_of_a_single_fold_have_values_of_zero_in_it():
    rows = [[2, 3] if row % 5 == 0 else [4, 3] for row in range(40)]
    targets = np.random.default_rng(0).normal(size=(40, 1)) * 0.1 + 0.3
    _, ids, training = fit_means(rows, targets, np.arange(40) % 5, n_orders=1)
    for row, found in enumerate(by_row(ids, training)):
        assert (found[0, 0] == 0) == (row % 5 == 0)


def test_values_of_a_single_fold_are_zero():
    _, ids, training = fit_means([[2, 3]] * 4, np.arange(4.0)[:, None], np.zeros(4, dtype=int))
    assert not EncodedSequences(ids, training).step_features.any()
