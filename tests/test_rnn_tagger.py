"""`RNNTagger`: learning, weights, validation, warm starts, invariances and scikit-learn's tools, for each kind of X."""

import io
import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline

from _taggers import (
    KINDS,
    WORDS,
    assert_equal_predictions,
    assert_invariant_predictions,
    concatenated,
    every_kind,
    make_tagger,
    pickled_copy,
    with_noise,
)
from seqclf import RNNTagger, SequencePadder, TextTokenizer
from seqclf._kernels.dispatch import is_native_enabled
from seqclf._label_features.tag_label_features import TagLabelFeatures


@pytest.fixture(scope="module")
def rows():
    """60 training rows and 30 new ones, of each kind."""
    return {kind: (*draw(60), *draw(30, seed=1)) for kind, draw in KINDS.items()}


@pytest.fixture(scope="module")
def fitted(rows):
    """A fitted tagger for each kind, which tests must not change."""
    return {kind: make_tagger().fit(*rows[kind][:2]) for kind in KINDS}


# Learning and predictions


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("tokens", {"max_epochs": 6}),
        ("tokens", {"wide": False, "max_epochs": 40, "dropout": 0.1, "learning_rate": 0.02}),
        ("ids", {"max_epochs": 6}),
        ("series", {"max_epochs": 15, "dropout": 0.0, "learning_rate": 0.02}),
    ],
)
def test_learns_tokens_ids_and_series(kind, changes, rows):
    X, y = KINDS[kind](200)
    X_new, y_new = rows[kind][2:]
    tagger = make_tagger(units=8, embedding_dim=8, conv_filters=8).set_params(**changes).fit(X, y)
    assert tagger.score(X_new, y_new) > 0.9
    assert max(np.mean(concatenated(y_new) == label) for label in tagger.classes_) < 0.65, (
        "a constant prediction is as good"
    )
    assert hasattr(tagger, "wide_") == (kind != "series" and tagger.wide)


@every_kind
def test_predictions_have_one_entry_per_step(kind, fitted, rows):
    X, tagger = rows[kind][2], fitted[kind]
    labels, probabilities = tagger.predict(X), tagger.predict_proba(X)
    assert labels.shape == probabilities.shape == (30,) and labels.dtype == probabilities.dtype == object
    assert [len(row) for row in labels] == [len(row) for row in X]
    assert [row.shape for row in probabilities] == [(len(row), len(tagger.classes_)) for row in X]
    assert {row.dtype for row in labels} == {tagger.classes_.dtype}
    flat = concatenated(probabilities)
    np.testing.assert_allclose(flat.sum(axis=1), 1, rtol=1e-12)
    assert flat.min() >= 0
    assert concatenated(labels).tolist() == tagger.classes_[flat.argmax(axis=1)].tolist()
    assert len(set(concatenated(labels).tolist())) > 1


@every_kind
def test_predictions_of_equal_length_are_arrays_of_objects(kind, fitted, rows):
    X = [row for row in rows[kind][2] if len(row) == 6]
    tagger = fitted[kind]
    assert len(X) > 3
    for method in (tagger.predict, tagger.predict_proba):
        answer = method(X)
        assert answer.shape == (len(X),) and answer.dtype == object
    again = make_tagger().fit(X, [label[:6] for label in rows[kind][3] if len(label) == 6])
    assert again.predict(X).shape == (len(X),)


@every_kind
def test_an_empty_sequence_has_no_labels(kind, fitted, rows):
    empty = np.empty((0, 2)) if kind == "series" else []
    X = [rows[kind][2][0], empty]
    assert fitted[kind].predict(X)[1].shape == (0,)
    assert fitted[kind].predict_proba(X)[1].shape == (0, len(fitted[kind].classes_))
    X, y = rows[kind][:2]
    assert_equal_predictions(make_tagger().fit([*X, empty], [*y, []]).predict([empty]), fitted[kind].predict([empty]))


@every_kind
def test_hidden_states_have_one_state_per_step(kind, fitted, rows):
    states = fitted[kind].hidden_states(rows[kind][2])
    assert [each.shape for each in states] == [(len(row), 8) for row in rows[kind][2]]
    assert np.isfinite(concatenated(states)).all() and concatenated(states).std() > 0


def test_all_containers_of_tokens_give_one_model(rows):
    X, y, X_new, _ = rows["tokens"]
    expected = make_tagger().fit(X, y).predict_proba(X_new)
    forms = [
        ([tuple(row) for row in X], [np.array(row) for row in y]),
        (pd.Series(X), pd.Series(y)),
        ([np.array(row, dtype=object) for row in X], pd.Series(y).to_numpy()),
        (pd.DataFrame({"tokens": X}), y),
        (pl.DataFrame({"tokens": X}), pl.Series(y)),
    ]
    for rows_of_form, labels in forms:
        assert_equal_predictions(make_tagger().fit(rows_of_form, labels).predict_proba(X_new), expected)


def test_a_frame_of_ids_has_one_column_per_step(rows):
    X, y = rows["ids"][:2]
    padded = SequencePadder().fit_transform(X)
    tagger = make_tagger().fit(pd.DataFrame(padded).add_prefix("step "), y)
    assert tagger.input_kind_ == "ids"
    assert_equal_predictions(
        tagger.predict(pd.DataFrame(padded).add_prefix("step ")), make_tagger().fit(padded, y).predict(padded)
    )


# Steps without a label, weights


def test_steps_without_a_label_are_inputs_of_the_network(rows):
    """The model differs from that of the rows without these steps."""
    X, y, X_new, _ = rows["tokens"]
    hidden = [[None if step % 3 == 1 else label for step, label in enumerate(row)] for row in y]
    tagger = make_tagger().fit(X, hidden)
    assert tagger.classes_.tolist() == sorted(WORDS)
    assert np.isfinite(concatenated(tagger.predict_proba(X_new))).all()
    shorter_X = [[token for step, token in enumerate(row) if step % 3 != 1] for row in X]
    shorter_y = [[label for label in row if label is not None] for row in hidden]
    other = make_tagger().fit(shorter_X, shorter_y)
    assert (concatenated(tagger.predict_proba(X_new)) != concatenated(other.predict_proba(X_new))).any()


@every_kind
def test_validation_score_ignores_steps_without_a_label(kind, rows):
    X, y, X_val, y_val = rows[kind]
    y_val = [[None if step == 0 and len(row) > 1 else label for step, label in enumerate(row)] for row in y_val]
    tagger = make_tagger(max_epochs=1).fit(X, y, X_val=X_val, y_val=y_val)
    assert tagger.history_[0]["valid_score"] == pytest.approx(tagger.score(X_val, y_val), rel=1e-6)


@every_kind
def test_rows_of_weight_0_are_left_out(kind, rows):
    X, y, X_new, _ = rows[kind]
    weights = np.ones(60)
    weights[[3, 17]] = 0
    nonzero = np.flatnonzero(weights)
    one = make_tagger().fit(X, y, sample_weight=weights)
    other = make_tagger().fit([X[i] for i in nonzero], [y[i] for i in nonzero])
    assert_equal_predictions(one.predict_proba(X_new), other.predict_proba(X_new))
    with pytest.raises(ValueError, match="y has no label among the rows with a sample_weight above 0"):
        make_tagger().fit(X, [y[0], *([None] * len(row) for row in y[1:])], sample_weight=[0] + [1] * 59)


@every_kind
def test_sample_weight_and_class_weight_change_probabilities(kind, rows):
    X, y, X_new = rows[kind][0], with_noise(rows[kind][1]), rows[kind][2]
    plain = make_tagger().fit(X, y)
    expected = concatenated(plain.predict_proba(X_new))
    by_row = make_tagger().fit(X, y, sample_weight=np.linspace(0.1, 5, 60))
    assert np.abs(concatenated(by_row.predict_proba(X_new)) - expected).max() > 1e-3
    first, *rest = plain.classes_.tolist()
    by_class = make_tagger(class_weight={first: 9.0} | dict.fromkeys(rest, 1.0)).fit(X, y)
    assert concatenated(by_class.predict_proba(X_new))[:, 0].mean() > expected[:, 0].mean() + 0.01


@every_kind
def test_step_weights_are_row_weights_times_class_weights(kind, rows, training_data):
    X, y = rows[kind][0], [[None if step == 1 else label for step, label in enumerate(row)] for row in rows[kind][1]]
    weights = np.linspace(0.5, 2, 60)
    first = sorted({label for row in y for label in row if label is not None})[0]
    class_weight = {label: 1.0 for row in y for label in row if label is not None}
    make_tagger(class_weight=class_weight | {first: 3.0}).fit(X, y, sample_weight=weights)
    of_rows = np.repeat(weights, [len(row) for row in X])
    of_labels = np.array([0 if label is None else 3 if label == first else 1 for row in y for label in row])
    for found, expected in (
        (training_data[0].weights, of_rows * of_labels),
        (training_data[0].score_weights, of_rows * (of_labels > 0)),
    ):
        np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-6)


@pytest.fixture
def supervisions(monkeypatch):
    """The supervision of the linear model of each fit."""
    seen = []
    learn = TagLabelFeatures.fit_transform

    def spy(self, sequences, supervision):
        seen.append(supervision)
        return learn(self, sequences, supervision)

    monkeypatch.setattr(TagLabelFeatures, "fit_transform", spy)
    return seen


@pytest.mark.parametrize("kind", ["tokens", "ids"])
def test_the_linear_model_is_cross_fitted_by_sequence_and_group(kind, rows, supervisions):
    X, y = rows[kind][:2]
    hidden = [[None if step == 1 else label for step, label in enumerate(row)] for row in y]
    groups, weights = np.arange(60) // 4, np.linspace(0.5, 2, 60)
    make_tagger().fit(X, hidden, sample_weight=weights)
    make_tagger().fit(X, hidden, sample_weight=weights, groups=groups)
    lengths = np.array([len(row) for row in X])
    labelled = np.array([label is not None for row in hidden for label in row])
    for supervision, unit in zip(supervisions, (np.arange(60), groups), strict=True):
        pairs = set(zip(np.repeat(unit, lengths).tolist(), supervision.fold.tolist(), strict=True))
        assert len(pairs) == len(set(unit.tolist())) and set(supervision.fold.tolist()) == {0, 1, 2, 3, 4}
        for found in (supervision.weights, supervision.loss_weights):
            np.testing.assert_allclose(found / found.max(), np.repeat(weights / 2, lengths) * labelled, rtol=1e-12)


def test_class_weight_balanced_counts_steps(rows):
    X, y, X_new, _ = rows["tokens"]
    labels, counts = np.unique(concatenated(y), return_counts=True)
    weights = {label: counts.sum() / (3 * count) for label, count in zip(labels.tolist(), counts.tolist(), strict=True)}
    one, other = (make_tagger(class_weight=each).fit(X, y).predict_proba(X_new) for each in ("balanced", weights))
    np.testing.assert_allclose(concatenated(one), concatenated(other), rtol=1e-6)


# Validation, groups, warm starts


@every_kind
def test_x_val_is_used_for_patience_and_scores(kind, rows):
    X, y, X_val, y_val = rows[kind]
    tagger = make_tagger(patience=1, tol=10.0, max_epochs=9).fit(X, y, X_val=X_val, y_val=y_val)
    assert tagger.n_iter_ == 2 and tagger.best_epoch_ == 1, "no loss decreases by 10"
    assert tagger.history_[0]["valid_score"] == pytest.approx(tagger.score(X_val, y_val), rel=1e-6)
    logs = np.log(concatenated(tagger.predict_proba(X_val)))
    codes = np.searchsorted(tagger.classes_, concatenated(y_val))
    assert tagger.history_[0]["valid_loss"] == pytest.approx(
        -logs[np.arange(len(codes)), codes].mean(), rel=1e-5, abs=1e-7
    )


def test_batches_without_labels_are_trained_on(rows):
    """Most batches have no label; held-out rows without any label are an error."""
    X, y = rows["tokens"][:2]
    few = [labels if row < 4 else [None] * len(labels) for row, labels in enumerate(y)]
    tagger = make_tagger(batch_size=2).fit(X, few)
    assert all(np.isfinite(epoch["train_loss"]) for epoch in tagger.history_)
    with pytest.raises(ValueError, match="No step of the training rows, or none of the validation rows, has a label"):
        make_tagger(patience=1, validation_fraction=0.02).fit(X, few)


@every_kind
def test_patience_holds_rows_out(kind, rows, training_data):
    X, y = rows[kind][:2]
    tagger = make_tagger(patience=2, validation_fraction=0.2).fit(X, y)
    assert [len(part) for part in training_data] == [48, 12]
    assert {"valid_loss", "valid_score"} <= tagger.history_[0].keys()


@every_kind
def test_patience_holds_whole_groups_out(kind, rows, training_data):
    X, y = rows[kind][:2]
    groups = np.arange(60) // 6
    make_tagger(patience=1, validation_fraction=0.2).fit(X, y, groups=groups)
    training, validation = training_data
    assert len(validation) == 12
    lengths = {part: sorted(part.sequences.lengths.tolist()) for part in training_data}
    whole = [sorted(len(row) for row in X[start : start + 6]) for start in range(0, 60, 6)]
    assert lengths[validation] in [sorted(one + other) for one in whole for other in whole if one is not other]
    assert len(training) == 48


def test_groups_change_the_cross_fitted_scores(rows):
    X, y, X_new, _ = rows["tokens"]
    one, other = (make_tagger().fit(X, y, groups=groups) for groups in (np.arange(60) // 2, np.arange(60) % 6))
    assert (concatenated(one.predict_proba(X_new)) != concatenated(other.predict_proba(X_new))).any()
    np.testing.assert_array_equal(one.wide_.coef_, other.wide_.coef_)


def weights_of(tagger):
    """The weights without batch statistics, which change at any learning rate."""
    return {name: value.detach().numpy().copy() for name, value in tagger.network_.named_parameters()}


@every_kind
def test_warm_start_continues_from_the_fitted_network(kind, rows):
    X, y = rows[kind][:2]
    tagger = make_tagger(warm_start=True).fit(X, y)
    before = weights_of(tagger)
    attribute = {"tokens": "tokenizer_", "ids": "vocab_size_", "series": "channel_mean_"}[kind]
    encoder = getattr(tagger, attribute)
    tagger.set_params(learning_rate=1e-9, schedule="constant").fit(*KINDS[kind](40, seed=5))
    after = weights_of(tagger)
    assert max(np.abs(after[name] - before[name]).max() for name in before) < 1e-6
    assert getattr(tagger, attribute) is encoder
    tagger.set_params(learning_rate=0.05).fit(X, y)
    assert max(np.abs(weights_of(tagger)[name] - before[name]).max() for name in before) > 1e-3


def test_warm_start_refuses_other_networks_and_labels(rows):
    X, y = rows["tokens"][:2]
    tagger = make_tagger(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="With warm_start=True and in partial_fit, wide must stay True"):
        pickled_copy(tagger).set_params(wide=False).fit(X, y)
    with pytest.raises(ValueError, match=r"y must hold the classes of the first fit, \['NAME', 'NOUN', 'VERB'\]"):
        pickled_copy(tagger).fit(X, [["x" if label == "NAME" else label for label in row] for row in y])
    with pytest.raises(ValueError, match=r"in fit the rows were lists of tokens"):
        pickled_copy(tagger).fit(*rows["ids"][:2])


# Invariances


@every_kind
def test_predictions_do_not_depend_on_batches_and_threads(kind, fitted, rows, tune):
    """One row at a time, shuffled, in other batches, on other numbers of threads."""
    X, tagger = rows[kind][2], fitted[kind]
    expected = tagger.predict_proba(X)
    for row in range(len(X)):
        assert_invariant_predictions(tagger.predict_proba([X[row]]), expected[row : row + 1])
    order = np.random.default_rng(0).permutation(len(X))
    assert_invariant_predictions(tagger.predict_proba([X[row] for row in order]), expected[order])
    for n_threads in (1, 2, 3):
        assert_invariant_predictions(pickled_copy(tagger).set_params(n_threads=n_threads).predict_proba(X), expected)
    tune(prediction_rows=7)
    assert_invariant_predictions(tagger.predict_proba(X), expected)


@pytest.mark.skipif(not is_native_enabled(), reason="other kernels can depend on the number of threads")
@every_kind
def test_fit_does_not_depend_on_the_number_of_threads(kind, fitted, rows):
    X, y, X_new, _ = rows[kind]
    for n_threads in (1, 3):
        again = make_tagger(n_threads=n_threads).fit(X, y)
        assert_equal_predictions(again.predict_proba(X_new), fitted[kind].predict_proba(X_new))


@every_kind
@pytest.mark.usefixtures("unchanged_global_state")
def test_fit_and_predict_change_no_global_state(kind, fitted, rows):
    n_threads = torch.get_num_threads()
    X, y, X_new, _ = rows[kind]
    tagger = make_tagger(n_threads=1).fit(X, y)
    tagger.predict(X_new)
    assert torch.get_num_threads() == n_threads


def test_padding_of_ids_is_ignored(fitted, rows):
    """Zeros at the ends of the rows of an array are not steps, and have no label."""
    X, y, X_new, _ = rows["ids"]
    padded = [SequencePadder(padding=side).fit_transform(X) for side in ("start", "end")]
    for each in padded:
        assert each.shape == (60, 6) and (each == 0).any()
        assert_equal_predictions(make_tagger().fit(each, y).predict_proba(X_new), fitted["ids"].predict_proba(X_new))
    assert_equal_predictions(fitted["ids"].predict_proba(padded[0]), fitted["ids"].predict_proba(X))


def test_padding_of_series_is_ignored(fitted, rows):
    X, y, X_new, _ = rows["series"]
    padded = np.full((60, 9, 2), np.nan)
    for row, series in enumerate(X):
        padded[row, : len(series)] = series
    assert_equal_predictions(make_tagger().fit(padded, y).predict_proba(X_new), fitted["series"].predict_proba(X_new))
    assert_equal_predictions(fitted["series"].predict_proba(padded), fitted["series"].predict_proba(X))


# scikit-learn's tools


@every_kind
def test_copies_predict_the_same(kind, fitted, rows):
    X, y, X_new, _ = rows[kind]
    tagger = fitted[kind]
    buffer = io.BytesIO()
    joblib.dump(tagger, buffer)
    buffer.seek(0)
    for copy in (pickle.loads(pickle.dumps(tagger)), joblib.load(buffer), clone(tagger).fit(X, y)):
        assert_equal_predictions(copy.predict_proba(X_new), tagger.predict_proba(X_new))
        assert_equal_predictions(copy.predict(X_new), tagger.predict(X_new))
    assert not hasattr(clone(tagger), "classes_")


@every_kind
def test_grid_search_and_cross_validation(kind, rows):
    X, y, X_new, y_new = rows[kind]
    search = GridSearchCV(make_tagger(max_epochs=1), {"units": [2, 3]}, cv=3).fit(X, y)
    assert search.best_params_["units"] in (2, 3)
    scores = search.cv_results_["mean_test_score"]
    assert (scores > 0.2).all() and (scores <= 1).all()
    assert search.score(X_new, y_new) == search.best_estimator_.score(X_new, y_new)
    predicted = cross_val_predict(make_tagger(max_epochs=1), X, y, cv=3)
    assert predicted.dtype == object and [len(row) for row in predicted] == [len(row) for row in X]
    first = make_tagger(max_epochs=1).fit(X[20:], y[20:])
    assert_equal_predictions(predicted[:20], first.predict(X[:20]))
    assert cross_val_score(make_tagger(max_epochs=1), X, y, cv=3)[0] == first.score(X[:20], y[:20])


def test_a_pipeline_with_a_tokenizer_passes_ids(rows):
    """Ids have no spelling, so the linear model has only the ids."""
    X, y, X_new, y_new = rows["tokens"]
    pipeline = make_pipeline(TextTokenizer(lowercase=False), make_tagger(max_epochs=6)).fit(X, y)
    tagger = pipeline[-1]
    assert tagger.input_kind_ == "ids"
    assert all("ends" not in name and "shape" not in name for name in tagger.wide_.feature_names())
    assert pipeline.score(X_new, y_new) > 0.8
    assert [len(row) for row in pipeline.predict(X_new)] == [len(row) for row in X_new]


def test_the_linear_model_uses_the_spelling_of_unknown_tokens():
    stems = [f"{first}{second}" for first in "bdfgklmnprst" for second in "aeiou"]
    rng = np.random.default_rng(0)
    X, X_new = (
        [[str(stem) + str(rng.choice(["ing", "ed"])) for stem in rng.choice(some, size=4)] for _ in range(60)]
        for some in (stems[:40], stems[40:])
    )
    y, y_new = ([[token[-1] for token in row] for row in each] for each in (X, X_new))
    assert not {token for row in X for token in row} & {token for row in X_new for token in row}
    assert make_tagger().fit(X, y).score(X_new, y_new) > 0.9
    assert make_tagger(wide=False).fit(X, y).score(X_new, y_new) < 0.75


def test_verbose_prints_a_line_per_epoch(rows, capsys):
    make_tagger(verbose=1).fit(*rows["series"][:2])
    assert len([line for line in capsys.readouterr().out.splitlines() if "accuracy" in line]) == 2


def test_rare_labels_and_unlabelled_rows_with_patience():
    """A label that occurs in one row remains in training, and rows without labels are held out in proportion."""
    X = [["a", "b"], ["b", "a"], ["a", "a", "b"]] * 20
    y = [[{"a": "A", "b": "B"}[token] for token in row] for row in X]
    for row in (3, 17, 40):
        y[row][0] = f"RARE{row}"
    for row in range(1, 60, 2):
        y[row] = [None] * len(y[row])
    for seed in range(8):
        settings = {"units": 2, "max_epochs": 1, "patience": 1, "random_state": seed, "wide": False}
        tagger = RNNTagger(**settings).fit(X, y)
        assert {"A", "B"} <= set(tagger.classes_.tolist())
        assert "valid_loss" in tagger.history_[0]


def test_a_tokenizer_that_drops_tokens_is_an_error():
    X, y = [["a", "b"]] * 10, [["A", "B"]] * 10
    tagger = RNNTagger(TextTokenizer(max_length=2, lowercase=False), units=2, max_epochs=1, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"TextTokenizer, made 2 ids from the 3 tokens in row 1 of X.*max_length"):
        tagger.predict([["a"], ["a", "b", "a"]])
