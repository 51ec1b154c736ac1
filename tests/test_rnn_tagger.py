"""`RNNTagger`: learns from tokens, ids and series, and gives a label for each step and nothing else."""

import io
import pickle
import re

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline

from seqclf import RNNTagger, SequencePadder, TextTokenizer
from seqclf._kernels.dispatch import is_native_enabled
from seqclf._label_features.tag_label_features import TagLabelFeatures

QUICK = {"units": 4, "embedding_dim": 4, "conv_filters": 4, "max_epochs": 2, "batch_size": 8, "random_state": 0}
WORDS = {"NAME": ["Ann", "Bob", "Zoë"], "VERB": ["eats", "sleeps", "sees"], "NOUN": ["fish", "cats", "bread"]}
LENGTHS = (4, 1, 6, 3, 6, 2, 5)


def token_rows(n, seed=0, lengths=LENGTHS):
    """Each word has its label, but a "saw" is what the word before it is not."""
    rng = np.random.default_rng(seed)
    X, y = [], []
    for row in range(n):
        labels = rng.choice(list(WORDS), size=lengths[row % len(lengths)]).tolist()
        X.append([str(rng.choice(WORDS[label])) for label in labels])
        y.append(labels)
        if len(labels) > 2:
            X[-1][2], y[-1][2] = "saw", "NOUN" if labels[1] == "VERB" else "VERB"
    return X, y


def id_rows(n, seed=0):
    """Whether an id is odd; of 9 whether the one before is."""
    rng = np.random.default_rng(seed)
    X = [rng.integers(1, 9, size=LENGTHS[row % len(LENGTHS)]) for row in range(n)]
    return X, [(row % 2).tolist() for row in X]


def series_rows(n, seed=0):
    """Whether the first channel is above the second."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(LENGTHS[row % len(LENGTHS)], 2)) for row in range(n)]
    return X, [row[:, 0] > row[:, 1] for row in X]


KINDS = {"tokens": token_rows, "ids": id_rows, "series": series_rows}
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(**changes):
    return RNNTagger(**(QUICK | changes))


def noisy(y, share=0.3):
    """Some of the labels are any of the labels."""
    rng, labels = np.random.default_rng(7), np.unique(joined(y)).tolist()
    return [[rng.choice(labels).item() if rng.random() < share else label for label in row] for row in y]


def joined(rows):
    return np.concatenate([np.asarray(row) for row in rows])


def assert_equal(one, other):
    """Two answers are equal to the bit."""
    assert one.dtype == other.dtype == object and len(one) == len(other)
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


def assert_same_answer(one, other):
    """To the bit where our kernels compute; others may round a matrix product of another height otherwise."""
    if is_native_enabled():
        assert_equal(one, other)
        return
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-13, strict=True)


@pytest.fixture(scope="module")
def rows():
    """60 rows to learn from and 30 new ones."""
    return {kind: (*draw(60), *draw(30, seed=1)) for kind, draw in KINDS.items()}


@pytest.fixture(scope="module")
def fitted(rows):
    """A quick model of each kind, which no test may change."""
    return {kind: make().fit(*rows[kind][:2]) for kind in KINDS}


# Learning and answers


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("tokens", {"max_epochs": 6}),
        ("tokens", {"wide": False, "max_epochs": 40, "dropout": 0.1, "learning_rate": 0.02}),
        ("ids", {"max_epochs": 6}),
        ("series", {"max_epochs": 15, "dropout": 0.0, "learning_rate": 0.02}),
    ],
)
def test_learns(kind, changes, rows):
    X, y = KINDS[kind](200)
    X_new, y_new = rows[kind][2:]
    tagger = make(units=8, embedding_dim=8, conv_filters=8).set_params(**changes).fit(X, y)
    assert tagger.score(X_new, y_new) > 0.9
    assert max(np.mean(joined(y_new) == label) for label in tagger.classes_) < 0.65, "one label for all is as good"
    assert hasattr(tagger, "wide_") == (kind != "series" and tagger.wide)


@every_kind
def test_answers_are_arrays_of_a_row_for_each_step(kind, fitted, rows):
    X, tagger = rows[kind][2], fitted[kind]
    labels, probabilities = tagger.predict(X), tagger.predict_proba(X)
    assert labels.shape == probabilities.shape == (30,) and labels.dtype == probabilities.dtype == object
    assert [len(row) for row in labels] == [len(row) for row in X]
    assert [row.shape for row in probabilities] == [(len(row), len(tagger.classes_)) for row in X]
    assert {row.dtype for row in labels} == {tagger.classes_.dtype}
    flat = joined(probabilities)
    np.testing.assert_allclose(flat.sum(axis=1), 1, rtol=1e-12)
    assert flat.min() >= 0
    assert joined(labels).tolist() == tagger.classes_[flat.argmax(axis=1)].tolist()
    assert len(set(joined(labels).tolist())) > 1


@every_kind
def test_equal_lengths_are_arrays_of_arrays_too(kind, fitted, rows):
    X = [row for row in rows[kind][2] if len(row) == 6]
    tagger = fitted[kind]
    assert len(X) > 3
    for method in (tagger.predict, tagger.predict_proba):
        answer = method(X)
        assert answer.shape == (len(X),) and answer.dtype == object
    again = make().fit(X, [label[:6] for label in rows[kind][3] if len(label) == 6])
    assert again.predict(X).shape == (len(X),)


@every_kind
def test_an_empty_sequence_has_no_label(kind, fitted, rows):
    empty = np.empty((0, 2)) if kind == "series" else []
    X = [rows[kind][2][0], empty]
    assert fitted[kind].predict(X)[1].shape == (0,)
    assert fitted[kind].predict_proba(X)[1].shape == (0, len(fitted[kind].classes_))
    X, y = rows[kind][:2]
    assert_equal(make().fit([*X, empty], [*y, []]).predict([empty]), fitted[kind].predict([empty]))


@every_kind
def test_score_counts_steps(kind, fitted, rows):
    X, y, tagger = rows[kind][2], noisy(rows[kind][3]), fitted[kind]
    weights = np.random.default_rng(0).random(len(X))
    hits, total, weighted, weight_of_all = 0, 0, 0.0, 0.0
    for found, labels, weight in zip(tagger.predict(X), y, weights, strict=True):
        for one, other in zip(found, labels, strict=True):
            hits, total = hits + (one == other), total + 1
            weighted, weight_of_all = weighted + weight * (one == other), weight_of_all + weight
    assert 0 < hits < total
    assert tagger.score(X, y) == hits / total
    assert tagger.score(X, y, weights) == pytest.approx(weighted / weight_of_all, rel=1e-12)
    wrong = [[None for _ in row] for row in y]
    wrong[3] = list(y[3])
    assert tagger.score(X, wrong) == np.mean(tagger.predict(X)[3] == np.asarray(y[3]))
    assert np.isnan(tagger.score(X, [[None] * len(row) for row in y]))


def test_score_never_hits_a_label_that_fit_has_not_seen(fitted, rows):
    X = rows["tokens"][2]
    assert fitted["tokens"].score(X, [["NEW"] * len(row) for row in X]) == 0


@every_kind
def test_hidden_states_have_a_row_for_each_step(kind, fitted, rows):
    states = fitted[kind].hidden_states(rows[kind][2])
    assert [each.shape for each in states] == [(len(row), 8) for row in rows[kind][2]]
    assert np.isfinite(joined(states)).all() and joined(states).std() > 0


def test_frames_and_other_forms(rows):
    X, y, X_new, _ = rows["tokens"]
    expected = make().fit(X, y).predict_proba(X_new)
    forms = [
        ([tuple(row) for row in X], [np.array(row) for row in y]),
        (pd.Series(X), pd.Series(y)),
        ([np.array(row, dtype=object) for row in X], pd.Series(y).to_numpy()),
        (pd.DataFrame({"tokens": X}), y),
        (pl.DataFrame({"tokens": X}), pl.Series(y)),
    ]
    for rows_of_form, labels in forms:
        assert_equal(make().fit(rows_of_form, labels).predict_proba(X_new), expected)


def test_a_frame_of_ids_has_a_column_for_each_step(rows):
    X, y = rows["ids"][:2]
    padded = SequencePadder().fit_transform(X)
    tagger = make().fit(pd.DataFrame(padded).add_prefix("step "), y)
    assert tagger.input_kind_ == "ids"
    assert_equal(tagger.predict(pd.DataFrame(padded).add_prefix("step ")), make().fit(padded, y).predict(padded))


# Steps without a label, weights


def test_what_a_step_without_a_label_is_called_makes_no_difference(rows):
    """It is read: the model isn't the one of the rows without it."""
    X, y, X_new, _ = rows["tokens"]
    hidden = [[None if step % 3 == 1 else label for step, label in enumerate(row)] for row in y]
    tagger = make().fit(X, hidden)
    assert tagger.classes_.tolist() == sorted(WORDS)
    assert np.isfinite(joined(tagger.predict_proba(X_new))).all()
    shorter_X = [[token for step, token in enumerate(row) if step % 3 != 1] for row in X]
    shorter_y = [[label for label in row if label is not None] for row in hidden]
    other = make().fit(shorter_X, shorter_y)
    assert (joined(tagger.predict_proba(X_new)) != joined(other.predict_proba(X_new))).any()


@every_kind
def test_validation_without_labels_on_some_steps(kind, rows):
    X, y, X_val, y_val = rows[kind]
    y_val = [[None if step == 0 and len(row) > 1 else label for step, label in enumerate(row)] for row in y_val]
    tagger = make(max_epochs=1).fit(X, y, X_val=X_val, y_val=y_val)
    assert tagger.history_[0]["valid_score"] == pytest.approx(tagger.score(X_val, y_val), rel=1e-6)


@every_kind
def test_a_row_of_weight_0_is_no_row(kind, rows):
    X, y, X_new, _ = rows[kind]
    weights = np.ones(60)
    weights[[3, 17]] = 0
    kept = np.flatnonzero(weights)
    one = make().fit(X, y, sample_weight=weights)
    other = make().fit([X[i] for i in kept], [y[i] for i in kept])
    assert_equal(one.predict_proba(X_new), other.predict_proba(X_new))
    with pytest.raises(ValueError, match="y has no label among the rows with a sample_weight above 0"):
        make().fit(X, [y[0], *([None] * len(row) for row in y[1:])], sample_weight=[0] + [1] * 59)


@every_kind
def test_weights_matter(kind, rows):
    X, y, X_new = rows[kind][0], noisy(rows[kind][1]), rows[kind][2]
    plain = make().fit(X, y)
    expected = joined(plain.predict_proba(X_new))
    by_row = make().fit(X, y, sample_weight=np.linspace(0.1, 5, 60))
    assert np.abs(joined(by_row.predict_proba(X_new)) - expected).max() > 1e-3
    first, *others = plain.classes_.tolist()
    by_class = make(class_weight={first: 9.0} | dict.fromkeys(others, 1.0)).fit(X, y)
    assert joined(by_class.predict_proba(X_new))[:, 0].mean() > expected[:, 0].mean() + 0.01


@every_kind
def test_every_labelled_step_counts_as_its_row_and_its_class(kind, rows, parts):
    X, y = rows[kind][0], [[None if step == 1 else label for step, label in enumerate(row)] for row in rows[kind][1]]
    weights = np.linspace(0.5, 2, 60)
    first = sorted({label for row in y for label in row if label is not None})[0]
    others = {label: 1.0 for row in y for label in row if label is not None}
    make(class_weight=others | {first: 3.0}).fit(X, y, sample_weight=weights)
    of_rows = np.repeat(weights, [len(row) for row in X])
    of_labels = np.array([0 if label is None else 3 if label == first else 1 for row in y for label in row])
    for found, expected in (
        (parts[0].weights, of_rows * of_labels),
        (parts[0].score_weights, of_rows * (of_labels > 0)),
    ):
        np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-6)


@pytest.fixture
def told(monkeypatch):
    """What the linear models of fits were told."""
    seen = []
    learn = TagLabelFeatures.fit_transform

    def spy(self, sequences, supervision):
        seen.append(supervision)
        return learn(self, sequences, supervision)

    monkeypatch.setattr(TagLabelFeatures, "fit_transform", spy)
    return seen


@pytest.mark.parametrize("kind", ["tokens", "ids"])
def test_the_linear_model_leaves_out_whole_sequences_and_groups(kind, rows, told):
    X, y = rows[kind][:2]
    hidden = [[None if step == 1 else label for step, label in enumerate(row)] for row in y]
    groups, weights = np.arange(60) // 4, np.linspace(0.5, 2, 60)
    make().fit(X, hidden, sample_weight=weights)
    make().fit(X, hidden, sample_weight=weights, groups=groups)
    lengths = np.array([len(row) for row in X])
    labelled = np.array([label is not None for row in hidden for label in row])
    for supervision, unit in zip(told, (np.arange(60), groups), strict=True):
        pairs = set(zip(np.repeat(unit, lengths).tolist(), supervision.fold.tolist(), strict=True))
        assert len(pairs) == len(set(unit.tolist())) and set(supervision.fold.tolist()) == {0, 1, 2, 3, 4}
        for found in (supervision.weights, supervision.loss_weights):
            np.testing.assert_allclose(found / found.max(), np.repeat(weights / 2, lengths) * labelled, rtol=1e-12)


def test_balanced_counts_steps(rows):
    X, y, X_new, _ = rows["tokens"]
    labels, counts = np.unique(joined(y), return_counts=True)
    weights = {label: counts.sum() / (3 * count) for label, count in zip(labels.tolist(), counts.tolist(), strict=True)}
    one, other = (make(class_weight=each).fit(X, y).predict_proba(X_new) for each in ("balanced", weights))
    np.testing.assert_allclose(joined(one), joined(other), rtol=1e-6)


# Validation, groups, warm starts


@every_kind
def test_validation_rows(kind, rows):
    X, y, X_val, y_val = rows[kind]
    tagger = make(patience=1, tol=10.0, max_epochs=9).fit(X, y, X_val=X_val, y_val=y_val)
    assert tagger.n_iter_ == 2 and tagger.best_epoch_ == 1, "no loss falls by 10"
    assert tagger.history_[0]["valid_score"] == pytest.approx(tagger.score(X_val, y_val), rel=1e-6)
    logs = np.log(joined(tagger.predict_proba(X_val)))
    codes = np.searchsorted(tagger.classes_, joined(y_val))
    assert tagger.history_[0]["valid_loss"] == pytest.approx(
        -logs[np.arange(len(codes)), codes].mean(), rel=1e-5, abs=1e-7
    )


def test_few_rows_with_labels(rows):
    """Most batches have no label; where the rows that are held out have none, a message says so."""
    X, y = rows["tokens"][:2]
    few = [labels if row < 4 else [None] * len(labels) for row, labels in enumerate(y)]
    tagger = make(batch_size=2).fit(X, few)
    assert all(np.isfinite(epoch["train_loss"]) for epoch in tagger.history_)
    with pytest.raises(ValueError, match="No step of the rows, or of the validation rows, has a label"):
        make(patience=1, validation_fraction=0.02).fit(X, few)


@every_kind
def test_rows_held_out_for_patience(kind, rows, parts):
    X, y = rows[kind][:2]
    tagger = make(patience=2, validation_fraction=0.2).fit(X, y)
    assert [len(part) for part in parts] == [48, 12]
    assert {"valid_loss", "valid_score"} <= tagger.history_[0].keys()


@every_kind
def test_whole_groups_are_held_out(kind, rows, parts):
    X, y = rows[kind][:2]
    groups = np.arange(60) // 6
    make(patience=1, validation_fraction=0.2).fit(X, y, groups=groups)
    training, validation = parts
    assert len(validation) == 12
    lengths = {part: sorted(part.sequences.lengths.tolist()) for part in parts}
    whole = [sorted(len(row) for row in X[start : start + 6]) for start in range(0, 60, 6)]
    assert lengths[validation] in [sorted(one + other) for one in whole for other in whole if one is not other]
    assert len(training) == 48


def test_groups_keep_the_scores_of_the_linear_model_apart(rows):
    X, y, X_new, _ = rows["tokens"]
    one, other = (make().fit(X, y, groups=groups) for groups in (np.arange(60) // 2, np.arange(60) % 6))
    assert (joined(one.predict_proba(X_new)) != joined(other.predict_proba(X_new))).any()
    np.testing.assert_array_equal(one.wide_.coef_, other.wide_.coef_)


def weights_of(tagger):
    """Without the statistics of batches, which no learning rate holds back."""
    return {name: value.detach().numpy().copy() for name, value in tagger.network_.named_parameters()}


@every_kind
def test_warm_start_goes_on(kind, rows):
    X, y = rows[kind][:2]
    tagger = make(warm_start=True).fit(X, y)
    before = weights_of(tagger)
    known = tagger.tokenizer_ if kind == "tokens" else tagger.vocab_size_ if kind == "ids" else tagger.channel_mean_
    tagger.set_params(learning_rate=1e-9, schedule="constant").fit(*KINDS[kind](40, seed=5))
    after = weights_of(tagger)
    assert max(np.abs(after[name] - before[name]).max() for name in before) < 1e-6
    now = tagger.tokenizer_ if kind == "tokens" else tagger.vocab_size_ if kind == "ids" else tagger.channel_mean_
    assert now is known
    tagger.set_params(learning_rate=0.05).fit(X, y)
    assert max(np.abs(weights_of(tagger)[name] - before[name]).max() for name in before) > 1e-3


def test_warm_start_refuses_another_network_and_other_labels(rows):
    X, y = rows["tokens"][:2]
    tagger = make(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="With warm_start=True and in partial_fit, wide must stay True"):
        clone_of(tagger).set_params(wide=False).fit(X, y)
    with pytest.raises(ValueError, match=r"y must hold the classes of the first fit, \['NAME', 'NOUN', 'VERB'\]"):
        clone_of(tagger).fit(X, [["x" if label == "NAME" else label for label in row] for row in y])
    with pytest.raises(ValueError, match=r"in fit they were lists of tokens"):
        clone_of(tagger).fit(*rows["ids"][:2])


def clone_of(tagger):
    """With what it has learned."""
    return pickle.loads(pickle.dumps(tagger))


# Legal sequences of labels


def bio_rows(n, seed=0):
    """Noise: what each step is most probably is often not legal."""
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


def test_bio_gives_only_legal_labels():
    X, y = bio_rows(60)
    X_new = [row[::-1] for row in bio_rows(60, seed=1)[0]]
    free, legal = make().fit(X, y), make(transitions="bio").fit(X, y)
    assert_equal(free.predict_proba(X_new), legal.predict_proba(X_new))
    assert n_illegal(y) == 0 and n_illegal(free.predict(X_new)) > 0
    found = legal.predict(X_new)
    assert n_illegal(found) == 0 and [len(row) for row in found] == [len(row) for row in X_new]
    assert len(set(joined(found).tolist())) > 2
    for row, together in zip(X_new, found, strict=True):
        assert legal.predict([row])[0].tolist() == together.tolist()


def test_bio_refuses_other_labels(rows):
    with pytest.raises(ValueError, match=r"transitions=\"bio\" needs labels that are \"O\".*y holds 'NAME'"):
        make(transitions="bio").fit(*rows["tokens"][:2])


# One answer for one sequence


@every_kind
def test_a_sequence_has_one_answer(kind, fitted, rows, tune):
    """Alone, shuffled, in other batches, on other numbers of threads."""
    X, tagger = rows[kind][2], fitted[kind]
    expected = tagger.predict_proba(X)
    for row in range(len(X)):
        assert_same_answer(tagger.predict_proba([X[row]]), expected[row : row + 1])
    order = np.random.default_rng(0).permutation(len(X))
    assert_same_answer(tagger.predict_proba([X[row] for row in order]), expected[order])
    for n_threads in (1, 2, 3):
        assert_same_answer(clone_of(tagger).set_params(n_threads=n_threads).predict_proba(X), expected)
    tune(prediction_rows=7)
    assert_same_answer(tagger.predict_proba(X), expected)


@pytest.mark.skipif(not is_native_enabled(), reason="other kernels may depend on the number of threads")
@every_kind
def test_fit_is_the_same_on_any_number_of_threads(kind, fitted, rows):
    X, y, X_new, _ = rows[kind]
    for n_threads in (1, 3):
        again = make(n_threads=n_threads).fit(X, y)
        assert_equal(again.predict_proba(X_new), fitted[kind].predict_proba(X_new))


@every_kind
@pytest.mark.usefixtures("unchanged_global_state")
def test_the_world_is_as_it_was_found(kind, fitted, rows):
    n_threads = torch.get_num_threads()
    X, y, X_new, _ = rows[kind]
    tagger = make(n_threads=1).fit(X, y)
    tagger.predict(X_new)
    assert torch.get_num_threads() == n_threads


def test_padding_of_ids_is_not_seen(fitted, rows):
    """Zeros at the ends of an array's rows are no steps, and have no label."""
    X, y, X_new, _ = rows["ids"]
    padded = [SequencePadder(padding=side).fit_transform(X) for side in ("start", "end")]
    for each in padded:
        assert each.shape == (60, 6) and (each == 0).any()
        assert_equal(make().fit(each, y).predict_proba(X_new), fitted["ids"].predict_proba(X_new))
    assert_equal(fitted["ids"].predict_proba(padded[0]), fitted["ids"].predict_proba(X))


def test_padding_of_series_is_not_seen(fitted, rows):
    X, y, X_new, _ = rows["series"]
    padded = np.full((60, 9, 2), np.nan)
    for row, series in enumerate(X):
        padded[row, : len(series)] = series
    assert_equal(make().fit(padded, y).predict_proba(X_new), fitted["series"].predict_proba(X_new))
    assert_equal(fitted["series"].predict_proba(padded), fitted["series"].predict_proba(X))


# Mistakes


@every_kind
def test_rows_that_differ_in_length_are_named(kind, fitted, rows):
    X, y, X_val, y_val = rows[kind]
    short = [*y[:4], list(y[4])[:-1], *y[5:]]
    words = "Row 4 of y has 5 targets, but row 4 of X has 6 steps: expected one target for each step."
    with pytest.raises(ValueError, match=re.escape(words)):
        make().fit(X, short)
    with pytest.raises(ValueError, match=re.escape("Row 0 of y_val has 5 targets, but row 0 of X_val has 4 steps")):
        make().fit(X, y, X_val=X_val, y_val=[[*y_val[0], y_val[0][0]], *y_val[1:]])
    with pytest.raises(ValueError, match=re.escape("Row 4 of y has 5 targets, but row 4 of X has 6 steps")):
        fitted[kind].score(X, short)
    with pytest.raises(ValueError, match=re.escape("y has 59 rows, but X has 60")):
        make().fit(X, y[:-1])


def test_texts_are_refused_with_advice(fitted, rows):
    y = rows["tokens"][1]
    texts = [" ".join(row) for row in rows["tokens"][0]]
    with pytest.raises(ValueError, match=r"X holds texts, but .*: split them into lists of tokens, \[text.split\(\)"):
        make().fit(texts, y)
    with pytest.raises(ValueError, match="in fit they were lists of tokens"):
        fitted["tokens"].predict(texts)


@pytest.mark.parametrize("wrong", [csr_array(np.eye(4)), {"a": 1}, None, 3])
def test_what_is_no_container_of_rows_is_refused(wrong, fitted):
    words = "dense data is required" if isinstance(wrong, csr_array) else "expected a list, an array"
    with pytest.raises(TypeError, match=words):
        make().fit(wrong, [[0, 1]] * 4)
    with pytest.raises(TypeError, match=words):
        fitted["tokens"].predict(wrong)


def test_what_is_not_there_before_fit(fitted):
    for method in ("predict", "predict_proba", "hidden_states"):
        with pytest.raises(NotFittedError):
            getattr(make(), method)([["a"]])
    with pytest.raises(AttributeError, match="RNNTagger has no wide_: it is not fitted"):
        make().wide_  # noqa: B018
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
def test_bad_input_leaves_the_estimator_as_it_was(changes, y, words, rows):
    X, labels, X_new, _ = rows["tokens"]
    tagger = make().fit(X, labels)
    expected, names = tagger.predict_proba(X_new), set(vars(tagger))
    wrong = {
        None: labels,
        "one": [["a"] * len(row) for row in X],
        "flat": ["NOUN"] * 60,
        "nothing": [[None] * len(row) for row in X],
    }[y]
    with pytest.raises(ValueError, match=words):
        tagger.set_params(**changes).fit(X, wrong)
    assert set(vars(tagger)) == names
    tagger.set_params(**{name: QUICK.get(name, getattr(RNNTagger(), name)) for name in changes})
    assert_equal(tagger.predict_proba(X_new), expected)
    with pytest.raises(ValueError, match="Row 59 of y has"):
        tagger.fit(rows["series"][0], [*rows["series"][1][:-1], [True] * 99])
    assert set(vars(tagger)) == names
    assert_equal(tagger.predict_proba(X_new), expected)


LEARNED = {
    "tokens": {"input_kind_", "tokenizer_", "vocab_size_"},
    "ids": {"input_kind_", "vocab_size_"},
    "series": {"n_channels_in_", "channel_mean_", "channel_scale_"},
}


@pytest.mark.parametrize("second", KINDS)
@every_kind
def test_a_refit_forgets_the_first_fit(kind, second, fitted, rows):
    tagger = make().fit(*rows[kind][:2]).fit(*rows[second][:2])
    others = {name for names in LEARNED.values() for name in names} - LEARNED[second]
    assert {name for name in others if hasattr(tagger, name)} == set()
    assert all(hasattr(tagger, name) for name in LEARNED[second])
    assert hasattr(tagger, "wide_") == (second != "series")
    assert_equal(tagger.predict_proba(rows[second][2]), fitted[second].predict_proba(rows[second][2]))


def test_tables_of_one_number_a_step():
    """Their number of steps is known, until a fit to other series."""
    X = np.random.default_rng(0).normal(size=(20, 5))
    tagger = make().fit(X, X > 0)
    assert tagger.n_features_in_ == 5 and tagger.predict(X).shape == (20,)
    tagger.fit(*token_rows(20))
    assert not hasattr(tagger, "n_features_in_")
    frame = pd.DataFrame(X, columns=list("abcde"))
    assert_equal(make().fit(frame, X > 0).predict_proba(frame), make().fit(X, X > 0).predict_proba(X))


def test_labels_of_unequal_length_next_to_a_frame():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 5)))
    with pytest.raises(ValueError, match="Row 0 of y has 1 targets, but row 0 of X has 5 steps"):
        make().fit(X, [[True] * (1 + row % 5) for row in range(20)])


# scikit-learn's tools


@every_kind
def test_copies_are_equal_to_the_bit(kind, fitted, rows):
    X, y, X_new, _ = rows[kind]
    tagger = fitted[kind]
    buffer = io.BytesIO()
    joblib.dump(tagger, buffer)
    buffer.seek(0)
    for copy in (pickle.loads(pickle.dumps(tagger)), joblib.load(buffer), clone(tagger).fit(X, y)):
        assert_equal(copy.predict_proba(X_new), tagger.predict_proba(X_new))
        assert_equal(copy.predict(X_new), tagger.predict(X_new))
    assert not hasattr(clone(tagger), "classes_")


@every_kind
def test_search_and_cross_validation(kind, rows):
    X, y, X_new, y_new = rows[kind]
    search = GridSearchCV(make(max_epochs=1), {"units": [2, 3]}, cv=3).fit(X, y)
    assert search.best_params_["units"] in (2, 3)
    scores = search.cv_results_["mean_test_score"]
    assert (scores > 0.2).all() and (scores <= 1).all()
    assert search.score(X_new, y_new) == search.best_estimator_.score(X_new, y_new)
    predicted = cross_val_predict(make(max_epochs=1), X, y, cv=3)
    assert predicted.dtype == object and [len(row) for row in predicted] == [len(row) for row in X]
    first = make(max_epochs=1).fit(X[20:], y[20:])
    assert_equal(predicted[:20], first.predict(X[:20]))
    assert cross_val_score(make(max_epochs=1), X, y, cv=3)[0] == first.score(X[:20], y[:20])


def test_a_tokenizer_in_front(rows):
    """Then there is no spelling, and the linear model has the ids alone."""
    X, y, X_new, y_new = rows["tokens"]
    pipeline = make_pipeline(TextTokenizer(lowercase=False), make(max_epochs=6)).fit(X, y)
    tagger = pipeline[-1]
    assert tagger.input_kind_ == "ids"
    assert all("ends" not in name and "shape" not in name for name in tagger.wide_.feature_names())
    assert pipeline.score(X_new, y_new) > 0.8
    assert [len(row) for row in pipeline.predict(X_new)] == [len(row) for row in X_new]


def test_ids_that_are_numbered_anew_keep_their_names(rows):
    X, y, X_new, _ = rows["ids"]
    large = 10**12
    tagger = make().fit([[large + id_ for id_ in row.tolist()] for row in X], y)
    assert tagger.vocab_size_ == 2 + 8
    assert {f"is {large + id_}" for id_ in range(1, 9)} <= set(tagger.wide_.feature_names())
    found = tagger.predict([[large + id_ for id_ in row.tolist()] for row in X_new])
    assert joined(found).tolist() == [id_ % 2 for row in X_new for id_ in row.tolist()]


def test_capitals_are_kept(fitted, rows):
    names = fitted["tokens"].wide_.feature_names()
    assert "is Ann" in names and "ends hs" not in names and "ends sh" in names
    assert "Ann" in fitted["tokens"].tokenizer_.tokens_
    lower = make(tokenizer=TextTokenizer()).fit(*rows["tokens"][:2])
    assert "ann" in lower.tokenizer_.tokens_ and "is Ann" not in lower.wide_.feature_names()


def test_unknown_tokens_are_read_by_their_spelling():
    stems = [f"{first}{second}" for first in "bdfgklmnprst" for second in "aeiou"]
    rng = np.random.default_rng(0)
    X, X_new = (
        [[str(stem) + str(rng.choice(["ing", "ed"])) for stem in rng.choice(some, size=4)] for _ in range(60)]
        for some in (stems[:40], stems[40:])
    )
    y, y_new = ([[token[-1] for token in row] for row in each] for each in (X, X_new))
    assert not {token for row in X for token in row} & {token for row in X_new for token in row}
    assert make().fit(X, y).score(X_new, y_new) > 0.9
    assert make(wide=False).fit(X, y).score(X_new, y_new) < 0.75


def test_verbose_prints_a_line_an_epoch(rows, capsys):
    make(verbose=1).fit(*rows["series"][:2])
    assert len([line for line in capsys.readouterr().out.splitlines() if "accuracy" in line]) == 2


def test_rare_labels_and_unlabelled_rows_do_not_stop_early_stopping():
    """A label of a single row stays in training, and rows without labels are held out in their share."""
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


def test_a_tokenizer_that_drops_tokens_is_named():
    X, y = [["a", "b"]] * 10, [["A", "B"]] * 10
    tagger = RNNTagger(TextTokenizer(max_length=2, lowercase=False), units=2, max_epochs=1, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"TextTokenizer, has made 2 ids of the 3 tokens in row 1 of X.*max_length"):
        tagger.predict([["a"], ["a", "b", "a"]])


def test_spans_without_a_kind_can_be_predicted():
    X = [["o", "b", "i"], ["b", "i", "i"]] * 30
    y = [[{"o": "O", "b": "B-", "i": "I-"}[token] for token in row] for row in X]
    tagger = RNNTagger(units=4, transitions="bio", random_state=0).fit(X, y)
    assert [row.tolist() for row in tagger.predict(X[:2])] == y[:2]


def test_score_refuses_labels_of_another_type(fitted, rows):
    X, y, _, _ = rows["tokens"]
    numbers = [[3] * len(row) for row in y]
    with pytest.raises(ValueError, match="Row 0 of y holds 3, a int, at step 0, but the classes of fit are of str"):
        fitted["tokens"].score(X, numbers)
