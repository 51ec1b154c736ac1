"""Shrunken means of n-grams, against a plain twin that goes through the rows."""

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


def learn(rows, targets, fold, weights=None, n_orders=3):
    ids = Ragged.from_items([np.array(row, dtype=np.int32) for row in rows], dtype=np.int32)
    ngrams = NGrams(n_orders, VOCAB)
    means = TargetMeans(ngrams, n_orders)
    weights = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=float)
    supervision = Supervision(np.asarray(targets, dtype=float), weights, weights, np.asarray(fold), calibrate=None)
    return means, ids, means.fit_transform(list(ngrams.learn(ids, limit=2**20)), supervision)


def by_row(ids, features):
    return np.split(EncodedSequences(ids, features).step_features, ids.offsets[1:-1])


def held_by(row):
    return {tuple(row[end - n : end]) for n in (1, 2, 3) for end in range(n, len(row) + 1)}


def twin(rows, targets, weights, used, row, n_orders=3):
    """The values at the steps of one row, from the rows that are used."""
    targets, weights = np.asarray(targets), np.asarray(weights) / np.mean(weights)
    used = np.flatnonzero(used)
    mean = (weights[used] @ targets[used]) / weights[used].sum()
    steps = []
    for end in range(1, len(row) + 1):
        step = []
        for n in range(1, n_orders + 1):
            ngram = tuple(row[end - n : end]) if end >= n else None
            holders = [i for i in range(len(rows)) if ngram in held_by(rows[i])]
            value = 0 * mean
            if len(holders) > 1:
                ours = [i for i in holders if i in used]
                total = weights[ours].sum()
                value = (weights[ours] @ (targets[ours] - mean)) / (total + SHRINKAGE) if ours else value
            step.append(value)
        steps.append(np.concatenate(step))
    return np.array(steps).reshape(len(row), n_orders * targets.shape[1])


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_values_are_those_of_the_twin(n_outputs, weighted):
    rows = make_rows()
    rng = np.random.default_rng(1)
    targets = rng.normal(size=(len(rows), n_outputs))
    weights = rng.uniform(0.1, 3, size=len(rows)) if weighted else np.ones(len(rows))
    fold = rng.permutation(np.arange(len(rows)) % 4)
    means, ids, training = learn(rows, targets, fold, weights)
    for row, found in enumerate(by_row(ids, training)):
        expected = twin(rows, targets, weights, fold != fold[row], rows[row])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    new = make_rows(10, seed=2)
    new_ids = Ragged.from_items([np.array(row, dtype=np.int32) for row in new], dtype=np.int32)
    features = means.transform(means.ngrams.numbers(new_ids), len(new))
    for row, found in zip(new, by_row(new_ids, features), strict=True):
        everyone = np.ones(len(rows), dtype=bool)
        np.testing.assert_allclose(found, twin(rows, targets, weights, everyone, row), rtol=0, atol=1e-6)


def test_no_row_is_told_its_own_target_or_one_of_its_fold():
    rows, fold = make_rows(), np.arange(40) % 5
    targets = np.random.default_rng(0).normal(size=(40, 1))
    _, ids, before = learn(rows, targets, fold)
    other = targets.copy()
    other[7] += 100
    _, _, after = learn(rows, other, fold)
    for row, (one, two) in enumerate(zip(by_row(ids, before), by_row(ids, after), strict=True)):
        if fold[row] == fold[7]:
            np.testing.assert_array_equal(one, two)
    assert any(not np.array_equal(one, two) for one, two in zip(by_row(ids, before), by_row(ids, after), strict=True))


def test_the_mean_of_a_fold_is_not_told():
    """Every row holds the same tokens, and the targets are those of its fold: each value is exactly 0."""
    fold = np.arange(40) % 5
    _, ids, training = learn([[2, 3]] * 40, fold[:, None].astype(float), fold)
    np.testing.assert_allclose(EncodedSequences(ids, training).step_features, 0, atol=1e-12)


def test_what_only_one_fold_holds_is_exactly_nothing_there():
    rows = [[2, 3] if row % 5 == 0 else [4, 3] for row in range(40)]
    targets = np.random.default_rng(0).normal(size=(40, 1)) * 0.1 + 0.3
    _, ids, training = learn(rows, targets, np.arange(40) % 5, n_orders=1)
    for row, found in enumerate(by_row(ids, training)):
        assert (found[0, 0] == 0) == (row % 5 == 0)


def test_one_fold_alone():
    _, ids, training = learn([[2, 3]] * 4, np.arange(4.0)[:, None], np.zeros(4, dtype=int))
    assert not EncodedSequences(ids, training).step_features.any()
