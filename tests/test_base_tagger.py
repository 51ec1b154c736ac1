"""Base of the tagger: forms of X and y, errors, `score`, and legal sequences of labels."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError

from _taggers import (
    KINDS,
    LENGTHS,
    QUICK,
    assert_equal_predictions,
    concatenated,
    every_kind,
    make_tagger,
    token_rows,
    with_noise,
)
from seqclf import RNNTagger, TextTokenizer


@pytest.fixture(scope="module")
def rows():
    """60 training rows and 30 new ones, of each kind."""
    return {kind: (*draw(60), *draw(30, seed=1)) for kind, draw in KINDS.items()}


@pytest.fixture(scope="module")
def fitted(rows):
    """A fitted tagger for each kind, which tests must not change."""
    return {kind: make_tagger().fit(*rows[kind][:2]) for kind in KINDS}


LEARNED = {
    "tokens": {"input_kind_", "tokenizer_", "vocab_size_"},
    "ids": {"input_kind_", "vocab_size_"},
    "series": {"n_channels_in_", "channel_mean_", "channel_scale_"},
}


@every_kind
def test_score_is_the_accuracy_over_labelled_steps(kind, fitted, rows):
    X, y, tagger = rows[kind][2], with_noise(rows[kind][3]), fitted[kind]
    weights = np.random.default_rng(0).random(len(X))
    hits, total, weighted, weight_of_all = 0, 0, 0.0, 0.0
    for found, labels, weight in zip(tagger.predict(X), y, weights, strict=True):
        for one, other in zip(found, labels, strict=True):
            hits, total = hits + (one == other), total + 1
            weighted, weight_of_all = weighted + weight * (one == other), weight_of_all + weight
    assert 0 < hits < total
    assert tagger.score(X, y) == hits / total
    assert tagger.score(X, y, weights) == pytest.approx(weighted / weight_of_all, rel=1e-12)
    one_row = [[None for _ in row] for row in y]
    one_row[3] = list(y[3])
    assert tagger.score(X, one_row) == np.mean(tagger.predict(X)[3] == np.asarray(y[3]))
    assert np.isnan(tagger.score(X, [[None] * len(row) for row in y]))


def test_score_counts_labels_that_were_not_in_fit_as_wrong(fitted, rows):
    X = rows["tokens"][2]
    assert fitted["tokens"].score(X, [["NEW"] * len(row) for row in X]) == 0


def test_score_refuses_labels_of_another_type(fitted, rows):
    X, y, _, _ = rows["tokens"]
    integers = [[3] * len(row) for row in y]
    with pytest.raises(ValueError, match=r"Row 0 of y holds 3, .*int.* at step 0, but the classes of fit .* str"):
        fitted["tokens"].score(X, integers)


def bio_rows(n, seed=0):
    """Labels with noise: the most probable labels of single steps are often not a legal sequence."""
    rng = np.random.default_rng(seed)
    X, y = [], []
    for row in range(n):
        length = LENGTHS[row % len(LENGTHS)]
        labels = ["O"] * length
        start = rng.integers(length)
        kind = rng.choice(["x", "y"])
        for step in range(start, min(start + 3, length)):
            labels[step] = f"{'B' if step == start else 'I'}-{kind}"
        X.append([f"w{rng.integers(5)}" if label == "O" else f"k{rng.integers(3)}" for label in labels])
        y.append(labels)
    return X, y


def n_illegal(rows):
    return sum(
        label[:2] == "I-" and (step == 0 or row[step - 1][1:] != label[1:])
        for row in rows
        for step, label in enumerate(row)
    )


def test_transitions_bio_predicts_only_legal_sequences():
    X, y = bio_rows(60)
    X_new = [row[::-1] for row in bio_rows(60, seed=1)[0]]
    free, legal = make_tagger().fit(X, y), make_tagger(transitions="bio").fit(X, y)
    assert_equal_predictions(free.predict_proba(X_new), legal.predict_proba(X_new))
    assert n_illegal(y) == 0 and n_illegal(free.predict(X_new)) > 0
    found = legal.predict(X_new)
    assert n_illegal(found) == 0 and [len(row) for row in found] == [len(row) for row in X_new]
    assert len(set(concatenated(found).tolist())) > 2
    for row, together in zip(X_new, found, strict=True):
        assert legal.predict([row])[0].tolist() == together.tolist()


def test_transitions_bio_refuses_other_labels(rows):
    with pytest.raises(ValueError, match=r"transitions='bio' needs labels that are 'O'.*y holds 'NAME'"):
        make_tagger(transitions="bio").fit(*rows["tokens"][:2])


def test_transitions_bio_accepts_spans_without_a_kind():
    X = [["o", "b", "i"], ["b", "i", "i"]] * 30
    y = [[{"o": "O", "b": "B-", "i": "I-"}[token] for token in row] for row in X]
    tagger = RNNTagger(units=4, transitions="bio", random_state=0).fit(X, y)
    assert [row.tolist() for row in tagger.predict(X[:2])] == y[:2]


@every_kind
def test_rows_of_x_and_y_that_differ_in_length_are_an_error(kind, fitted, rows):
    X, y, X_val, y_val = rows[kind]
    short = [*y[:4], list(y[4])[:-1], *y[5:]]
    words = "Row 4 of y has 5 targets, but row 4 of X has 6 steps: expected one target for each step."
    with pytest.raises(ValueError, match=re.escape(words)):
        make_tagger().fit(X, short)
    with pytest.raises(ValueError, match=re.escape("Row 0 of y_val has 5 targets, but row 0 of X_val has 4 steps")):
        make_tagger().fit(X, y, X_val=X_val, y_val=[[*y_val[0], y_val[0][0]], *y_val[1:]])
    with pytest.raises(ValueError, match=re.escape("Row 4 of y has 5 targets, but row 4 of X has 6 steps")):
        fitted[kind].score(X, short)
    with pytest.raises(ValueError, match=re.escape("y has 59 rows, but X has 60")):
        make_tagger().fit(X, y[:-1])


def test_texts_are_an_error(fitted, rows):
    y = rows["tokens"][1]
    texts = [" ".join(row) for row in rows["tokens"][0]]
    words = r"X holds texts, but .*: split the texts into lists of tokens, \[text.split\(\)"
    with pytest.raises(ValueError, match=words):
        make_tagger().fit(texts, y)
    with pytest.raises(ValueError, match="in fit the rows were lists of tokens"):
        fitted["tokens"].predict(texts)


@pytest.mark.parametrize("not_rows", [csr_array(np.eye(4)), {"a": 1}, None, 3])
def test_x_that_is_not_a_container_of_rows_is_an_error(not_rows, fitted):
    words = "dense data is required" if isinstance(not_rows, csr_array) else "expected a list, an array"
    with pytest.raises(TypeError, match=words):
        make_tagger().fit(not_rows, [[0, 1]] * 4)
    with pytest.raises(TypeError, match=words):
        fitted["tokens"].predict(not_rows)


def test_methods_and_wide_before_fit(fitted):
    for method in ("predict", "predict_proba", "hidden_states"):
        with pytest.raises(NotFittedError):
            getattr(make_tagger(), method)([["a"]])
    with pytest.raises(AttributeError, match="RNNTagger has no wide_: it is not fitted"):
        make_tagger().wide_  # noqa: B018
    with pytest.raises(AttributeError, match="or was fitted without a linear model"):
        fitted["series"].wide_  # noqa: B018


@pytest.mark.parametrize(
    ("changes", "y", "words"),
    [
        ({"transitions": "iob"}, None, "transitions"),
        ({"class_weight": "even"}, None, "class_weight"),
        ({}, "one", "y holds only one class"),
        ({}, "flat", "Row 0 of y is 'NOUN'"),
        ({}, "nothing", "y has no label"),
        ({"tokenizer": 3}, None, "tokenizer"),
        ({"missing": "drop"}, None, "missing"),
    ],
)
def test_an_error_in_fit_leaves_the_tagger_unchanged(changes, y, words, rows):
    X, labels, X_new, _ = rows["tokens"]
    tagger = make_tagger().fit(X, labels)
    expected, names = tagger.predict_proba(X_new), set(vars(tagger))
    labels_of_case = {
        None: labels,
        "one": [["a"] * len(row) for row in X],
        "flat": ["NOUN"] * 60,
        "nothing": [[None] * len(row) for row in X],
    }[y]
    with pytest.raises(ValueError, match=words):
        tagger.set_params(**changes).fit(X, labels_of_case)
    assert set(vars(tagger)) == names
    tagger.set_params(**{name: QUICK.get(name, getattr(RNNTagger(), name)) for name in changes})
    assert_equal_predictions(tagger.predict_proba(X_new), expected)
    with pytest.raises(ValueError, match="Row 59 of y has"):
        tagger.fit(rows["series"][0], [*rows["series"][1][:-1], [True] * 99])
    assert set(vars(tagger)) == names
    assert_equal_predictions(tagger.predict_proba(X_new), expected)


@pytest.mark.parametrize("second", KINDS)
@every_kind
def test_a_refit_replaces_all_fitted_attributes(kind, second, fitted, rows):
    tagger = make_tagger().fit(*rows[kind][:2]).fit(*rows[second][:2])
    others = {name for names in LEARNED.values() for name in names} - LEARNED[second]
    assert {name for name in others if hasattr(tagger, name)} == set()
    assert all(hasattr(tagger, name) for name in LEARNED[second])
    assert hasattr(tagger, "wide_") == (second != "series")
    assert_equal_predictions(tagger.predict_proba(rows[second][2]), fitted[second].predict_proba(rows[second][2]))


def test_2d_input_has_n_features_in():
    """2-D input sets `n_features_in_`, which a fit to other input removes."""
    X = np.random.default_rng(0).normal(size=(20, 5))
    tagger = make_tagger().fit(X, X > 0)
    assert tagger.n_features_in_ == 5 and tagger.predict(X).shape == (20,)
    tagger.fit(*token_rows(20))
    assert not hasattr(tagger, "n_features_in_")
    frame = pd.DataFrame(X, columns=list("abcde"))
    assert_equal_predictions(
        make_tagger().fit(frame, X > 0).predict_proba(frame), make_tagger().fit(X, X > 0).predict_proba(X)
    )


def test_a_frame_needs_labels_of_its_number_of_steps():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 5)))
    with pytest.raises(ValueError, match="Row 0 of y has 1 target, but row 0 of X has 5 steps"):
        make_tagger().fit(X, [[True] * (1 + row % 5) for row in range(20)])


def test_the_default_tokenizer_keeps_capitals(fitted, rows):
    names = fitted["tokens"].wide_.feature_names()
    assert "is Ann" in names and "ends hs" not in names and "ends sh" in names
    assert "Ann" in fitted["tokens"].tokenizer_.tokens_
    lower = make_tagger(tokenizer=TextTokenizer()).fit(*rows["tokens"][:2])
    assert "ann" in lower.tokenizer_.tokens_ and "is Ann" not in lower.wide_.feature_names()


def test_renumbered_ids_keep_their_names_in_the_linear_model(rows):
    X, y, X_new, _ = rows["ids"]
    large = 10**12
    tagger = make_tagger().fit([[large + id_ for id_ in row.tolist()] for row in X], y)
    assert tagger.vocab_size_ == 2 + 8
    assert {f"is {large + id_}" for id_ in range(1, 9)} <= set(tagger.wide_.feature_names())
    found = tagger.predict([[large + id_ for id_ in row.tolist()] for row in X_new])
    assert concatenated(found).tolist() == [id_ % 2 for row in X_new for id_ in row.tolist()]
