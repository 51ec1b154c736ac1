"""The parameter `wide` of both classifiers: which rows the linear model uses, copies and warm starts.

The tests of `_label_features/` test its values.
"""

import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import log_loss, roc_auc_score

import _factories
from _sampling import sampled
from seqclf import RNNClassifier, RNNTextClassifier, TextTokenizer, _fit

SMALL = {"units": 3, "max_epochs": 2, "batch_size": 16, "patience": None, "random_state": 0, "n_threads": 1}
WORDS = [f"{first}{last}" for first in ("am", "bri", "ced", "del", "em", "fli") for last in ("ber", "ck", "ar", "ta")]


def make_texts(n=60, n_classes=2, seed=0):
    return _factories.make_texts(WORDS, n, n_classes, seed, words_per_class=3, min_length=2)


def make_tokens(*args, **kwargs):
    texts, codes = make_texts(*args, **kwargs)
    return [text.split() for text in texts], codes


def make_ids(*args, **kwargs):
    texts, codes = make_texts(*args, **kwargs)
    return [[2 + WORDS.index(word) for word in text.split()] for text in texts], codes


def make_series(n=60, n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % n_classes
    rows = [rng.normal(size=length) for length in rng.integers(12, 30, size=n)]
    return [row + code * np.sin(np.arange(len(row)) / 2) for row, code in zip(rows, codes, strict=True)], codes


KINDS = {
    "texts": (RNNTextClassifier, make_texts),
    "tokens": (RNNTextClassifier, make_tokens),
    "ids": (RNNTextClassifier, make_ids),
    "series": (RNNClassifier, make_series),
}


def functions_of(kind):
    """Functions that create classifiers and data."""
    cls, make_data = KINDS[kind]
    return (lambda **changes: cls(**(SMALL | changes))), make_data


@pytest.fixture(params=KINDS)
def case(request):
    return functions_of(request.param)


# --- effect


def test_wide_is_true_by_default_and_sets_wide_attribute(case):
    make, data = case
    X, y = data()
    fitted, plain = make().fit(X, y), make(wide=False).fit(X, y)
    assert make().wide is True and fitted.network_.config.scores and not plain.network_.config.scores
    assert fitted.n_parameters_ == plain.n_parameters_ + 1
    assert len(fitted.wide_.feature_names()) == len(fitted.wide_.coef_)
    for other in (plain, make()):
        assert not hasattr(other, "wide_")
        with pytest.raises(
            AttributeError, match="has no wide_: it is not fitted, or was fitted without a linear model"
        ):
            _ = other.wide_


def test_untrained_network_with_wide_has_the_class_scores_as_logits(case):
    """Up to the contribution of the initial weights of the head."""
    make, data = case
    X, y = data(n_classes=3)
    fitted = make(max_epochs=1, learning_rate=1e-12).fit(X, y)
    sequences = fitted._add_label_features(fitted._encode(fitted._validate_X(X, reset=False)))
    states = fitted.network_.head.weight.detach().numpy()
    rest = fitted.decision_function(X) - sequences.scores
    assert np.abs(rest).max() <= np.abs(states).sum(axis=1).max() + 1e-5
    assert sequences.scores.std() > 0.3


def test_wide_improves_accuracy_with_few_rows(case):
    make, data = case
    X, y = data(400)
    wide, plain = (make(wide=wide).fit(X[:100], y[:100]).score(X[100:], y[100:]) for wide in (True, False))
    assert wide > 0.7 and wide > plain - 0.02


def test_wide_uses_characters_of_unknown_words():
    X, y = make_texts()
    fitted = RNNTextClassifier(**SMALL).fit(X, y)
    known, other, strange = fitted.decision_function(["ambers ambery", "cedarly cedarar", "zzz qqq"])
    assert len({known, other, strange}) == 3
    for_ids = RNNTextClassifier(**SMALL).fit(*make_ids())
    np.testing.assert_array_equal(*for_ids.decision_function([[900, 901], [902, 903]]))


def test_predictions_with_wide_do_not_depend_on_other_rows(case):
    make, data = case
    X, y = data(n_classes=3)
    fitted = make().fit(X, y)
    new = [*data(20, seed=1)[0], *(["never seen amb ers", ""] if data is make_texts else [])]
    expected = fitted.decision_function(new)
    for row, logits in zip(new, expected, strict=True):
        np.testing.assert_array_equal(fitted.decision_function([row])[0], logits)
    np.testing.assert_array_equal(fitted.decision_function(new[::-1]), expected[::-1])


def test_wide_does_not_depend_on_n_threads(case, unchanged_global_state):
    make, data = case
    X, y = data(n_classes=3)
    one, two = (make(n_threads=n, max_epochs=1).fit(X, y) for n in (1, 2))
    np.testing.assert_array_equal(one.wide_.coef_, two.wide_.coef_)
    assert one.wide_.calibration_.slope == two.wide_.calibration_.slope


# --- rows


def test_wide_with_sample_weight_of_zero_equals_removal(case):
    make, data = case
    X, y = data(n_classes=3)
    weights = (np.arange(60) % 4 > 0).astype(float)
    kept = np.flatnonzero(weights)
    zeroed = make().fit(X, y, sample_weight=weights)
    removed = make().fit([X[row] for row in kept], y[kept])
    np.testing.assert_array_equal(zeroed.wide_.coef_, removed.wide_.coef_)
    np.testing.assert_array_equal(zeroed.decision_function(X), removed.decision_function(X))


def test_wide_uses_class_weight_balanced(case):
    make, data = case
    X, y = data()
    y = (np.arange(60) % 5 == 0).astype(int)
    balanced = make(class_weight="balanced").fit(X, y)
    by_hand = make(class_weight={0: 60 / (2 * 48), 1: 60 / (2 * 12)}).fit(X, y)
    np.testing.assert_array_equal(balanced.wide_.coef_, by_hand.wide_.coef_)
    assert not np.array_equal(balanced.wide_.coef_, make().fit(X, y).wide_.coef_)


def test_scores_of_a_class_with_one_row_are_its_frequency(case):
    """Models that are fitted without its fold have never seen the class."""
    make, data = case
    X, y = data(61)
    y[60] = 2
    fitted = make().fit(X, y)
    sequences = fitted._add_label_features(fitted._encode(fitted._validate_X(X, reset=False)))
    probabilities = fitted._task.probabilities(sequences.scores.astype(np.float64))
    np.testing.assert_allclose(probabilities[:, 2], 1 / 61, rtol=1e-4)
    assert fitted.predict_proba(X).shape == (61, 3)


def test_labels_of_held_out_rows_do_not_affect_wide(case, monkeypatch, training_data):
    """Held-out rows get the same scores as new rows."""
    make, data = case
    X, y = data()
    held_out = np.array([1, 2, 5, 8, 17, 30, 33, 39])
    monkeypatch.setattr(_fit, "validation_rows", lambda *_: held_out)
    fitted = make(patience=1).fit(X, y)
    scores = training_data[1].sequences.scores
    other = y.copy()
    other[held_out] = 1 - other[held_out]
    again = make(patience=1).fit(X, other)
    np.testing.assert_array_equal(fitted.wide_.coef_, again.wide_.coef_)
    np.testing.assert_array_equal(scores, training_data[1].sequences.scores)
    rows = fitted._validate_X([X[row] for row in held_out], reset=False)
    np.testing.assert_array_equal(fitted._add_label_features(fitted._encode(rows)).scores, scores)


def test_x_val_does_not_affect_wide(case, training_data):
    make, data = case
    X, y = data()
    X_val, y_val = data(20, seed=1)
    plain = make().fit(X, y)
    fitted = make(patience=1).fit(X, y, X_val=X_val, y_val=1 - y_val)
    np.testing.assert_array_equal(fitted.wide_.coef_, plain.wide_.coef_)
    rows = fitted._validate_X(X_val, reset=False)
    expected = fitted._add_label_features(fitted._encode(rows)).scores
    np.testing.assert_array_equal(training_data[1].sequences.scores, expected)


# --- random labels


@sampled(
    {
        "kind": list(KINDS),
        "class_fractions": [(0.5, 0.5), (0.8, 0.2), (0.4, 0.3, 0.3)],
        "with_groups": {"rows": False, "groups": True},
    }
)
def test_random_labels_are_not_predictable_from_scores(kind, class_fractions, with_groups, training_data):
    """Neither the scores of the training rows nor the trained network predict the labels of their rows."""
    make, data = functions_of(kind)
    aucs, hits, costs = [], [], []
    for seed in range(10):
        X = data(280, n_classes=1, seed=seed)[0]
        rng = np.random.default_rng(seed)
        y = rng.choice(len(class_fractions), size=80, p=class_fractions)
        groups = None
        if with_groups:  # each group has one class
            y, groups = np.sort(y), np.arange(80) // 5
        fitted = make(max_epochs=1, random_state=seed).fit(X[:80], y, groups=groups)
        scores = training_data[0].sequences.scores
        members = np.eye(len(class_fractions))[y][:, -scores.shape[1] :]
        aucs += [roc_auc_score(*columns) for columns in zip(members.T, scores.T, strict=True)]
        y_new = rng.choice(len(class_fractions), size=200, p=class_fractions)
        hits.append(fitted.score(X[80:], y_new) - max(np.mean(y_new == code) for code in range(len(class_fractions))))
        prior = np.bincount(y, minlength=len(class_fractions)) / 80
        costs.append(log_loss(y_new, fitted.predict_proba(X[80:])) - log_loss(y_new, np.tile(prior, (200, 1))))
    # Slightly above 0.5: scores that contradict the labels are calibrated to a slope of 0.
    assert 0.45 < np.mean(aucs) < 0.6
    # Few groups determine the class frequencies less precisely.
    assert np.mean(hits) < 0.06 and -0.03 < np.median(costs) < (0.16 if with_groups else 0.08)


# --- copies and warm starts


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_copies_with_wide_have_bitwise_equal_outputs(case, tmp_path, mmap_mode):
    make, data = case
    X, y = data(n_classes=3)
    fitted = make().fit(X, y)
    new = data(20, seed=1)[0]
    expected = fitted.decision_function(new)
    joblib.dump(fitted, tmp_path / "model.joblib")
    for copied in (pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "model.joblib", mmap_mode=mmap_mode)):
        np.testing.assert_array_equal(copied.decision_function(new), expected)
        np.testing.assert_array_equal(copied.wide_.coef_, fitted.wide_.coef_)
        assert copied.wide_.feature_names() == fitted.wide_.feature_names()
    cloned = clone(fitted)
    assert cloned.wide is True and not hasattr(cloned, "wide_")
    np.testing.assert_array_equal(cloned.fit(X, y).decision_function(new), expected)


def test_refit_with_or_without_wide_equals_a_first_fit(case):
    make, data = case
    X, y = data()
    refitted = make().fit(*data(n_classes=3)).set_params(wide=False).fit(X, y)
    assert not hasattr(refitted, "wide_")
    np.testing.assert_array_equal(refitted.decision_function(X), make(wide=False).fit(X, y).decision_function(X))
    np.testing.assert_array_equal(
        refitted.set_params(wide=True).fit(X, y).decision_function(X), make().fit(X, y).decision_function(X)
    )


def test_warm_start_keeps_wide_and_cross_fits_again(case, training_data):
    """The rows of the second fit can be those of the first, so they get scores of models fitted without their fold."""
    make, data = case
    X, y = data()
    classifier = make(warm_start=True).fit(X, y)
    first_scores, wide = training_data[0].sequences.scores, classifier.wide_
    before = pickle.dumps(wide)
    classifier.fit(X, y)
    assert classifier.wide_ is wide and pickle.dumps(wide) == before
    again = training_data[0].sequences.scores
    rows = classifier._validate_X(X, reset=False)
    known = classifier._add_label_features(classifier._encode(rows)).scores
    assert again.shape == first_scores.shape and not np.array_equal(again, known)
    assert ((known[:, 0] > 0) == y).mean() >= ((again[:, 0] > 0) == y).mean()
    copied = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(copied.decision_function(X), classifier.decision_function(X))


@pytest.mark.parametrize("before", [True, False])
def test_warm_start_with_another_wide_is_an_error_and_changes_nothing(case, before):
    make, data = case
    X, y = data()
    classifier = make(warm_start=True, wide=before).fit(X, y)
    logits = classifier.decision_function(X)
    with pytest.raises(
        ValueError, match=f"With warm_start=True and in partial_fit, wide must stay {before} as in the first fit"
    ):
        classifier.set_params(wide=not before).fit(X, y)
    np.testing.assert_array_equal(classifier.decision_function(X), logits)
    classifier.set_params(warm_start=False).fit(X, y)
    np.testing.assert_array_equal(classifier.decision_function(X), make(wide=not before).fit(X, y).decision_function(X))


@pytest.mark.parametrize("level", ["char", "subword"])
def test_wide_with_characters_and_subwords(level):
    X, y = make_texts()
    tokenizer = TextTokenizer(level=level, vocab_size=300)
    fitted = RNNTextClassifier(tokenizer, **SMALL).fit(X, y)
    names = fitted.wide_.feature_names()
    assert fitted.wide_.features.characters_ is None
    if level == "char":
        assert max(map(len, names)) == 5 and set("".join(names)) == set("".join(X))
    else:
        assert max(len(name.split(" ")) for name in names) == 2 and any("am" in name for name in names)
    new = [*make_texts(10, seed=1)[0], "é never", ""]
    for text, logits in zip(new, fitted.decision_function(new), strict=True):
        np.testing.assert_array_equal(fitted.decision_function([text])[0], logits)
