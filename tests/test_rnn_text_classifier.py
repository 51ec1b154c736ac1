"""RNNTextClassifier: the features of `nb_ngrams`, the rows that they are learned from, and cross-fitting."""

import pickle
from functools import partial

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import _factories
from _factories import ragged_ids, step_features_by_row
from seqclf import RNNTextClassifier, TextTokenizer, _fit
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._label_features.log_count_ratios import LogCountRatios
from seqclf._label_features.ngrams import NGrams
from seqclf._label_features.supervision import Supervision
from seqclf._nn.sequence_batch import SequenceBatch
from seqclf._tasks.classification import Classification

QUICK = {
    "units": 4,
    "embedding_dim": 5,
    "batch_size": 8,
    "max_epochs": 2,
    "learning_rate": 0.01,
    "schedule": "constant",
    "patience": None,
    "nb_ngrams": 2,
    "wide": False,
    "random_state": 0,
    "n_threads": 1,
}
WORDS = "amber brick cedar delta ember flint grape hazel".split()
text_classifier = partial(RNNTextClassifier, **QUICK)
make_texts = partial(_factories.make_texts, WORDS)
TEXTS, CODES = make_texts()


def memberships_of(codes):
    task = Classification()
    return task.supervision_targets(task.fit(codes, None))


def fitted_ratios(ids, codes, n_orders, vocab_size, weights=None, fold=None):
    """The ratios of these rows, fitted without an estimator, and the rows with their features."""
    n = len(ids)
    weights = np.ones(n) if weights is None else weights
    fold = np.zeros(n, dtype=np.int64) if fold is None else fold
    supervision = Supervision(memberships_of(codes), weights, np.ones(n), fold, calibrate=None)
    ngrams = NGrams(n_orders, vocab_size)
    ratios = LogCountRatios(ngrams, n_orders)
    return ratios, EncodedSequences(
        ids, ratios.fit_transform(list(ngrams.fit_transform(ids, limit=2**22)), supervision)
    )


def with_ratios(ratios, ids):
    """Rows that are not training rows, with their features."""
    return EncodedSequences(ids, ratios.transform(ratios.ngrams.transform(ids), len(ids)))


def assert_same_ratios(one, other):
    for ours, theirs in zip(one.tables_, other.tables_, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(one.ngrams.of_tokens_, other.ngrams.of_tokens_)
    for ours, theirs in zip(one.ngrams.longer_, other.ngrams.longer_, strict=True):
        np.testing.assert_array_equal(ours.keys, theirs.keys)
        np.testing.assert_array_equal(ours.ids, theirs.ids)


def assert_no_ratios(encoded):
    assert isinstance(encoded, EncodedSequences) and isinstance(encoded.steps, Ragged)
    assert encoded.features is None and encoded.scores is None


# Which ratios there are


@pytest.mark.parametrize("kind", ["texts", "tokens", "ids"])
@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("nb_ngrams", [1, 3])
def test_nb_ratios_are_those_of_the_token_ids(kind, n_classes, nb_ngrams):
    texts, codes = make_texts(80, n_classes)
    ids = TextTokenizer().fit_transform(texts)
    X = {"texts": texts, "tokens": [text.split() for text in texts], "ids": list(ids)}[kind]
    labels = np.array([f"class {code:02}" for code in range(n_classes)])[codes]
    fitted = text_classifier(nb_ngrams=nb_ngrams).fit(X, labels)
    expected, _ = fitted_ratios(ragged_ids(ids), codes, nb_ngrams, fitted.vocab_size_)
    assert_same_ratios(fitted.nb_ratios_, expected)
    n_step_features = nb_ngrams * (1 if n_classes == 2 else n_classes)
    network = fitted.network_
    assert network.config.n_step_features == n_step_features
    assert network.recurrent.layers[0].directions[0].weight_input.shape[1] == 5 + n_step_features
    assert fitted.n_parameters_ == sum(parameter.numel() for parameter in network.parameters())
    assert fitted.predict_proba(X).shape == (80, n_classes)

    encoded = with_ratios(fitted.nb_ratios_, ragged_ids(ids))
    with torch.inference_mode():
        features = torch.from_numpy(encoded.step_features)
        values = torch.from_numpy(encoded.steps.values).long()
        logits = network(SequenceBatch(values, encoded.lengths, step_features=features))
    found = fitted.decision_function(X).reshape(80, -1)
    np.testing.assert_allclose(found, logits.numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[0], network.head.bias.detach().numpy(), rtol=1e-6)  # the text without a word


@pytest.mark.parametrize("wide", [False, True])
def test_nb_ratios_are_absent_for_more_than_ten_classes(wide, training_data):
    """The input of a step would be too wide. The linear model has the same information."""
    texts, codes = make_texts(110, 11)
    fitted = text_classifier(wide=wide).fit(texts, codes)
    assert not hasattr(fitted, "nb_ratios_") and fitted.network_.config.n_step_features == 0
    assert training_data[0].sequences.features is None
    assert hasattr(fitted, "wide_") == wide == (training_data[0].sequences.scores is not None)
    assert fitted.predict_proba(texts).shape == (110, 11)


def test_nb_ratios_are_absent_without_nb_ngrams(training_data):
    fitted = text_classifier(nb_ngrams=0).fit(TEXTS, CODES)
    assert not hasattr(fitted, "nb_ratios_")
    assert_no_ratios(training_data[0].sequences)
    assert fitted.network_.config.n_step_features == 0
    assert fitted.network_.recurrent.layers[0].directions[0].weight_input.shape[1] == 5
    refitted = text_classifier(nb_ngrams=2).fit(TEXTS, CODES).set_params(nb_ngrams=0).fit(TEXTS, CODES)
    assert not hasattr(refitted, "nb_ratios_")
    np.testing.assert_array_equal(refitted.decision_function(TEXTS), fitted.decision_function(TEXTS))


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        (4_081, {"embedding_dim": None, "cell": "rnn", "units": 8}),
        (8_209, {"embedding_dim": 16, "cell": "rnn", "units": 8}),
        # Two features per token: 2 x 8 more weights in the recurrence, and 2 in the last layer.
        (8_209 + 18, {"embedding_dim": 16, "cell": "rnn", "units": 8, "nb_ngrams": 2}),
        (4_081 + 18, {"embedding_dim": None, "cell": "rnn", "units": 8, "nb_ngrams": 2}),
    ],
)
def test_n_parameters_of_textbook_networks(expected, changes):
    X = [[2, 499], [3, 4]]
    settings = {"nb_ngrams": 0, "bidirectional": False, "pooling": "last", "max_epochs": 1} | changes
    assert text_classifier(**settings).fit(X, [0, 1]).n_parameters_ == expected


@pytest.mark.parametrize("changes", [{}, {"embedding_dim": None}])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_prediction_does_not_depend_on_the_other_rows(changes, n_classes):
    texts, codes = make_texts(60, n_classes)
    fitted = text_classifier(nb_ngrams=3, **changes).fit(texts, codes)
    new = [*make_texts(30, seed=1)[0], "", "unseen words amber brick"]
    together = fitted.decision_function(new)
    assert len(np.unique(together.round(6), axis=0)) > 20
    for text, logits in zip(new, together, strict=True):
        np.testing.assert_array_equal(fitted.decision_function([text])[0], logits)
    np.testing.assert_array_equal(fitted.decision_function(new[::-1]), together[::-1])


def test_nb_ngrams_help_if_rows_are_few():
    """Sixty words per class, each in a few rows: two epochs are too few to learn them without the ratios."""
    rng = np.random.default_rng(0)
    words = np.array([f"word{index}" for index in range(400)])
    y = np.arange(220) % 2
    texts = [" ".join(rng.choice(np.concatenate((words[code * 60 :][:60], words[120:])), 25)) for code in y]
    settings = {"max_epochs": 2, "units": 8, "dropout": 0.2}
    with_ratios, without = (
        text_classifier(nb_ngrams=n, **settings).fit(texts[:80], y[:80]).score(texts[80:], y[80:]) for n in (1, 0)
    )
    assert with_ratios > 0.75 and with_ratios > without + 0.1


# Which rows the ratios are learned from


def test_nb_ratios_ignore_rows_of_weight_zero(training_data):
    weights = (np.arange(40) % 4 > 0).astype(float)
    nonzero = np.flatnonzero(weights)
    zeroed = text_classifier().fit(TEXTS, CODES, sample_weight=weights)
    zeroed_sequences = training_data[0].sequences
    removed = text_classifier().fit([TEXTS[row] for row in nonzero], CODES[nonzero])
    assert_same_ratios(zeroed.nb_ratios_, removed.nb_ratios_)
    np.testing.assert_array_equal(zeroed_sequences.step_features, training_data[0].sequences.step_features)
    whole = text_classifier().fit(TEXTS, CODES)
    assert not np.array_equal(zeroed.nb_ratios_.tables_[0], whole.nb_ratios_.tables_[0])


def test_nb_ratios_use_sample_weight_but_not_class_weight():
    weights = np.random.default_rng(0).uniform(0.2, 5, size=40)
    plain, weighted = text_classifier().fit(TEXTS, CODES), text_classifier().fit(TEXTS, CODES, sample_weight=weights)
    ids = weighted.tokenizer_.transform(TEXTS)
    expected, _ = fitted_ratios(ragged_ids(ids), CODES, 2, weighted.vocab_size_, weights)
    assert_same_ratios(weighted.nb_ratios_, expected)
    balanced = text_classifier(class_weight={0: 1, 1: 9}).fit(TEXTS, CODES)
    assert_same_ratios(balanced.nb_ratios_, plain.nb_ratios_)


@pytest.mark.parametrize("scale", [1e-320, 1e300])
def test_sample_weight_can_be_of_any_size(scale):
    plain = text_classifier().fit(TEXTS, CODES)
    scaled = text_classifier().fit(TEXTS, CODES, sample_weight=np.full(40, scale))
    np.testing.assert_allclose(scaled.decision_function(TEXTS), plain.decision_function(TEXTS), rtol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_held_out_rows_get_the_ratios_of_the_training_rows(training_data, n_classes):
    """The validation split is made before anything is learned from labels."""
    texts, codes = make_texts(80, n_classes)
    weights = np.random.default_rng(0).uniform(0.2, 5, size=80)
    settings = {"patience": 1, "validation_fraction": 0.25, "random_state": 3}
    # The last word of a text identifies its row.
    texts = [f"{text} row{row}" for row, text in enumerate(texts)]
    fitted = text_classifier(**settings).fit(texts, codes, sample_weight=weights)
    training, validation = training_data
    row_of = {fitted.tokenizer_.vocabulary_[f"row{row}"]: row for row in range(80)}
    trained_on, held_out = (
        np.array([row_of[ids[-1]] for ids in part.sequences.steps.items()]) for part in training_data
    )
    assert len(trained_on) == 60 and sorted([*trained_on, *held_out]) == list(range(80))

    ids = ragged_ids(fitted.tokenizer_.transform(texts))
    version = training.sequences.features.version
    assert (version > 0).all()
    training_ratios, expected = fitted_ratios(
        ids.take(trained_on),
        codes[trained_on],
        2,
        fitted.vocab_size_,
        (weights / weights.max())[trained_on],
        version - 1,
    )
    np.testing.assert_array_equal(training.sequences.step_features, expected.step_features)
    assert_same_ratios(fitted.nb_ratios_, training_ratios)
    validation_features = with_ratios(training_ratios, ids.take(held_out))
    np.testing.assert_array_equal(validation.sequences.features.version, np.zeros(20))
    np.testing.assert_array_equal(validation.sequences.step_features, validation_features.step_features)
    assert validation_features.step_features.any()


def test_labels_and_weights_of_held_out_rows_have_no_effect(training_data, monkeypatch):
    """Changing them changes no bit of the inputs of the network, in training and in validation."""
    held_out = np.array([1, 2, 5, 8, 17, 30, 33, 39])
    monkeypatch.setattr(_fit, "validation_rows", lambda *_: held_out)
    y, weights = CODES.copy(), np.ones(40)
    one = text_classifier(patience=1).fit(TEXTS, y, sample_weight=weights)
    before = list(training_data)
    assert [len(part) for part in before] == [32, 8]
    y[held_out], weights[held_out] = 1 - y[held_out], 0.25
    other = text_classifier(patience=1).fit(TEXTS, y, sample_weight=weights)
    assert_same_ratios(one.nb_ratios_, other.nb_ratios_)
    for ours, theirs in zip(before, training_data, strict=True):
        np.testing.assert_array_equal(ours.sequences.step_features, theirs.sequences.step_features)
        assert ours.sequences.step_features.any()
    np.testing.assert_array_equal(before[1].targets, 1 - training_data[1].targets)
    # Their texts are part of the vocabulary nevertheless.
    texts = [f"{text} extra" if row in held_out else text for row, text in enumerate(TEXTS)]
    with_word = text_classifier(patience=1).fit(texts, y)
    assert "extra" in with_word.tokenizer_.vocabulary_


def test_x_val_gets_the_ratios_of_all_rows_of_x(training_data):
    X_val, y_val = make_texts(20, seed=1)
    plain = text_classifier(patience=1).fit(TEXTS, CODES, X_val=TEXTS, y_val=CODES)
    fitted = text_classifier(patience=1).fit(TEXTS, CODES, X_val=X_val, y_val=1 - y_val)
    assert_same_ratios(fitted.nb_ratios_, plain.nb_ratios_)
    training, validation = training_data
    assert (training.sequences.features.version > 0).all()
    expected = with_ratios(fitted.nb_ratios_, ragged_ids(fitted.tokenizer_.transform(X_val)))
    np.testing.assert_array_equal(validation.sequences.step_features, expected.step_features)


# Cross-fitting


def test_features_of_a_training_row_do_not_depend_on_its_label(training_data, monkeypatch):
    """With the same folds, the features of a row with another label are the same."""
    fold = np.random.default_rng(0).integers(0, 5, size=40)
    monkeypatch.setattr(_fit, "cross_fitting_folds", lambda *_: fold)
    text_classifier().fit(TEXTS, CODES)
    before = step_features_by_row(training_data[0].sequences)
    for flipped in (3, 20):
        y = CODES.copy()
        y[flipped] = 1 - y[flipped]
        text_classifier().fit(TEXTS, y)
        changed = np.array(
            [
                not np.array_equal(*pair)
                for pair in zip(before, step_features_by_row(training_data[0].sequences), strict=True)
            ]
        )
        assert not changed[fold == fold[flipped]].any()
        assert changed[fold != fold[flipped]].mean() > 0.9


@pytest.mark.parametrize(("patience", "in_folds"), [(None, [8] * 5), (1, [8] + [7] * 4)])
def test_folds_depend_on_random_state(training_data, patience, in_folds):
    versions = []
    texts = [f"{text} row{row}" for row, text in enumerate(TEXTS)]  # Equal texts would be in one fold.
    for seed in (0, 0, 1):
        text_classifier(random_state=seed, patience=patience).fit(texts, CODES)
        versions.append(training_data[0].sequences.features.version)
    assert np.array_equal(versions[0], versions[1]) and not np.array_equal(versions[0], versions[2])
    assert np.bincount(versions[0]).tolist() == [0, *in_folds]


def test_features_of_a_group_are_learned_without_its_rows(training_data):
    """A word that occurs in one group only has no feature in that group, and has one in other rows."""
    groups = np.arange(40) // 4
    names = [f"{text} name{group}" for text, group in zip(TEXTS, groups, strict=True)]
    fitted = text_classifier(nb_ngrams=1, random_state=0).fit(names, groups % 2, groups=groups)
    last = np.array([found[-1, 0] for found in step_features_by_row(training_data[0].sequences)])
    np.testing.assert_array_equal(last, 0)
    versions_by_group = [
        set(training_data[0].sequences.features.version[groups == group].tolist()) for group in range(10)
    ]
    assert all(len(versions) == 1 for versions in versions_by_group)
    predicted = with_ratios(fitted.nb_ratios_, ragged_ids(fitted.tokenizer_.transform(names)))
    assert all(abs(found[-1, 0]) > 0.5 for found in step_features_by_row(predicted))
    text_classifier(nb_ngrams=1).fit(names, groups % 2)
    ratios = np.array([abs(found[-1, 0]) > 0.3 for found in step_features_by_row(training_data[0].sequences)])
    assert ratios.mean() > 0.9, "without groups the name is informative"


def test_a_group_of_training_rows_is_in_one_fold(training_data, monkeypatch):
    groups = np.random.default_rng(0).permutation(np.arange(40) // 4)
    held_out = np.flatnonzero(np.isin(groups, [0, 4, 9]))
    monkeypatch.setattr(_fit, "validation_rows", lambda *_: held_out)
    text_classifier(patience=1).fit(TEXTS, CODES, groups=groups)
    training, validation = training_data
    assert (len(training), len(validation)) == (28, 12)
    training_groups = np.delete(groups, held_out)
    versions_by_group = [
        set(training.sequences.features.version[training_groups == group].tolist())
        for group in np.unique(training_groups)
    ]
    assert all(len(versions) == 1 for versions in versions_by_group) and len(set.union(*versions_by_group)) == 5


@pytest.mark.parametrize("words", ["in a few rows", "in one row"])
def test_cross_fitting_keeps_the_network_from_memorising_noise(monkeypatch, tune, words):
    """Labels are independent of the texts. Inputs that depend on the label of the row would overfit."""
    rng = np.random.default_rng(0)
    n_words = 400 if words == "in a few rows" else 1_200
    X = rng.integers(n_words, size=(200, 6)) if words == "in a few rows" else np.arange(1_200).reshape(200, 6)
    y, new = rng.permutation(np.arange(200) % 2), 2 + rng.integers(n_words, size=(400, 6))
    # A few features per token, most of them dropped: little can be memorised.
    settings = {"nb_ngrams": 1, "embedding_dim": 2, "max_epochs": 8, "dropout": 0.5, "token_dropout": 0.5}
    cross_fitted = text_classifier(**settings).fit(2 + X, y)

    def features_without_cross_fitting(estimator, training, task, *_):
        tune(min_ngram_rows=1)
        estimator._label_features = estimator._new_label_features(task, None)
        ids, memberships, n = training.sequences.steps, task.supervision_targets(training.targets), len(training)
        one_fold = np.zeros(n, dtype=int)
        supervision = Supervision(memberships, training.weights, np.ones(n), one_fold, calibrate=None)
        estimator._label_features.fit_transform(training.sequences, supervision)
        return with_ratios(estimator.nb_ratios_, ids)

    monkeypatch.setattr(_fit, "_fit_label_features", features_without_cross_fitting)
    overfitted = text_classifier(**settings).fit(2 + X, y)
    confidence = [np.abs(classifier.decision_function(new)).mean() for classifier in (cross_fitted, overfitted)]
    assert confidence[0] < 0.9 < 1.5 < confidence[1]
    assert overfitted.network_.head.weight[0, -1] > 1.2, "it starts at 1"
    assert cross_fitted.history_[1]["train_score"] < 0.65 < 0.8 < overfitted.history_[1]["train_score"]


# Warm start


def test_warm_start_keeps_the_ratios_and_cross_fits_new_rows(training_data):
    X_more, y_more = make_texts(30, seed=1)
    classifier = text_classifier(warm_start=True).fit(TEXTS, CODES)
    ratios, before = classifier.nb_ratios_, pickle.dumps(classifier.nb_ratios_)
    classifier.fit(X_more, y_more)
    assert classifier.nb_ratios_ is ratios and pickle.dumps(ratios) == before
    sequences = training_data[0].sequences
    assert (sequences.features.version > 0).all()
    ids, fold = ragged_ids(classifier.tokenizer_.transform(X_more)), sequences.features.version - 1
    _, expected = fitted_ratios(ids, y_more, 2, classifier.vocab_size_, fold=fold)
    np.testing.assert_array_equal(sequences.step_features, expected.step_features)


@pytest.mark.parametrize(("before", "now"), [(0, 2), (2, 0), (2, 3)])
def test_warm_start_refuses_another_nb_ngrams(before, now):
    classifier = text_classifier(warm_start=True, nb_ngrams=before).fit(TEXTS, CODES)
    logits = classifier.decision_function(TEXTS)
    with pytest.raises(ValueError, match=f"nb_ngrams must stay {before} as in the first fit; got {now}"):
        classifier.set_params(nb_ngrams=now).fit(TEXTS, CODES)
    np.testing.assert_array_equal(classifier.decision_function(TEXTS), logits)
    classifier.set_params(warm_start=False).fit(TEXTS, CODES)
    expected = text_classifier(nb_ngrams=now).fit(TEXTS, CODES).decision_function(TEXTS)
    np.testing.assert_array_equal(classifier.decision_function(TEXTS), expected)


def test_warm_start_without_ratios(training_data):
    classifier = text_classifier(warm_start=True, nb_ngrams=0).fit(TEXTS, CODES).fit(TEXTS, CODES)
    assert_no_ratios(training_data[0].sequences)
    assert not hasattr(classifier, "nb_ratios_")


# Copies


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_copies_predict_the_same(tmp_path, mmap_mode):
    texts, codes = make_texts(60, 3)
    fitted = text_classifier(nb_ngrams=3).fit(texts, codes)
    expected = fitted.decision_function(texts)
    joblib.dump(fitted, tmp_path / "model.joblib")
    for copied in (pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "model.joblib", mmap_mode=mmap_mode)):
        np.testing.assert_array_equal(copied.decision_function(texts), expected)
        assert_same_ratios(copied.nb_ratios_, fitted.nb_ratios_)
    cloned = clone(fitted)
    assert cloned.nb_ngrams == 3 and not hasattr(cloned, "nb_ratios_")
    np.testing.assert_array_equal(cloned.fit(texts, codes).decision_function(texts), expected)


def test_tables_of_folds_are_not_kept():
    fitted = text_classifier(nb_ngrams=3).fit(TEXTS, CODES)
    assert [len(table) for table in fitted.nb_ratios_.tables_] == [1, 1, 1]
    assert all(table.base is None for table in fitted.nb_ratios_.tables_), "no view into the tables of all folds"


@pytest.mark.parametrize(
    "grid", [{"nb_ngrams": [0, 1, 3]}, {"schedule": ["constant", "one_cycle"], "nb_ngrams": [0, 2]}]
)
def test_nb_ngrams_can_be_searched(grid):
    search = GridSearchCV(text_classifier(), grid, cv=2, error_score="raise").fit(TEXTS, CODES)
    best = text_classifier(**search.best_params_).fit(TEXTS, CODES)
    np.testing.assert_array_equal(search.decision_function(TEXTS), best.decision_function(TEXTS))
    assert hasattr(search.best_estimator_, "nb_ratios_") == bool(search.best_params_["nb_ngrams"])


def test_a_class_within_one_group_is_not_recognised_by_missing_ratios():
    """Its rows would be the only ones without a ratio for that class, and the network would memorise noise."""
    rng = np.random.default_rng(0)
    X = [" ".join(rng.choice(list("abcdefghijklmnop"), size=10)) for _ in range(150)]
    y = np.arange(150) % 3
    settings = {"units": 4, "max_epochs": 20, "learning_rate": 0.01, "random_state": 0}
    fitted = RNNTextClassifier(nb_ngrams=1, **settings).fit(X, y, groups=y)
    assert fitted.history_[-1]["train_score"] < 0.7
    assert not fitted.nb_ratios_.tables_[0].any()
