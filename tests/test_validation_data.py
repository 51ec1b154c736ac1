"""What early stopping watches: rows of one's own (`X_val`), or whole groups held out of X (`groups`)."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss

from seqclf import RNNClassifier, RNNTextClassifier, SequencePadder, TextTokenizer, _fit
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


# X_val decides


def test_the_labels_of_x_val_decide_which_epoch_is_kept(case, unchanged_global_state):
    """The weights kept are those of a fit of so many epochs on all rows, to the bit."""
    make, X, y, X_val, _ = case
    watching = {"patience": 8, "max_epochs": 8, "tol": 0.0}
    right = make(**watching).fit(X, y, X_val=X, y_val=y)
    wrong = make(**watching).fit(X, y, X_val=X, y_val=flipped(y))
    assert wrong.best_epoch_ < right.best_epoch_
    for fitted in (right, wrong):
        losses = [row["valid_loss"] for row in fitted.history_]
        assert fitted.best_epoch_ == 1 + int(np.argmin(losses))
        plain = make(patience=None, max_epochs=fitted.best_epoch_).fit(X, y)
        np.testing.assert_array_equal(fitted.decision_function(X_val), plain.decision_function(X_val))


def test_patience_counts_epochs_of_x_val():
    fitted = series_classifier(patience=2, max_epochs=20).fit(SERIES, SERIES_Y, X_val=SERIES, y_val=flipped(SERIES_Y))
    assert fitted.n_iter_ == fitted.best_epoch_ + 2 < 20


def test_all_rows_train_and_the_fraction_is_not_used(case):
    make, X, y, X_val, y_val = case
    one, other = (
        make(patience=3, validation_fraction=fraction).fit(X, y, X_val=X_val, y_val=y_val) for fraction in (0.1, 0.6)
    )
    np.testing.assert_array_equal(one.decision_function(X_val), other.decision_function(X_val))
    steps = "tokens" if make is text_classifier else "steps"
    all_rows = make(patience=None).fit(X, y).history_[0][steps]
    assert [row[steps] for row in one.history_] == [all_rows] * one.n_iter_


def test_without_patience_they_are_scored_and_change_nothing(case, unchanged_global_state):
    """The validation fields of the last epoch are those of the final model."""
    make, X, y, X_val, y_val = case
    fitted = make(patience=None).fit(X, y, X_val=X_val, y_val=y_val)
    plain = make(patience=None).fit(X, y)
    np.testing.assert_array_equal(fitted.decision_function(X_val), plain.decision_function(X_val))
    assert fitted.n_iter_ == fitted.best_epoch_ == 4
    assert ["valid_loss" in row and "valid_score" in row for row in fitted.history_] == [True] * 4
    last = fitted.history_[-1]
    # A loss of nearly nothing is a difference of float32 numbers there.
    assert last["valid_loss"] == pytest.approx(log_loss(y_val, fitted.predict_proba(X_val)), rel=1e-5, abs=1e-7)
    assert last["valid_score"] == pytest.approx(fitted.score(X_val, y_val), rel=1e-12)


def test_weights_of_x_val_count_in_loss_and_score_and_class_weights_in_the_loss():
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


def test_balance_is_that_of_y_and_not_of_y_val():
    y = np.repeat([0, 1], [30, 10])
    fitted = series_classifier(patience=None, class_weight="balanced").fit(
        SERIES, y, X_val=SERIES_VAL, y_val=SERIES_Y_VAL
    )
    in_loss = np.array([40 / 60, 40 / 20])[SERIES_Y_VAL]
    expected = log_loss(SERIES_Y_VAL, fitted.predict_proba(SERIES_VAL), sample_weight=in_loss)
    assert fitted.history_[-1]["valid_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-320, 1e300])
def test_a_weight_of_zero_removes_the_row_of_x_val(case, scale):
    """Its label may even be one that y does not know; and only the proportions of the weights count."""
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


def test_one_class_in_y_val_is_enough():
    fitted = text_classifier(patience=2).fit(TEXTS, Y, X_val=TEXTS_VAL[:3], y_val=["praise"] * 3)
    assert fitted.history_[0]["valid_score"] in (0, pytest.approx(1 / 3), pytest.approx(2 / 3), 1)


# Nothing is learned from X_val


def test_no_word_is_learned_from_x_val():
    strange = [f"{text} zyzzyva" for text in TEXTS_VAL]
    fitted = text_classifier(patience=None).fit(TEXTS, Y, X_val=strange, y_val=Y_VAL)
    assert fitted.tokenizer_.tokens_ == TextTokenizer().fit(TEXTS).tokens_
    assert "zyzzyva" not in fitted.tokenizer_.tokens_
    assert fitted.history_[-1]["valid_loss"] == pytest.approx(log_loss(Y_VAL, fitted.predict_proba(strange)), rel=1e-5)


def test_no_id_is_learned_from_x_val():
    X, X_val = ids(TEXTS), [[*row, 70_000] for row in ids(TEXTS_VAL)]
    fitted = text_classifier(patience=None).fit(X, Y, X_val=X_val, y_val=Y_VAL)
    assert fitted.vocab_size_ == max(map(max, X)) + 1
    assert fitted.history_[-1]["valid_loss"] == pytest.approx(log_loss(Y_VAL, fitted.predict_proba(X_val)), rel=1e-5)


def test_no_scale_is_learned_from_x_val():
    far = [1 + row for row in SERIES_VAL]
    fitted = series_classifier(patience=None).fit(SERIES, SERIES_Y, X_val=far, y_val=SERIES_Y_VAL)
    plain = series_classifier(patience=None).fit(SERIES, SERIES_Y)
    assert fitted.channel_mean_ == plain.channel_mean_ and fitted.channel_scale_ == plain.channel_scale_
    expected = log_loss(SERIES_Y_VAL, fitted.predict_proba(far))
    assert fitted.history_[-1]["valid_loss"] == pytest.approx(expected, rel=1e-5)


def test_warm_start_watches_x_val_with_the_vocabulary_it_has(case):
    make, X, y, X_val, y_val = case
    watching = make(warm_start=True, patience=3, tol=0.0).fit(X, y, X_val=X, y_val=flipped(y))
    before = watching.decision_function(X)
    further = watching.fit(X, y, X_val=X_val, y_val=y_val)
    losses = [row["valid_loss"] for row in further.history_]
    assert further.best_epoch_ == 1 + int(np.argmin(losses))
    assert not np.array_equal(further.decision_function(X), before)
    best = log_loss(y_val, further.predict_proba(X_val))
    assert min(losses) == pytest.approx(best, rel=1e-5, abs=1e-6)


# Errors, and nothing left behind

BAD = {
    "no y_val": (series_classifier, {"X_val": SERIES_VAL}, ["X_val was given without y_val", "or neither"]),
    "no X_val": (text_classifier, {"y_val": Y_VAL}, ["y_val was given without X_val", "or neither"]),
    "only weights": (text_classifier, {"sample_weight_val": [1.0]}, ["sample_weight_val was given without X_val"]),
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


@pytest.mark.parametrize(("make", "arguments", "words"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("warm", [None, False, True], ids=["new", "refit", "warm"])
@pytest.mark.parametrize("patience", [None, 2])
def test_a_fit_that_fails_for_them_leaves_the_estimator_as_it_was(make, arguments, words, warm, patience):
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
BAD_TABLES = [
    (table(SERIES_VAL)[:, :5], "X_val has 5 steps, but X has 8"),
    (SERIES_VAL, r"X_val must be a table of 8 steps \(2-D\), as in fit"),
    (np.where(np.arange(8) == 3, np.nan, table(SERIES_VAL)), "Input X_val contains NaN"),
    (FRAME[:22].rename(columns={"a": "z"}), "feature names should match"),
]


@pytest.mark.parametrize(("X_val", "words"), BAD_TABLES)
def test_x_val_is_a_table_like_x(X_val, words):
    with pytest.raises(ValueError, match=words):
        series_classifier().fit(FRAME, SERIES_Y, X_val=X_val, y_val=SERIES_Y_VAL)


def test_an_array_goes_with_a_frame():
    one, other = (
        series_classifier().fit(FRAME, SERIES_Y, X_val=X_val, y_val=SERIES_Y_VAL)
        for X_val in (table(SERIES_VAL), pd.DataFrame(table(SERIES_VAL), columns=FRAME.columns))
    )
    assert without_seconds(one.history_) == without_seconds(other.history_)


def test_masked_rows_are_refused_by_name():
    with pytest.raises(TypeError, match="X_val is a masked array"):
        series_classifier().fit(
            table(SERIES), SERIES_Y, X_val=np.ma.masked_array(table(SERIES_VAL)), y_val=SERIES_Y_VAL
        )


def test_class_weights_that_leave_nothing_to_watch():
    y = np.arange(40) % 3
    with pytest.raises(ValueError, match=r"leaves no row with a weight above 0.*fit without validation"):
        series_classifier(class_weight={0: 1, 1: 1, 2: 0}).fit(SERIES, y, X_val=SERIES_VAL, y_val=[2] * 22)


# Groups


def watched_rows(parts, classifier, n, y, **arguments):
    """Which rows trained and which were watched: each row of X holds its own number."""
    classifier.set_params(scale=False, learning_rate=1e-6, max_epochs=1).fit(
        [[float(i)] for i in range(n)], y, **arguments
    )
    return [part and part.sequences.steps.values[:, 0].astype(int).tolist() for part in parts]


@pytest.mark.parametrize("seed", range(6))
def test_groups_are_held_out_whole(parts, seed):
    rng = np.random.default_rng(seed)
    groups = rng.choice([f"author {i}" for i in range(20)], size=120)
    y, weights = rng.integers(0, 2, size=120), rng.integers(0, 3, size=120)
    classifier = series_classifier(patience=1, validation_fraction=0.2, random_state=seed)
    training, watched = watched_rows(parts, classifier, 120, y, groups=groups, sample_weight=weights)
    assert sorted(training + watched) == np.flatnonzero(weights).tolist()
    assert not set(groups[training]) & set(groups[watched])
    assert abs(len(watched) / (weights > 0).sum() - 0.2) < 0.05


@pytest.mark.parametrize("given", [{}, {"X_val": SERIES_VAL, "y_val": SERIES_Y_VAL}])
def test_groups_without_a_split_change_nothing(given):
    classifier = series_classifier(patience=2 if given else None, wide=False)
    plain = classifier.fit(SERIES, SERIES_Y, **given).decision_function(SERIES)
    grouped = classifier.fit(SERIES, SERIES_Y, groups=np.arange(40) // 4, **given)
    np.testing.assert_array_equal(grouped.decision_function(SERIES), plain)
    assert ("valid_loss" in grouped.history_[0]) == bool(given)


@pytest.fixture(params=[text_classifier, series_classifier])
def learning(request, monkeypatch):
    """A classifier's constructor, X, and what its last fit has learned from: first without targets, then with them."""
    make, seen = request.param, {}
    cls = type(make())
    fit_encoder, fit_label_features = cls._fit_encoder, _fit._fit_label_features

    def spy_on_encoder(self, rows, weights):
        seen.update(n=len(rows), row_weights=weights)
        return fit_encoder(self, rows, weights)

    def spy_on_label_features(estimator, training, task, rng):
        seen.update(training=training, rng=rng)
        return fit_label_features(estimator, training, task, rng)

    monkeypatch.setattr(cls, "_fit_encoder", spy_on_encoder)
    monkeypatch.setattr(_fit, "_fit_label_features", spy_on_label_features)
    return make, TEXTS if make is text_classifier else SERIES, seen


@pytest.mark.parametrize("with_groups", [False, True])
def test_learning_sees_codes_weights_and_groups_of_the_rows_that_count(learning, with_groups):
    make, X, seen = learning
    groups = ["a", "b", "c", "b", "d", "c"] if with_groups else None
    state = np.random.RandomState(0)
    make(patience=None, random_state=state).fit(X[:6], list("xyzyyz"), sample_weight=[0, 2, 1, 1, 0, 3], groups=groups)
    training = seen["training"]
    assert seen["n"] == len(training) == 4
    assert training.targets.tolist() == [0, 1, 0, 1]
    expected = (np.array([2, 1, 1, 3]) / 3).tolist()
    assert seen["row_weights"].tolist() == training.weights.tolist() == expected
    assert seen["rng"] is state
    if with_groups:
        assert training.groups.tolist() == [0, 1, 0, 1] and training.groups.dtype.kind == "i"
    else:
        assert training.groups is None


@pytest.mark.parametrize("with_groups", [False, True])
def test_what_is_learned_from_targets_sees_no_row_that_is_watched(learning, parts, with_groups):
    """The rows are split before; what is learned without targets sees them all."""
    make, X, seen = learning
    # The weight of a row tells which one it is.
    y, weights, groups = np.arange(40) % 2, np.arange(41.0)[1:] / 40, np.repeat(np.arange(10), 4)
    make(patience=1, validation_fraction=0.25).fit(X, y, sample_weight=weights, groups=groups if with_groups else None)
    assert seen["row_weights"].tolist() == weights.tolist()
    training, (trained, watched) = seen["training"], parts
    kept = np.flatnonzero(np.isin(weights, training.weights))
    assert len(kept) == len(training) == len(trained) == 40 - len(watched) < 40
    assert training.weights.tolist() == weights[kept].tolist()
    assert training.targets.tolist() == trained.targets.tolist() == y[kept].tolist()
    np.testing.assert_array_equal(training.sequences.steps.values, trained.sequences.steps.values)
    others = np.setdiff1d(np.arange(40), kept)
    np.testing.assert_allclose(watched.score_weights, weights[others] / weights[others].mean(), rtol=1e-6)
    if with_groups:
        assert training.groups.tolist() == np.unique(groups[kept], return_inverse=True)[1].tolist()
        assert not set(groups[kept]) & set(groups[others])
    else:
        assert training.groups is None


def test_groups_show_what_a_random_split_hides():
    """Each author has a word of his own and one class: learned by heart, it says nothing of another author."""
    rng = np.random.default_rng(0)
    authors = np.repeat(np.arange(24), 10)
    y = rng.permutation(np.arange(24) % 2)[authors]  # A class by the last digit could be read from other names.
    texts = [f"name{author} {' '.join(rng.choice(['this', 'that', 'so'], 3))}" for author in authors]
    by_heart = {"max_epochs": 12, "patience": 12, "dropout": 0, "token_dropout": 0, "learning_rate": 0.05}
    classifier = text_classifier(**by_heart, validation_fraction=0.25)
    flattering = classifier.fit(texts, y).history_[-1]["valid_score"]
    honest = classifier.fit(texts, y, groups=authors).history_[-1]["valid_score"]
    assert flattering > 0.95
    assert honest < 0.75


def test_sample_weight_stays_the_third_argument():
    weights = np.arange(40.0)
    by_place = series_classifier().fit(SERIES, SERIES_Y, weights)
    by_name = series_classifier().fit(SERIES, SERIES_Y, sample_weight=weights)
    np.testing.assert_array_equal(by_place.decision_function(SERIES), by_name.decision_function(SERIES))
    with pytest.raises(TypeError):
        series_classifier().fit(SERIES, SERIES_Y, weights, SERIES_VAL, SERIES_Y_VAL)
