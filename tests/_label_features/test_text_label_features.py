"""`TextLabelFeatures`: step features and scores, no leak, and no information on noise."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from seqclf._data.encoded import EncodedSequences, Spelling
from seqclf._data.ragged import Ragged
from seqclf._label_features.folds import cross_fitting_folds
from seqclf._label_features.supervision import Supervision
from seqclf._label_features.text_label_features import TextLabelFeatures
from seqclf._label_features.token_features import TokenNames
from seqclf._tasks.classification import Classification
from seqclf._tasks.multilabel import Multilabel

VOCAB = 60


def random_rows(n, seed=0, longest=15):
    rng = np.random.default_rng(seed)
    rows = [rng.integers(2, VOCAB, size=rng.integers(0, longest)).astype(np.int32) for _ in range(n)]
    return Ragged.from_items(rows, dtype=np.int32)


def supervise(ids, codes, groups=None, seed=0, fold=None):
    task = Classification()
    codes = task.fit(codes, None)
    ones = np.ones(len(codes))
    task.fit_weights(codes, ones)
    if fold is None:
        fold = cross_fitting_folds(ids, codes, groups, np.random.RandomState(seed))
    return task, Supervision(
        task.supervision_targets(codes), ones, ones, fold, lambda s: task.calibrate(s, codes, ones)
    )


def fit_features(ids, codes, nb_ngrams=2, wide_ngrams=2, tokens=None, **changes):
    features = TextLabelFeatures(nb_ngrams, wide_ngrams, VOCAB, tokens and TokenNames(tokens, " "))
    spelling = None if tokens is None else Spelling(ids.values, [], VOCAB)
    return features, features.fit_transform(
        EncodedSequences(ids, spelling=spelling), supervise(ids, codes, **changes)[1]
    )


@pytest.mark.parametrize("n_classes", [2, 3, 10, 11])
@pytest.mark.parametrize(("nb_ngrams", "wide_ngrams"), [(0, 2), (2, 0), (1, 2), (3, 1)])
def test_nb_ngrams_and_wide_ngrams_are_independent(nb_ngrams, wide_ngrams, n_classes):
    """Neither changes the other's features of single tokens."""
    ids, codes = random_rows(66), np.arange(66) % n_classes
    features, training = fit_features(ids, codes, nb_ngrams, wide_ngrams)
    n_outputs = 1 if n_classes == 2 else n_classes
    new = features.transform(EncodedSequences(random_rows(9, seed=1)))
    both, both_training = fit_features(ids, codes, 3, 2)
    both_new = both.transform(EncodedSequences(random_rows(9, seed=1)))
    has_ratios = nb_ngrams > 0 and n_classes < 11
    assert (features.of_ngrams is not None) == has_ratios and (features.scores is not None) == (wide_ngrams > 0)
    for found, expected in ((training, both_training), (new, both_new)):
        assert (found.features is not None) == has_ratios and (found.scores is not None) == (wide_ngrams > 0)
        if has_ratios:
            assert found.step_features.shape[1] == nb_ngrams * n_outputs
            token_ratios = found.step_features[:, :n_outputs]
            np.testing.assert_allclose(token_ratios, expected.step_features[:, :n_outputs], atol=1e-6)
        if wide_ngrams:
            assert found.scores.shape == (len(found), n_outputs) and found.scores.dtype == np.float32
        if wide_ngrams == 2:
            np.testing.assert_array_equal(found.scores, expected.scores)
        assert found.spelling is None


@pytest.mark.parametrize(("n_labels", "has_ratios"), [(2, True), (11, True), (32, True), (33, False)])
def test_limit_of_outputs_with_ratios_is_larger_for_labels(n_labels, has_ratios):
    ids, task = random_rows(60), Multilabel()
    targets = task.fit(np.random.default_rng(0).integers(0, 2, size=(60, n_labels)), None)
    ones, fold = np.ones(60), np.arange(60) % 5
    supervision = Supervision(
        task.supervision_targets(targets), ones, ones, fold, lambda s: task.calibrate(s, targets, ones), exclusive=False
    )
    features = TextLabelFeatures(2, 1, VOCAB, None)
    training = features.fit_transform(EncodedSequences(ids), supervision)
    assert (training.features is not None) == has_ratios
    assert features.n_step_features == (2 * n_labels if has_ratios else 0)
    assert training.scores.shape == (60, n_labels)


def test_scores_of_a_row_do_not_depend_on_other_rows():
    tokens = ["", "", *(f"w{i:02}" for i in range(2, VOCAB))]
    ids, codes = random_rows(60), np.arange(60) % 3
    features, _ = fit_features(ids, codes, tokens=tokens)
    new = random_rows(20, seed=1)
    expected = features.transform(EncodedSequences(new, spelling=Spelling(new.values, [], VOCAB)))
    for row in range(20):
        single = new.take([row])
        found = features.transform(EncodedSequences(single, spelling=Spelling(single.values, [], VOCAB)))
        np.testing.assert_array_equal(found.scores[0], expected.scores[row])


def test_memory_limits_are_divided_by_the_number_of_outputs(tune):
    tune(max_ratios=90, max_linear_weights=60)
    features, _ = fit_features(random_rows(90), np.arange(90) % 3)
    assert [table.shape[1] for table in features.of_ngrams.tables_] == [31, 31]
    assert features.scores.coef_.shape == (20, 3)


def test_ratios_of_a_fold_do_not_depend_on_its_labels():
    ids, codes = random_rows(60), np.arange(60) % 2
    fold = np.random.default_rng(0).integers(0, 5, size=60)
    features, before = fit_features(ids, codes, fold=fold)
    slope = features.scores.calibration_.slope
    assert slope > 0
    flipped = 7
    other = codes.copy()
    other[flipped] = 1 - other[flipped]
    _, after = fit_features(ids, other, fold=fold)
    in_fold = np.repeat(fold == fold[flipped], ids.lengths)
    np.testing.assert_array_equal(after.step_features[in_fold], before.step_features[in_fold])
    assert not np.array_equal(after.step_features[~in_fold], before.step_features[~in_fold])


# Noise. The margins are at least four standard errors of chance.

CASES = {
    "30 rows": {"n": 30},
    "40 rows, unbalanced": {"n": 40, "frequencies": (0.8, 0.2)},
    "200 rows": {"n": 200},
    "200 rows, unbalanced": {"n": 200, "frequencies": (0.9, 0.1)},
    "three classes": {"n": 90, "frequencies": (0.5, 0.3, 0.2)},
    "twelve classes": {"n": 120, "frequencies": (1 / 12,) * 12},
    "groups of one class": {"n": 60, "groups": "one class"},
    "groups of one class, unbalanced": {"n": 60, "frequencies": (0.7, 0.3), "groups": "one class"},
    "groups with unequal class frequencies": {"n": 100, "groups": "unequal"},
    "equal rows": {"n": 60, "copies": 3},
}
SLOW = {"200 rows", "200 rows, unbalanced", "twelve classes", "groups of one class, unbalanced"}


def noise(rng, n, frequencies=(0.5, 0.5), groups=None, copies=1):
    """The original of each row, classes that are independent of it, and groups."""
    counts = np.round(np.array(frequencies) * n).astype(int)
    counts[0] += n - counts.sum()
    codes = rng.permutation(np.repeat(np.arange(len(frequencies)), counts))
    group_codes = None
    if groups == "one class":
        codes = np.sort(codes)
        group_codes = np.arange(n) // 5
    elif groups == "unequal":
        group_codes = np.arange(n) % 10
        codes = (rng.random(n) < rng.beta(0.7, 0.7, size=10)[group_codes]).astype(int)
        codes[:10], codes[10:20] = 0, 1
    rows = rng.integers(0, n // copies, size=n) if copies > 1 else np.arange(n)
    return rows, codes, group_codes


@pytest.mark.parametrize("case", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in CASES])
def test_scores_of_noise_carry_no_information(case):
    """The AUC of out-of-fold scores is about 0.5, and the log loss on new rows is about that of the prior.

    An AUC below 0.5 would reveal the class frequencies of the folds. The two parameters of the calibration, fitted to
    few rows, add a little to the log loss.
    """
    aucs, costs = [], []
    for seed in range(30):
        rows, codes, groups = noise(np.random.default_rng(seed), **CASES[case])
        ids = random_rows(len(codes), seed).take(rows)
        task, supervision = supervise(ids, codes, groups, seed)
        calibrate, raw = supervision.calibrate, []
        vars(supervision)["calibrate"] = lambda scores, c=calibrate, r=raw: (r.append(scores), c(scores))[1]
        features = TextLabelFeatures(0, 2, VOCAB, None)
        features.fit_transform(EncodedSequences(ids), supervision)
        members = supervision.memberships.toarray()
        aucs += [np.mean([roc_auc_score(*pair) for pair in zip(members.T, raw[1].T, strict=True)])]
        new = features.transform(EncodedSequences(random_rows(200, seed + 1000))).scores
        prior = np.bincount(codes) / len(codes)
        costs.append(-(task.log_probabilities(new.astype(np.float64)) @ prior).mean() + prior @ np.log(prior))
    margin = 4 * np.std(aucs) / np.sqrt(len(aucs))
    assert 0.5 - margin < np.mean(aucs) < 0.5 + margin + 0.02
    assert margin < 0.12, "the test would detect a leak"
    assert -1e-6 < np.mean(costs) < 4 / len(codes) and np.median(costs) < 2 / len(codes)
