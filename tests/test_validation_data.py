"""Validation data: `X_val`, `y_val`, `sample_weight_val`, and `groups`, which the validation split keeps together."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss

from seqclf import RNNClassifier, RNNTextClassifier, SequencePadder, TextTokenizer
from seqclf.datasets import make_order_reviews, make_order_series

SMALL = {"units": 4, "max_epochs": 4, "batch_size": 8, "learning_rate": 0.02, "schedule": "constant", "random_state": 0}


text_classifier = partial(RNNTextClassifier, **SMALL, embedding_dim=4, nb_ngrams=2)
series_classifier = partial(RNNClassifier, **SMALL)


REVIEWS = make_order_reviews(40, random_state=0, return_X_y=False)
TEXTS, Y = REVIEWS.data, np.array(["blame", "praise"])[REVIEWS.target]
TEXTS_VAL, TARGET_VAL = make_order_reviews(22, random_state=1)
Y_VAL = np.array(["blame", "praise"])[TARGET_VAL]
SERIES, SERIES_Y = make_order_series(40, n_steps=(8, 14), random_state=0)
SERIES_VAL, SERIES_Y_VAL = make_order_series(22, n_steps=(8, 14), random_state=1)


def ids(texts):
    return TextTokenizer().fit(TEXTS).transform(texts)


def table(rows):
    return np.array([row[:8, 0] for row in rows])


def channels(rows):
    return [np.column_stack([row, row[::-1]]) for row in rows]


def padded(rows):
    return SequencePadder(max_length=14).fit_transform(rows)


KINDS = {
    "texts": (text_classifier, list),
    "tokens": (text_classifier, lambda texts: [text.split() for text in texts]),
    "ragged ids": (text_classifier, ids),
    "padded ids": (text_classifier, lambda texts: SequencePadder(max_length=12).fit_transform(ids(texts))),
    "ragged series": (series_classifier, list),
    "ragged channels": (series_classifier, channels),
    "3-D": (series_classifier, padded),
    "table": (series_classifier, table),
    "frame": (series_classifier, lambda rows: pd.DataFrame(table(rows), columns=list("abcdefgh"))),
}


@pytest.fixture(params=KINDS)
def case(request):
    """A classifier's constructor, X, y, X_val and y_val."""
    make, convert = KINDS[request.param]
    if make is text_classifier:
        return make, convert(TEXTS), Y, convert(TEXTS_VAL), Y_VAL
    return make, convert(SERIES), SERIES_Y, convert(SERIES_VAL), SERIES_Y_VAL


def flipped(y):
    classes = np.unique(y)
    return classes[1 - np.searchsorted(classes, y)]


def without_seconds(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


# --- early stopping with X_val


def test_y_val_determines_the_best_epoch(case, unchanged_global_state):
    """The weights equal those of a fit to all rows with as many epochs, bitwise."""
    make, X, y, X_val, _ = case
    validating = {"patience": 8, "max_epochs": 8, "tol": 0.0}
    right = make(**validating).fit(X, y, X_val=X, y_val=y)
    wrong = make(**validating).fit(X, y, X_val=X, y_val=flipped(y))
    assert wrong.best_epoch_ < right.best_epoch_
    for fitted in (right, wrong):
        losses = [row["valid_loss"] for row in fitted.history_]
        assert fitted.best_epoch_ == 1 + int(np.argmin(losses))
        plain = make(patience=None, max_epochs=fitted.best_epoch_).fit(X, y)
        np.testing.assert_array_equal(fitted.decision_function(X_val), plain.decision_function(X_val))


def test_patience_counts_epochs_of_x_val():
    fitted = series_classifier(patience=2, max_epochs=20).fit(SERIES, SERIES_Y, X_val=SERIES, y_val=flipped(SERIES_Y))
    assert fitted.n_iter_ == fitted.best_epoch_ + 2 < 20


def test_with_x_val_all_rows_train_and_validation_fraction_is_not_used(case):
    make, X, y, X_val, y_val = case
    one, other = (
        make(patience=3, validation_fraction=fraction).fit(X, y, X_val=X_val, y_val=y_val) for fraction in (0.1, 0.6)
    )
    np.testing.assert_array_equal(one.decision_function(X_val), other.decision_function(X_val))
    steps = "tokens" if make is text_classifier else "steps"
    all_rows = make(patience=None).fit(X, y).history_[0][steps]
    assert [row[steps] for row in one.history_] == [all_rows] * one.n_iter_


def test_x_val_without_patience_is_scored_and_changes_no_weight(case, unchanged_global_state):
    """The validation fields of the last epoch are those of the final model."""
    make, X, y, X_val, y_val = case
    fitted = make(patience=None).fit(X, y, X_val=X_val, y_val=y_val)
    plain = make(patience=None).fit(X, y)
    np.testing.assert_array_equal(fitted.decision_function(X_val), plain.decision_function(X_val))
    assert fitted.n_iter_ == fitted.best_epoch_ == 4
    assert ["valid_loss" in row and "valid_score" in row for row in fitted.history_] == [True] * 4
    last = fitted.history_[-1]
    # A loss of almost 0 is a difference of float32 numbers, hence `abs`.
    assert last["valid_loss"] == pytest.approx(log_loss(y_val, fitted.predict_proba(X_val)), rel=1e-5, abs=1e-7)
    assert last["valid_score"] == pytest.approx(fitted.score(X_val, y_val), rel=1e-12)


def test_valid_loss_uses_sample_weight_val_and_class_weight():
    weights = np.random.default_rng(0).uniform(0.1, 5, size=len(SERIES_VAL))
    class_weight = {0: 1.0, 1: 7.0}
    fitted = series_classifier(patience=None, class_weight=class_weight, wide=False).fit(
        SERIES, SERIES_Y, X_val=SERIES_VAL, y_val=SERIES_Y_VAL, sample_weight_val=weights
    )
    in_loss = weights * np.array([1.0, 7.0])[SERIES_Y_VAL]
    expected = log_loss(SERIES_Y_VAL, fitted.predict_proba(SERIES_VAL), sample_weight=in_loss)
    assert fitted.history_[-1]["valid_loss"] == pytest.approx(expected, rel=1e-5)
    score = accuracy_score(SERIES_Y_VAL, fitted.predict(SERIES_VAL), sample_weight=weights)
    assert fitted.history_[-1]["valid_score"] == pytest.approx(score, rel=1e-5)


def test_class_weight_balanced_does_not_use_y_val():
    y = np.repeat([0, 1], [30, 10])
    fitted = series_classifier(patience=None, class_weight="balanced").fit(
        SERIES, y, X_val=SERIES_VAL, y_val=SERIES_Y_VAL
    )
    in_loss = np.array([40 / 60, 40 / 20])[SERIES_Y_VAL]
    expected = log_loss(SERIES_Y_VAL, fitted.predict_proba(SERIES_VAL), sample_weight=in_loss)
    assert fitted.history_[-1]["valid_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-320, 1e300])
def test_sample_weight_val_of_zero_equals_removal(case, scale):
    """A removed row can have a label that is not in y. The scale of the weights has no effect."""
    make, X, y, X_val, y_val = case
    weights = np.full(22, scale)
    weights[[0, 5, 21]] = 0
    kept = np.flatnonzero(weights)
    labels = y_val.astype(object)
    labels[5] = "neither" if make is text_classifier else 77
    labels = labels.astype(str) if make is text_classifier else labels.astype(int)
    rows = X_val.iloc[kept] if hasattr(X_val, "iloc") else [X_val[row] for row in kept]
    rows = np.array(rows) if isinstance(X_val, np.ndarray) and X_val.ndim > 1 else rows
    weighted = make(patience=2).fit(X, y, X_val=X_val, y_val=labels, sample_weight_val=weights)
    removed = make(patience=2).fit(X, y, X_val=rows, y_val=y_val[kept])
    for one, other in zip(weighted.history_, removed.history_, strict=True):
        assert one["valid_loss"] == pytest.approx(other["valid_loss"], rel=1e-5)
        assert one["valid_score"] == pytest.approx(other["valid_score"], rel=1e-5)


def test_y_val_can_have_one_class():
    fitted = text_classifier(patience=2).fit(TEXTS, Y, X_val=TEXTS_VAL[:3], y_val=["praise"] * 3)
    assert fitted.history_[0]["valid_score"] in (0, pytest.approx(1 / 3), pytest.approx(2 / 3), 1)


# --- encoders do not use X_val


def test_vocabulary_does_not_use_x_val():
    strange = [f"{text} zyzzyva" for text in TEXTS_VAL]
    fitted = text_classifier(patience=None).fit(TEXTS, Y, X_val=strange, y_val=Y_VAL)
    assert fitted.tokenizer_.tokens_ == TextTokenizer().fit(TEXTS).tokens_
    assert "zyzzyva" not in fitted.tokenizer_.tokens_
    assert fitted.history_[-1]["valid_loss"] == pytest.approx(log_loss(Y_VAL, fitted.predict_proba(strange)), rel=1e-5)


def test_ids_of_x_val_do_not_change_vocab_size():
    X, X_val = ids(TEXTS), [[*row, 70_000] for row in ids(TEXTS_VAL)]
    fitted = text_classifier(patience=None).fit(X, Y, X_val=X_val, y_val=Y_VAL)
    assert fitted.vocab_size_ == max(map(max, X)) + 1
    assert fitted.history_[-1]["valid_loss"] == pytest.approx(log_loss(Y_VAL, fitted.predict_proba(X_val)), rel=1e-5)


def test_scaling_does_not_use_x_val():
    far = [1 + row for row in SERIES_VAL]
    fitted = series_classifier(patience=None).fit(SERIES, SERIES_Y, X_val=far, y_val=SERIES_Y_VAL)
    plain = series_classifier(patience=None).fit(SERIES, SERIES_Y)
    assert fitted.channel_mean_ == plain.channel_mean_ and fitted.channel_scale_ == plain.channel_scale_
    expected = log_loss(SERIES_Y_VAL, fitted.predict_proba(far))
    assert fitted.history_[-1]["valid_loss"] == pytest.approx(expected, rel=1e-5)


def test_warm_start_encodes_x_val_with_the_first_vocabulary(case):
    make, X, y, X_val, y_val = case
    validating = make(warm_start=True, patience=3, tol=0.0).fit(X, y, X_val=X, y_val=flipped(y))
    before = validating.decision_function(X)
    further = validating.fit(X, y, X_val=X_val, y_val=y_val)
    losses = [row["valid_loss"] for row in further.history_]
    assert further.best_epoch_ == 1 + int(np.argmin(losses))
    assert not np.array_equal(further.decision_function(X), before)
    best = log_loss(y_val, further.predict_proba(X_val))
    assert min(losses) == pytest.approx(best, rel=1e-5, abs=1e-6)


# --- errors

INVALID = {
    "no y_val": (series_classifier, {"X_val": SERIES_VAL}, ["X_val was passed without y_val", "or neither"]),
    "no X_val": (text_classifier, {"y_val": Y_VAL}, ["y_val was passed without X_val", "or neither"]),
    "only weights": (text_classifier, {"sample_weight_val": [1.0]}, ["sample_weight_val was passed without X_val"]),
    "unknown class": (
        text_classifier,
        {"X_val": ["a", "b", "c"], "y_val": ["praise", "shrug", "yawn"]},
        ["y_val holds ['shrug', 'yawn']", "the classes of y are ['blame', 'praise']"],
    ),
    "another sort of class": (text_classifier, {"X_val": ["a"], "y_val": [1]}, ["y_val holds [1]", "'blame'"]),
    "continuous labels": (series_classifier, {"X_val": SERIES_VAL[:2], "y_val": [0.5, 1]}, ["y_val holds [0.5]"]),
    "missing label": (text_classifier, {"X_val": ["a", "b"], "y_val": ["praise", None]}, ["y_val", "NaN", "row 1"]),
    "labels of other length": (
        text_classifier,
        {"X_val": ["a", "b"], "y_val": ["praise"]},
        ["y_val has 1 labels", "X_val has 2 rows"],
    ),
    "weights of other length": (
        text_classifier,
        {"X_val": ["a"], "y_val": ["praise"], "sample_weight_val": [1, 2]},
        ["sample_weight_val.shape == (2,)"],
    ),
    "negative weight": (
        text_classifier,
        {"X_val": ["a"], "y_val": ["praise"], "sample_weight_val": [-1]},
        ["sample_weight_val is -1.0 in row 0"],
    ),
    "weights all zero": (
        text_classifier,
        {"X_val": ["a"], "y_val": ["praise"], "sample_weight_val": [0]},
        ["at least one non-zero", "sample_weight_val is 0"],
    ),
    "no rows": (text_classifier, {"X_val": [], "y_val": []}, ["0 sample(s)", "X_val"]),
    "another kind": (text_classifier, {"X_val": [["a"]], "y_val": ["praise"]}, ["Row 0 of X_val", "texts"]),
    "text for series": (series_classifier, {"X_val": ["a"], "y_val": [1]}, ["X_val", "series of numbers"]),
    "more channels": (series_classifier, {"X_val": [np.ones((3, 2))], "y_val": [1]}, ["Row 0 of X_val has 2 channel"]),
    "NaN": (series_classifier, {"X_val": [[1.0, np.nan]], "y_val": [1]}, ["Input X_val contains NaN", "row 0, step 1"]),
    "too large": (
        series_classifier,
        {"X_val": [[1.0, 1e200]], "y_val": [1]},
        ["X_val holds [1e+200] in row 0, step 1"],
    ),
    "groups of other length": (text_classifier, {"groups": [1, 2]}, ["groups has the shape (2,)", "(40,)"]),
    "one group": (text_classifier, {"groups": ["a"] * 40}, ["groups holds only one group", "at least 2"]),
    "no group in a row": (text_classifier, {"groups": ["a", None] * 20}, ["groups holds None in row 1"]),
    "one group with weight": (
        series_classifier,
        {"groups": [1, 2] * 20, "sample_weight": [1, 0] * 20},
        ["groups holds only one group among the rows with a sample_weight above 0"],
    ),
}


@pytest.mark.parametrize(("make", "arguments", "words"), INVALID.values(), ids=INVALID)
@pytest.mark.parametrize("warm", [None, False, True], ids=["new", "refit", "warm"])
@pytest.mark.parametrize("patience", [None, 2])
def test_invalid_validation_data_and_groups_are_errors_that_change_nothing(make, arguments, words, warm, patience):
    X, y = (TEXTS, Y) if make is text_classifier else (SERIES, np.repeat([0, 1], 20))
    classifier = make(max_epochs=1, patience=patience, warm_start=bool(warm))
    if warm is not None:
        before = classifier.fit(X, y).decision_function(X)
    attributes = dict(vars(classifier))
    with pytest.raises(ValueError) as caught:
        classifier.fit(X, y, **arguments)
    for word in words:
        assert word in str(caught.value)
    assert vars(classifier).keys() == attributes.keys()
    assert all(vars(classifier)[name] is value for name, value in attributes.items())
    if warm is not None:
        np.testing.assert_array_equal(classifier.decision_function(X), before)


FRAME = pd.DataFrame(table(SERIES), columns=list("abcdefgh"))
INVALID_TABLES = [
    (table(SERIES_VAL)[:, :5], "X_val has 5 steps, but X has 8"),
    (SERIES_VAL, r"X_val must be a table of 8 steps \(2-D\), as in fit"),
    (np.where(np.arange(8) == 3, np.nan, table(SERIES_VAL)), "Input X_val contains NaN"),
    (FRAME[:22].rename(columns={"a": "z"}), "feature names should match"),
]


@pytest.mark.parametrize(("X_val", "words"), INVALID_TABLES)
def test_x_val_for_a_table_has_to_be_a_table_like_x(X_val, words):
    with pytest.raises(ValueError, match=words):
        series_classifier().fit(FRAME, SERIES_Y, X_val=X_val, y_val=SERIES_Y_VAL)


def test_x_val_can_be_an_array_if_x_is_a_frame():
    one, other = (
        series_classifier().fit(FRAME, SERIES_Y, X_val=X_val, y_val=SERIES_Y_VAL)
        for X_val in (table(SERIES_VAL), pd.DataFrame(table(SERIES_VAL), columns=FRAME.columns))
    )
    assert without_seconds(one.history_) == without_seconds(other.history_)


def test_masked_x_val_is_an_error():
    with pytest.raises(TypeError, match="X_val is a masked array"):
        series_classifier().fit(
            table(SERIES), SERIES_Y, X_val=np.ma.masked_array(table(SERIES_VAL)), y_val=SERIES_Y_VAL
        )


def test_class_weight_of_zero_for_all_of_y_val_is_an_error():
    y = np.arange(40) % 3
    with pytest.raises(ValueError, match=r"leaves no row with a weight above 0.*fit without validation"):
        series_classifier(class_weight={0: 1, 1: 1, 2: 0}).fit(SERIES, y, X_val=SERIES_VAL, y_val=[2] * 22)


# --- groups


def split_rows(training_data, classifier, n, y, **arguments):
    """The training rows and the validation rows of a fit to rows that contain their index."""
    classifier.set_params(scale=False, learning_rate=1e-6, max_epochs=1).fit(
        [[float(i)] for i in range(n)], y, **arguments
    )
    return [part and part.sequences.steps.values[:, 0].astype(int).tolist() for part in training_data]


@pytest.mark.parametrize("seed", range(6))
def test_groups_are_not_split_by_validation(training_data, seed):
    rng = np.random.default_rng(seed)
    groups = rng.choice([f"author {i}" for i in range(20)], size=120)
    y, weights = rng.integers(0, 2, size=120), rng.integers(0, 3, size=120)
    classifier = series_classifier(patience=1, validation_fraction=0.2, random_state=seed)
    training, held_out = split_rows(training_data, classifier, 120, y, groups=groups, sample_weight=weights)
    assert sorted(training + held_out) == np.flatnonzero(weights).tolist()
    assert not set(groups[training]) & set(groups[held_out])
    assert abs(len(held_out) / (weights > 0).sum() - 0.2) < 0.05


@pytest.mark.parametrize("fit_params", [{}, {"X_val": SERIES_VAL, "y_val": SERIES_Y_VAL}])
def test_groups_without_a_split_have_no_effect(fit_params):
    classifier = series_classifier(patience=2 if fit_params else None, wide=False)
    plain = classifier.fit(SERIES, SERIES_Y, **fit_params).decision_function(SERIES)
    grouped = classifier.fit(SERIES, SERIES_Y, groups=np.arange(40) // 4, **fit_params)
    np.testing.assert_array_equal(grouped.decision_function(SERIES), plain)
    assert ("valid_loss" in grouped.history_[0]) == bool(fit_params)


@pytest.mark.parametrize("with_groups", [False, True])
@pytest.mark.parametrize(("make", "X"), [(text_classifier, TEXTS), (series_classifier, SERIES)])
def test_training_data_omit_rows_of_weight_zero(make, X, with_groups, training_data):
    groups = ["a", "b", "c", "b", "d", "c"] if with_groups else None
    make(patience=None).fit(X[:6], list("xyzyyz"), sample_weight=[0, 2, 1, 1, 0, 3], groups=groups)
    training, validation = training_data
    assert validation is None and training.targets.tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(training.score_weights, np.array([2, 1, 1, 3]) / 1.75, rtol=1e-6)


@pytest.mark.parametrize("with_groups", [False, True])
def test_training_and_validation_data_have_the_targets_and_weights_of_their_rows(with_groups, training_data):
    y, weights, groups = np.arange(40) % 2, np.arange(41.0)[1:], np.repeat(np.arange(10), 4)
    classifier = series_classifier(patience=1, validation_fraction=0.25)
    fit_params = {"sample_weight": weights, "groups": groups if with_groups else None}
    training, held_out = split_rows(training_data, classifier, 40, y, **fit_params)
    assert sorted(training + held_out) == list(range(40)) and held_out
    for part, rows in zip(training_data, (training, held_out), strict=True):
        assert part.targets.tolist() == y[rows].tolist()
        np.testing.assert_allclose(part.score_weights, weights[rows] / weights[rows].mean(), rtol=1e-6)
    assert not (with_groups and set(groups[training]) & set(groups[held_out]))


@pytest.mark.parametrize("patience", [None, 1])
def test_encoders_are_fitted_to_all_rows_with_their_weights(patience):
    """Also to the rows that are held out, because encoders do not use targets."""
    weights = np.arange(41.0)[1:]
    classifier = series_classifier(patience=patience).fit(table(SERIES), SERIES_Y, sample_weight=weights)
    mean = np.average(table(SERIES).mean(axis=1), weights=weights)
    assert classifier.channel_mean_ == pytest.approx(mean, rel=1e-6)
    texts = [f"{text} name{row}" for row, text in enumerate(TEXTS)]
    classifier = text_classifier(patience=patience).fit(texts, Y, sample_weight=weights)
    assert {f"name{row}" for row in range(40)} <= set(classifier.tokenizer_.tokens_)


def test_valid_score_with_groups_shows_overfitting_to_authors():
    """Each author uses a unique word and has one class: the word does not predict the class of another author."""
    rng = np.random.default_rng(0)
    authors = np.repeat(np.arange(24), 10)
    y = rng.permutation(np.arange(24) % 2)[authors]  # random: the class must not depend on the digits of names
    texts = [f"name{author} {' '.join(rng.choice(['this', 'that', 'so'], 3))}" for author in authors]
    overfitting = {"max_epochs": 12, "patience": 12, "dropout": 0, "token_dropout": 0, "learning_rate": 0.05}
    classifier = text_classifier(**overfitting, validation_fraction=0.25)
    without_groups = classifier.fit(texts, y).history_[-1]["valid_score"]
    with_groups = classifier.fit(texts, y, groups=authors).history_[-1]["valid_score"]
    assert without_groups > 0.95
    assert with_groups < 0.75


def test_sample_weight_is_the_last_positional_argument_of_fit():
    weights = np.arange(40.0)
    by_position = series_classifier().fit(SERIES, SERIES_Y, weights)
    by_name = series_classifier().fit(SERIES, SERIES_Y, sample_weight=weights)
    np.testing.assert_array_equal(by_position.decision_function(SERIES), by_name.decision_function(SERIES))
    with pytest.raises(TypeError):
        series_classifier().fit(SERIES, SERIES_Y, weights, SERIES_VAL, SERIES_Y_VAL)
