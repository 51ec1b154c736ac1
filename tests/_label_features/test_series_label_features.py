"""`SeriesLabelFeatures`: scores separate classes, and carry no information on noise."""

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
    """Noise of two channels, plus a wave whose amplitude is the class, if there are classes."""
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


def fit_features(series, codes, seed=0):
    features = SeriesLabelFeatures(seed)
    return features, features.fit_transform(EncodedSequences(series), supervise(series, codes)[1])


def random_lengths(shortest, longest, n, seed=0):
    return np.random.default_rng(seed).integers(shortest, longest, size=n)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_predict_classes(n_classes):
    codes = np.arange(60) % n_classes
    series = random_series(random_lengths(15, 40, 60), codes=codes)
    features, training = fit_features(series, codes)
    new = features.transform(EncodedSequences(random_series(random_lengths(15, 40, 60, 1), 1, codes)))
    n_outputs = 1 if n_classes == 2 else n_classes
    for found in (training, new):
        assert found.scores.shape == (60, n_outputs) and found.scores.dtype == np.float32
        predicted = found.scores[:, 0] > 0 if n_outputs == 1 else found.scores.argmax(axis=1)
        assert (predicted == codes).mean() > 0.9
    assert training.steps is series and training.features is None
    assert len(features.scores.feature_names()) == len(features.scores.coef_)


@pytest.mark.parametrize("lengths", [(15, 40), (2, 7), (0, 60)], ids=["long", "short", "any"])
def test_scores_of_a_row_do_not_depend_on_other_rows(lengths):
    codes = np.arange(60) % 3
    features, _ = fit_features(random_series(random_lengths(*lengths, 60), codes=codes), codes)
    new = random_series([0, 1, 2, 9, 10, 100, *random_lengths(*lengths, 14, 1)], 1)
    expected = features.transform(EncodedSequences(new)).scores
    assert np.isfinite(expected).all() and len(np.unique(expected[:, 0])) > 15
    for row in range(20):
        found = features.transform(EncodedSequences(new.take([row]))).scores
        np.testing.assert_array_equal(found[0], expected[row])


@pytest.mark.parametrize("lengths", [[0] * 8, [1] * 8, [0, 3] * 4, [20] * 8], ids=["empty", "one step", "both", "long"])
def test_scores_of_constant_series_are_the_prior(lengths):
    """Constant, empty or single-step series get the same scores for any class."""
    series = Ragged(np.ones((sum(lengths), 2), dtype=np.float32), np.array(lengths))
    codes = np.array([0, 0, 1, 1, 0, 0, 0, 0])
    features, training = fit_features(series, codes)
    new = features.transform(EncodedSequences(series))
    for scores in (training.scores, new.scores):
        assert np.isfinite(scores).all() and np.abs(scores).max() < 5
    np.testing.assert_array_equal(new.scores[0], new.scores[4])


def test_seed_determines_the_scores():
    codes = np.arange(40) % 2
    series = random_series(random_lengths(15, 40, 40), codes=codes)
    first, again, other = (fit_features(series, codes, seed)[1].scores for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_scores_do_not_depend_on_the_number_of_threads():
    codes = np.arange(40) % 3
    series = random_series(random_lengths(15, 40, 40), codes=codes)
    found = []
    for n in (1, 2, 5):
        with kernel_threads(n):
            features, training = fit_features(series, codes)
            found.append((training.scores, features.transform(EncodedSequences(series)).scores))
    for scores in found[1:]:
        np.testing.assert_array_equal(scores, found[0])


# Noise. The margins are at least four standard errors of chance.

CASES = {
    "30 rows": {"n": 30},
    "40 rows, unbalanced": {"n": 40, "frequencies": (0.8, 0.2)},
    "three classes": {"n": 90, "frequencies": (0.5, 0.3, 0.2)},
    "twelve classes": {"n": 120, "frequencies": (1 / 12,) * 12},
    "groups of one class": {"n": 60, "frequencies": (0.7, 0.3), "grouped": True},
    "equal rows": {"n": 60, "copies": 3},
}
SLOW = {"40 rows, unbalanced", "three classes", "twelve classes"}


def noise(rng, n, frequencies=(0.5, 0.5), grouped=False, copies=1):
    """The original of each row, classes that are independent of it, and groups of one class."""
    counts = np.round(np.array(frequencies) * n).astype(int)
    counts[0] += n - counts.sum()
    codes = np.repeat(np.arange(len(frequencies)), counts)
    rows = rng.integers(0, n // copies, size=n) if copies > 1 else np.arange(n)
    return rows, (codes if grouped else rng.permutation(codes)), (np.arange(n) // 5 if grouped else None)


@pytest.mark.parametrize("case", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in CASES])
def test_scores_of_noise_carry_no_information(case, monkeypatch):
    """The AUC of out-of-fold scores is about 0.5, and the log loss on new rows is about that of the prior.

    An AUC far below 0.5 would reveal the class frequencies of the folds. It is slightly below 0.5 by nature: without
    the rows of a fold, the other classes are slightly more frequent. The two parameters of the calibration, fitted to
    few rows, add a little to the log loss.
    """
    monkeypatch.setattr("seqclf._label_features.series_label_features.max_features_for", lambda n: 400)
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
        prior = np.bincount(codes) / len(codes)
        costs.append(-(task.log_probabilities(new.astype(np.float64)) @ prior).mean() + prior @ np.log(prior))
    margin = 4 * np.std(aucs) / np.sqrt(len(aucs))
    assert 0.5 - margin - 0.03 < np.mean(aucs) < 0.5 + margin
    assert margin < 0.12, "the test would detect a leak"
    assert -1e-6 < np.mean(costs) < 4 / len(codes) and np.median(costs) < 2 / len(codes)
