"""What the targets say of series: the scores of a ridge model; and that noise says nothing."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._label_features.folds import cross_fitting_folds
from seqclf._label_features.series_label_features import SeriesLabelFeatures
from seqclf._label_features.supervision import Supervision
from seqclf._native.threads import kernel_threads
from seqclf._tasks.classification import Classification


def random_series(lengths, seed=0, codes=None):
    """Noise of two channels, and where there are classes a wave as high as the number of the class."""
    rng = np.random.default_rng(seed)
    height = np.zeros(len(lengths)) if codes is None else codes
    items = [
        rng.normal(size=(n, 2)) + 3 * high * np.sin(np.arange(n) / 2)[:, None]
        for n, high in zip(lengths, height, strict=True)
    ]
    return Ragged.from_items([item.astype(np.float32) for item in items], dtype=np.float32)


def supervise(series, codes, groups=None, seed=0):
    task = Classification()
    codes = task.fit(codes, None)
    ones = np.ones(len(codes))
    task.fit_weights(codes, ones)
    fold = cross_fitting_folds(series, codes, groups, np.random.RandomState(seed))
    return task, Supervision(
        task.supervision_targets(codes), ones, ones, fold, lambda s: task.calibrate(s, codes, ones)
    )


def learn(series, codes, seed=0):
    features = SeriesLabelFeatures(seed)
    return features, features.fit_transform(EncodedSequences(series), supervise(series, codes)[1])


def of_lengths(shortest, longest, n, seed=0):
    return np.random.default_rng(seed).integers(shortest, longest, size=n)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_tell_classes_that_differ(n_classes):
    codes = np.arange(60) % n_classes
    series = random_series(of_lengths(15, 40, 60), codes=codes)
    features, training = learn(series, codes)
    new = features.transform(EncodedSequences(random_series(of_lengths(15, 40, 60, 1), 1, codes)))
    n_outputs = 1 if n_classes == 2 else n_classes
    for found in (training, new):
        assert found.scores.shape == (60, n_outputs) and found.scores.dtype == np.float32
        predicted = found.scores[:, 0] > 0 if n_outputs == 1 else found.scores.argmax(axis=1)
        assert (predicted == codes).mean() > 0.9
    assert training.steps is series and training.features is None
    assert len(features.scores.feature_names()) == len(features.scores.coef_)


@pytest.mark.parametrize("lengths", [(15, 40), (2, 7), (0, 60)], ids=["long", "short", "any"])
def test_rows_alone_have_the_bits_that_they_have_with_others(lengths):
    codes = np.arange(60) % 3
    features, _ = learn(random_series(of_lengths(*lengths, 60), codes=codes), codes)
    new = random_series([0, 1, 2, 9, 10, 100, *of_lengths(*lengths, 14, 1)], 1)
    together = features.transform(EncodedSequences(new)).scores
    assert np.isfinite(together).all() and len(np.unique(together[:, 0])) > 15
    for row in range(20):
        alone = features.transform(EncodedSequences(new.take([row]))).scores
        np.testing.assert_array_equal(alone[0], together[row])


@pytest.mark.parametrize("lengths", [[0] * 8, [1] * 8, [0, 3] * 4, [20] * 8], ids=["empty", "one step", "both", "long"])
def test_series_without_a_difference(lengths):
    """Constant, empty or of one step: all get the prior, whatever their class."""
    series = Ragged(np.ones((sum(lengths), 2), dtype=np.float32), np.array(lengths))
    codes = np.array([0, 0, 1, 1, 0, 0, 0, 0])
    features, training = learn(series, codes)
    new = features.transform(EncodedSequences(series))
    for scores in (training.scores, new.scores):
        assert np.isfinite(scores).all() and np.abs(scores).max() < 5
    np.testing.assert_array_equal(new.scores[0], new.scores[4])


def test_one_seed_one_model():
    codes = np.arange(40) % 2
    series = random_series(of_lengths(15, 40, 40), codes=codes)
    first, again, other = (learn(series, codes, seed)[1].scores for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_number_of_threads_changes_no_bit():
    codes = np.arange(40) % 3
    series = random_series(of_lengths(15, 40, 40), codes=codes)
    found = []
    for n in (1, 2, 5):
        with kernel_threads(n):
            features, training = learn(series, codes)
            found.append((training.scores, features.transform(EncodedSequences(series)).scores))
    for scores in found[1:]:
        np.testing.assert_array_equal(scores, found[0])


# Noise. The margins are four standard errors of what chance gives, or more.

CASES = {
    "30 rows": {"n": 30},
    "40 rows, unbalanced": {"n": 40, "shares": (0.8, 0.2)},
    "three classes": {"n": 90, "shares": (0.5, 0.3, 0.2)},
    "twelve classes": {"n": 120, "shares": (1 / 12,) * 12},
    "groups of one class": {"n": 60, "shares": (0.7, 0.3), "grouped": True},
    "equal rows": {"n": 60, "copies": 3},
}


def noise(rng, n, shares=(0.5, 0.5), grouped=False, copies=1):
    """Which row each row is a copy of, classes that have nothing to do with it, and groups of one class."""
    counts = np.round(np.array(shares) * n).astype(int)
    counts[0] += n - counts.sum()
    codes = np.repeat(np.arange(len(shares)), counts)
    rows = rng.integers(0, n // copies, size=n) if copies > 1 else np.arange(n)
    return rows, (codes if grouped else rng.permutation(codes)), (np.arange(n) // 5 if grouped else None)


@pytest.mark.parametrize("case", CASES)
def test_noise_says_nothing(case, monkeypatch):
    """Scores out of fold do not tell the labels: far below 0.5 they would tell the shares of the classes in folds.

    A little below they are by nature: without the rows of a fold the others are a little more of the other classes.
    And the log loss on new rows is that of the prior, but for what two numbers fitted to few rows may cost.
    """
    monkeypatch.setattr("seqclf._label_features.series_label_features.most_features", lambda n: 400)
    aucs, costs = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rows, codes, groups = noise(rng, **CASES[case])
        series = random_series(rng.integers(12, 30, len(codes)), seed).take(rows)
        task, supervision = supervise(series, codes, groups, seed)
        calibrate, raw = supervision.calibrate, []
        vars(supervision)["calibrate"] = lambda scores, c=calibrate, r=raw: (r.append(scores), c(scores))[1]
        features = SeriesLabelFeatures(seed)
        features.fit_transform(EncodedSequences(series), supervision)
        members = supervision.memberships.toarray()
        aucs += [np.mean([roc_auc_score(*pair) for pair in zip(members.T, raw[0].T, strict=True)])]
        new = features.transform(EncodedSequences(random_series(rng.integers(12, 30, 100), seed + 1000))).scores
        shares = np.bincount(codes) / len(codes)
        costs.append(-(task.log_probabilities(new.astype(np.float64)) @ shares).mean() + shares @ np.log(shares))
    margin = 4 * np.std(aucs) / np.sqrt(len(aucs))
    assert 0.5 - margin - 0.03 < np.mean(aucs) < 0.5 + margin
    assert margin < 0.12, "the test would see a leak"
    assert -1e-6 < np.mean(costs) < 4 / len(codes) and np.median(costs) < 2 / len(codes)
