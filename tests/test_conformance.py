"""The contract of scikit-learn estimators, for input that its check suite does not cover.

`check_estimator` uses only tables of numbers. These checks use every kind of input of every class: CASES has one entry
for each class and kind.
"""

import copy
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from types import FunctionType
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.sparse import issparse
from scipy.special import expit, softmax
from sklearn import config_context
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr
from sklearn.utils.validation import check_is_fitted

from _sampling import sampled
from seqclf import RNNClassifier, RNNTextClassifier, SequencePadder, TextTokenizer, datasets
from seqclf._data.ragged import Ragged
from seqclf._kernels import CELLS
from seqclf._label_features.linear_scores import LinearScores
from seqclf._tasks.classification import Classification

# --- data: one function for each kind of input returns rows and class codes; the class depends on the order of steps

WORDS = "amber brick cedar delta ember flint grape hazel".split()
OTHER_WORDS = "olive pearl quartz raven slate tulip umber vivid walnut xenon".split()


def tokens(n=24, seed=0, *, n_classes=2, other=False):
    """Each row is a shuffled prefix of the word list; its class is the one of the first words that occurs first.

    A word is never more frequent than the words before it in the list, for every choice of rows. Therefore the order of
    the vocabulary, and the meaning of each initial weight, is the same for every choice.
    """
    words = OTHER_WORDS if other else WORDS
    rng = np.random.RandomState(seed)
    rows = [rng.permutation(words[: rng.randint(n_classes, len(words) + 1)]).tolist() for _ in range(n)]
    rows[0] = words[::-1]
    return rows, np.array([min(range(n_classes), key=lambda code: row.index(words[code])) for row in rows])


def texts(n=24, seed=0, **kwargs):
    rows, codes = tokens(n, seed, **kwargs)
    return [" ".join(row) for row in rows], codes


def ragged_ids(n=24, seed=0, *, other=False, **kwargs):
    rows, codes = tokens(n, seed, other=other, **kwargs)
    words = OTHER_WORDS if other else WORDS
    return as_objects(np.array([2 + words.index(word) for word in row], dtype=np.int32) for row in rows), codes


def padded_ids(n=24, seed=0, **kwargs):
    rows, codes = ragged_ids(n, seed, **kwargs)
    return SequencePadder().fit_transform(rows), codes


def waves(n, seed, n_classes, n_channels, lengths):
    """Rising, falling and arched series with noise. Float32 represents their values exactly."""
    rng = np.random.RandomState(seed)
    codes = np.arange(n) % n_classes
    rows = []
    for code in codes:
        time = np.linspace(-1, 1, rng.choice(lengths))[:, None]
        shape = (time, -time, 1 - 2 * time**2)[code]
        rows.append(np.round(64 * (3 + shape + rng.normal(scale=0.2, size=(len(time), n_channels)))) / 64)
    return rows, codes


def ragged_series(n=24, seed=0, *, n_classes=2, other=False):
    rows, codes = waves(n, seed, n_classes, 1, np.arange(3, 14 if other else 9))
    return [row[:, 0] for row in rows], codes


def ragged_channels(n=24, seed=0, *, n_classes=2, other=False):
    return waves(n, seed, n_classes, 3 if other else 2, np.arange(3, 9))


def array_3d(n=24, seed=0, **kwargs):
    rows, codes = ragged_channels(n, seed, **kwargs)
    return SequencePadder().fit_transform(rows), codes


def table(n=24, seed=0, *, n_classes=2, other=False):
    rows, codes = waves(n, seed, n_classes, 1, [9 if other else 6])
    return np.stack([row[:, 0] for row in rows]), codes


def as_objects(rows):
    rows = list(rows)
    array = np.empty(len(rows), dtype=object)
    for position, row in enumerate(rows):
        array[position] = row
    return array


# --- estimators: small, quick and seeded

QUICK = {"units": 4, "batch_size": 8, "max_epochs": 2, "learning_rate": 3e-3, "schedule": "constant", "patience": None}
QUICK |= {"random_state": 0}


def text_classifier(**changes):
    settings = {"embedding_dim": 6, "dropout": 0.5, "token_dropout": 0.2, "nb_ngrams": 2}
    return RNNTextClassifier(**(QUICK | settings | changes))


def series_classifier(**changes):
    return RNNClassifier(**(QUICK | changes))


def word_tokenizer(**changes):
    return TextTokenizer(**changes)


def char_tokenizer(**changes):
    return TextTokenizer(**({"level": "char", "vocab_size": 12} | changes))


def subword_tokenizer(**changes):
    return TextTokenizer(**({"level": "subword", "vocab_size": 270} | changes))


def padder(**changes):
    return SequencePadder(**changes)


@dataclass(frozen=True)
class Case:
    make: Callable[..., Any]
    data: Callable[..., Any]

    @property
    def name(self):
        return f"{self.make.__name__}-{self.data.__name__}"

    def fitted(self, **changes):
        """The estimator after a fit with labels of type str, and its data."""
        X, codes = self.data()
        y = np.array(["no", "yes"])[codes]
        return self.make(**changes).fit(X, y), X, y


CASES = [
    *(Case(text_classifier, data) for data in (texts, tokens, ragged_ids, padded_ids)),
    *(Case(series_classifier, data) for data in (ragged_series, ragged_channels, array_3d, table)),
    *(Case(word_tokenizer, data) for data in (texts, tokens)),
    Case(char_tokenizer, texts),
    Case(subword_tokenizer, texts),
    *(Case(padder, data) for data in (ragged_ids, padded_ids, ragged_series, ragged_channels, array_3d, table)),
]
CLASSIFIERS = [case for case in CASES if is_classifier(case.make())]
TRANSFORMERS = [case for case in CASES if case not in CLASSIFIERS]
FACTORIES = list(dict.fromkeys(case.make for case in CASES))

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_classifier_case = pytest.mark.parametrize("case", CLASSIFIERS, ids=lambda case: case.name)
every_transformer_case = pytest.mark.parametrize("case", TRANSFORMERS, ids=lambda case: case.name)
every_factory = pytest.mark.parametrize("make", FACTORIES, ids=lambda make: make.__name__)

PREDICTIONS = ("decision_function", "predict_proba", "predict_log_proba", "predict")


# --- comparisons


def select(X, rows):
    return X[rows] if isinstance(X, np.ndarray) else [X[row] for row in rows]


def outputs(estimator, X):
    """The outputs of every method for X, by name."""
    if not is_classifier(estimator):
        return {"transform": estimator.transform(X)}
    return {name: getattr(estimator, name)(X) for name in PREDICTIONS}


def assert_equal(actual, expected, where=""):
    """The same type, dtype and values, to the bit; NaN equals NaN. Other objects: by attributes."""
    assert type(actual) is type(expected), where
    if isinstance(expected, dict):
        assert list(actual) == list(expected), where
        for key in expected:
            assert_equal(actual[key], expected[key], f"{where}.{key}")
    elif isinstance(expected, np.ndarray):
        assert actual.dtype == expected.dtype, where
        assert actual.shape == expected.shape, where
        if expected.dtype == object:
            assert_equal(actual.tolist(), expected.tolist(), where)
        else:
            np.testing.assert_array_equal(actual, expected, err_msg=where)
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected), where
        for position, (one, other) in enumerate(zip(actual, expected, strict=True)):
            assert_equal(one, other, f"{where}[{position}]")
    elif isinstance(expected, torch.nn.Module):
        assert_equal(actual.to_arrays(), expected.to_arrays(), where)
        assert_equal(asdict(actual.config), asdict(expected.config), where)
    elif issparse(expected):
        assert actual.shape == expected.shape, where
        assert_equal([actual.indptr, actual.indices, actual.data], [expected.indptr, expected.indices, expected.data])
    elif hasattr(expected, "get_state"):  # a random generator
        assert_equal(actual.get_state(), expected.get_state(), where)
    elif isinstance(expected, partial):
        assert_equal([actual.func, actual.keywords], [expected.func, expected.keywords], where)
    elif type(expected).__module__.startswith("seqclf."):
        assert_equal(vars(actual), vars(expected), where)
    elif isinstance(expected, BaseEstimator):
        assert_equal(fitted_state(actual), fitted_state(expected), where)
    elif hasattr(expected, "to_str"):  # the model of the subword library
        assert actual.to_str() == expected.to_str(), where
    else:
        assert actual == expected or (actual != actual and expected != expected), where


def assert_close(actual, expected, atol):
    """For each row: the same shape, and numbers that differ by at most `atol`."""
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        if np.asarray(other).dtype.kind in "fiu":
            assert np.shape(one) == np.shape(other)
            np.testing.assert_allclose(one, other, rtol=0, atol=atol)
        else:
            assert one == other


def fitted_state(estimator):
    """The attributes that fit has set, without the times in the history."""
    getattr(estimator, "network_", None)  # created on first access if the estimator was loaded
    state = {name: value for name, value in vars(estimator).items() if name.endswith("_") or name == "_task"}
    if "history_" in state:
        state["history_"] = [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in state["history_"]]
    return dict(sorted(state.items()))


# --- parameters


@every_factory
def test_clone_copies_only_parameters(make):
    original, X, y = next(case for case in CASES if case.make is make).fitted()
    copied = clone(original)
    assert copied.get_params(deep=False) == original.get_params(deep=False)
    assert vars(copied).keys() == copied.get_params(deep=False).keys()
    assert_equal(outputs(copied.fit(X, y), X), outputs(original, X))


@every_factory
def test_set_params_sets_what_get_params_returns(make):
    estimator = make()
    parameters = estimator.get_params(deep=False)
    for name, value in parameters.items():
        other = object()
        assert estimator.set_params(**{name: other}) is estimator
        assert estimator.get_params(deep=False) == parameters | {name: other}
        estimator.set_params(**{name: value})
    assert estimator.get_params(deep=False) == parameters
    with pytest.raises(ValueError, match="Invalid parameter 'hidden_size'"):
        estimator.set_params(hidden_size=3)


def test_get_params_and_set_params_reach_the_tokenizer():
    classifier = RNNTextClassifier(tokenizer=TextTokenizer(vocab_size=7))
    assert classifier.get_params()["tokenizer__vocab_size"] == 7
    classifier.set_params(tokenizer__vocab_size=9, tokenizer__level="char")
    assert (classifier.tokenizer.vocab_size, classifier.tokenizer.level) == (9, "char")
    assert clone(classifier).tokenizer is not classifier.tokenizer
    assert clone(classifier).tokenizer.vocab_size == 9


@every_factory
def test_constructor_only_stores_its_arguments(make):
    """Only fit validates parameters."""
    cls = type(make())
    for value in (object(), -1, "nonsense", np.zeros(2), None):
        given = dict.fromkeys(cls().get_params(deep=False), value)
        estimator = cls(**given)
        assert vars(estimator).keys() == given.keys()
        assert all(stored is value for stored in vars(estimator).values())
        estimator.set_params(**given)
        assert vars(estimator).keys() == given.keys()


@every_factory
def test_default_parameters_are_immutable(make):
    """All instances use the same default objects."""
    for value in type(make())().get_params(deep=False).values():
        assert value is None or type(value) in (str, int, float, bool)


# --- fit


@every_case
def test_fit_returns_self(case):
    X, y = case.data()
    estimator = case.make()
    assert estimator.fit(X, y) is estimator
    check_is_fitted(estimator)


@every_case
@pytest.mark.parametrize("weighted", [False, True])
def test_fit_and_predict_change_neither_parameters_nor_inputs(case, weighted):
    changes, fit_arguments = {}, {}
    X, y = case.data()
    if is_classifier(case.make()):
        changes = {"units": [4, 3], "class_weight": {0: 1.0, 1: 2.0}, "patience": 1, "validation_fraction": 0.2}
        if case.make is text_classifier:
            changes |= {"tokenizer": TextTokenizer(vocab_size=9)}
        if weighted:
            fit_arguments = {"sample_weight": np.arange(len(y)) / 4}
    estimator = case.make(**changes)
    parameters = estimator.get_params()
    before = copy.deepcopy((X, y, fit_arguments, [v for v in parameters.values() if not hasattr(v, "fit")]))

    estimator.fit(X, y, **fit_arguments)
    outputs(estimator, X)

    after = estimator.get_params()
    assert after.keys() == parameters.keys()
    assert all(after[name] is parameters[name] for name in parameters)
    assert_equal((X, y, fit_arguments, [v for v in parameters.values() if not hasattr(v, "fit")]), before)
    if case.make is text_classifier:
        assert vars(estimator.tokenizer).keys() == estimator.tokenizer.get_params().keys()  # still unfitted


@every_case
def test_refit_equals_a_first_fit(case):
    """Words or channels, lengths, classes and the number of classes differ between the fits."""
    first, first_codes = case.data()
    X, codes = case.data(30, seed=1, n_classes=3, other=True)
    y = np.array(["a", "b", "c"])[codes]
    refitted, fresh = case.make().fit(first, first_codes).fit(X, y), case.make().fit(X, y)
    assert_equal(fitted_state(refitted), fitted_state(fresh))
    assert_equal(outputs(refitted, X), outputs(fresh, X))
    if is_classifier(fresh):
        assert fresh.predict_proba(X).shape == (30, 3)
        assert not np.array_equal(case.make().fit(first, first_codes).classes_, fresh.classes_)


@every_factory
def test_refit_on_another_kind_of_input_equals_a_first_fit(make):
    kinds = [case.data for case in CASES if case.make is make]
    for first in kinds:
        for second in kinds:
            X, y = second(seed=1)
            refitted, fresh = make().fit(*first()).fit(X, y), make().fit(X, y)
            assert_equal(fitted_state(refitted), fitted_state(fresh), f"{first.__name__}, then {second.__name__}")
            assert_equal(outputs(refitted, X), outputs(fresh, X))


@every_case
def test_methods_raise_not_fitted_error_before_fit(case):
    X, y = case.data()
    fitted = case.make().fit(X, y)
    if is_classifier(fitted):
        calls = [(name, (X,)) for name in PREDICTIONS] + [("score", (X, y))]
    else:
        calls = [("transform", (X,)), ("inverse_transform", (fitted.transform(X),))]
    if case.make is padder:
        calls.append(("get_feature_names_out", ()))
    for estimator in (case.make(), clone(fitted)):
        with pytest.raises(NotFittedError):
            check_is_fitted(estimator)
        for name, arguments in calls:
            with pytest.raises(NotFittedError, match=type(estimator).__name__):
                getattr(estimator, name)(*arguments)


FEATURES = {
    ("series_classifier", "table"): {"n_features_in_": 6, "n_channels_in_": 1},
    ("series_classifier", "ragged_series"): {"n_channels_in_": 1},
    ("series_classifier", "ragged_channels"): {"n_channels_in_": 2},
    ("series_classifier", "array_3d"): {"n_channels_in_": 2},
    ("padder", "ragged_series"): {"n_channels_in_": 1},
    ("padder", "ragged_channels"): {"n_channels_in_": 2},
    ("padder", "array_3d"): {"n_channels_in_": 2},
    ("padder", "table"): {"n_channels_in_": 1},
}


@every_case
def test_n_features_in_and_n_channels_in(case):
    names = ("n_features_in_", "n_channels_in_", "feature_names_in_")
    expected = FEATURES.get((case.make.__name__, case.data.__name__), {})
    unfitted = case.make()
    assert not any(hasattr(unfitted, name) for name in names)
    estimator, *_ = case.fitted()
    assert {name: getattr(estimator, name) for name in names if hasattr(estimator, name)} == expected


# --- labels

LABELS = {
    "str": (["no", "yes", "zebra"], list),
    "str array": (["no", "yes", "zebra"], np.array),
    "tuple": (["no", "yes", "zebra"], tuple),
    "object": (["no", "yes", "zebra"], as_objects),
    "int": ([0, 1, 2], np.array),
    "int, far apart": ([-7, 3, 1_000_000], list),
    "int8": ([-1, 0, 1], lambda y: np.array(y, dtype=np.int8)),
    "whole floats": ([1.0, 2.0, 5.0], np.array),
    "bool": ([False, True], np.array),
    "pandas str": (["no", "yes", "zebra"], lambda y: pd.Series(y, index=y)),
    "pandas category": (["no", "yes", "zebra"], lambda y: pd.Series(y, dtype="category")),
    "pandas int": ([4, 5, 6], pd.Series),
    "pandas Int64": ([4, 5, 6], lambda y: pd.Series(y, dtype="Int64")),
    "polars str": (["no", "yes", "zebra"], pl.Series),
    "polars int": ([4, 5, 6], pl.Series),
    "polars bool": ([False, True], pl.Series),
}


@sampled({"case": {case.name: case for case in CLASSIFIERS}, "label": LABELS, "n_classes": [2, 3]})
def test_predict_returns_the_type_of_the_labels(case, label, n_classes):
    """`classes_` has the dtype that scikit-learn's classifiers set."""
    classes, container = label
    classes = classes[:n_classes]
    X, codes = case.data(n_classes=len(classes))
    labels = [classes[code] for code in codes]
    plain = case.make().fit(X, codes)
    classifier = case.make().fit(X, container(labels))
    assert_equal(classifier.classes_, LogisticRegression().fit(codes[:, None], container(labels)).classes_)
    assert classifier.classes_.tolist() == classes
    predicted = classifier.predict(X)
    assert predicted.dtype == classifier.classes_.dtype
    # The names of the classes do not affect the network.
    np.testing.assert_array_equal(classifier.decision_function(X), plain.decision_function(X))
    assert predicted.tolist() == [classes[code] for code in plain.predict(X)]


@pytest.mark.parametrize("n_classes", [2, 3])
@every_classifier_case
def test_columns_of_predict_proba_follow_classes(case, n_classes):
    """An overfitted network shows which column belongs to which class."""
    X, codes = case.data(n_classes=n_classes)
    y = np.array(["zoo", "mice", "ants"])[codes]
    settings = {"units": 8, "learning_rate": 0.02, "dropout": 0, "pooling": "max", "batch_size": 24, "wide": False}
    classifier = case.make(max_epochs=60, **settings)
    if case.make is text_classifier:
        classifier.set_params(token_dropout=0)
    classifier.fit(X, y)
    assert classifier.classes_.tolist() == sorted(set(y.tolist()))
    assert classifier.score(X, y) == 1.0
    probabilities = classifier.predict_proba(X)
    for column, label in enumerate(classifier.classes_):
        assert probabilities[y == label, column].min() > probabilities[y != label, column].max()


@pytest.mark.parametrize("n_classes", [2, 3])
@every_classifier_case
def test_predictions_and_score_are_consistent(case, n_classes):
    X, codes = case.data(n_classes=n_classes)
    y = np.array(["a", "b", "c"])[codes]
    classifier = case.make().fit(X, y)
    logits, probabilities = classifier.decision_function(X), classifier.predict_proba(X)
    assert logits.dtype == probabilities.dtype == np.float64
    assert logits.shape == ((len(y),) if n_classes == 2 else (len(y), 3))
    assert probabilities.shape == (len(y), n_classes)
    assert len(np.unique(probabilities[:, 0])) > 10  # rows differ
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=1e-15)
    if n_classes == 2:
        np.testing.assert_allclose(probabilities[:, 1], expit(logits), rtol=1e-15)
    else:
        np.testing.assert_allclose(probabilities, softmax(logits, axis=1), rtol=1e-14)
    np.testing.assert_allclose(classifier.predict_log_proba(X), np.log(probabilities), rtol=1e-12, atol=1e-15)
    predicted = classifier.predict(X)
    np.testing.assert_array_equal(predicted, classifier.classes_[probabilities.argmax(axis=1)])
    assert classifier.score(X, y) == accuracy_score(y, predicted)
    weights = np.arange(1.0, len(y) + 1)
    assert classifier.score(X, y, sample_weight=weights) == accuracy_score(y, predicted, sample_weight=weights)


# --- weights

# All rows are in one batch, and only the initial weights and the order of the rows are random.
FULL_BATCH = {"batch_size": 1_000, "dropout": 0, "patience": None, "max_epochs": 8, "optimizer": "sgd", "wide": False}


def full_batch(case, **changes):
    """Without the parts that depend on the number of rows: cross-fitting folds, and the normalisation of filters."""
    ours = (
        {"token_dropout": 0, "nb_ngrams": 0} if case.make is text_classifier else {"conv_filters": 0, "pooling": "max"}
    )
    settings = FULL_BATCH | ours
    return case.make(**(settings | {"learning_rate": 0.5} | changes))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
@every_classifier_case
def test_sample_weight_equals_repeated_rows(case, class_weight, n_classes):
    X, y = case.data(n_classes=n_classes)
    weights = np.random.RandomState(0).randint(0, 4, size=len(y))
    rows = np.repeat(np.arange(len(y)), weights)
    weighted = full_batch(case, class_weight=class_weight).fit(X, y, sample_weight=weights)
    repeated = full_batch(case, class_weight=class_weight).fit(select(X, rows), y[rows])
    ignored = full_batch(case, class_weight=class_weight).fit(X, y)
    # Sums over different numbers of rows are rounded differently: float32 has 7 digits, and errors of 8 updates add up.
    # Differences up to 2e-7 were observed. The effect of the weights is much larger.
    logits = weighted.decision_function(X)
    np.testing.assert_allclose(logits, repeated.decision_function(X), rtol=0, atol=2e-6)
    assert np.abs(logits - ignored.decision_function(X)).max() > 0.02
    for ours, theirs in zip(weighted.history_, repeated.history_, strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], abs=1e-6)


@every_classifier_case
def test_sample_weight_of_zero_equals_removal(case):
    """Bitwise, with batches, a validation split, dropout, a vocabulary and scaling."""
    X, y = case.data(40)
    kept = np.flatnonzero(np.arange(len(y)) % 3)
    settings = {"patience": 1, "validation_fraction": 0.2, "class_weight": "balanced", "dropout": 0.3}
    removed = case.make(**settings).fit(select(X, kept), y[kept])
    zeroed = case.make(**settings).fit(X, y, sample_weight=(np.arange(len(y)) % 3 > 0).astype(float))
    assert_equal(fitted_state(zeroed), fitted_state(removed))
    assert_equal(outputs(zeroed, X), outputs(removed, X))


@every_classifier_case
def test_classes_without_weight_are_not_in_classes(case):
    X, y = case.data(n_classes=3)
    classifier = case.make().fit(X, y, sample_weight=(y != 1).astype(float))
    assert classifier.classes_.tolist() == [0, 2]
    assert set(classifier.predict(X)) <= {0, 2}
    assert classifier.predict_proba(X).shape == (len(y), 2)


@every_classifier_case
def test_sample_weight_does_not_depend_on_its_scale(case):
    X, y = case.data()
    weights = np.random.RandomState(0).randint(1, 4, size=len(y))
    one = case.make().fit(X, y, sample_weight=weights).decision_function(X)
    for factor in (4, 0.25):  # multiplication by a power of two is exact
        scaled = case.make().fit(X, y, sample_weight=weights * factor).decision_function(X)
        np.testing.assert_array_equal(scaled, one)
    plain = case.make().fit(X, y).decision_function(X)
    for same in (np.ones(len(y)), [2] * len(y), pd.Series(np.full(len(y), 0.5)), 3):
        np.testing.assert_array_equal(case.make().fit(X, y, sample_weight=same).decision_function(X), plain)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@every_classifier_case
def test_class_weight_equals_sample_weight_in_the_network(case, optimizer):
    X, y = case.data()
    changes = {"scale": False} if case.make is series_classifier else {}  # sample_weight affects the scaling too
    changes |= {"optimizer": optimizer, "learning_rate": 0.02}
    plain = full_batch(case, **changes).fit(X, y)
    heavy = full_batch(case, class_weight={0: 1, 1: 50}, **changes).fit(X, y)
    assert (heavy.predict_proba(X)[:, 1] > plain.predict_proba(X)[:, 1]).all()
    rows = full_batch(case, **changes).fit(X, y, sample_weight=np.where(y == 1, 50, 1))
    np.testing.assert_array_equal(heavy.decision_function(X), rows.decision_function(X))

    few = np.concatenate((np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:4]))
    X, y = select(X, few), y[few]
    balanced = full_batch(case, class_weight="balanced", **changes).fit(X, y)
    counts = np.bincount(y)
    assert counts[0] != counts[1]
    weights = {code: len(y) / (2 * count) for code, count in enumerate(counts)}
    by_hand = full_batch(case, class_weight=weights, **changes).fit(X, y)
    np.testing.assert_array_equal(balanced.decision_function(X), by_hand.decision_function(X))
    assert (balanced.decision_function(X) != full_batch(case, **changes).fit(X, y).decision_function(X)).all()


@every_classifier_case
def test_class_weight_equals_sample_weight_in_the_linear_model(case):
    """Bitwise."""
    X, y = case.data()
    changes = {"scale": False} if case.make is series_classifier else {}  # sample_weight affects the scaling too
    changes |= {"wide": True, "max_epochs": 1}
    heavy = full_batch(case, class_weight={0: 1, 1: 50}, **changes).fit(X, y)
    rows = full_batch(case, **changes).fit(X, y, sample_weight=np.where(y == 1, 50, 1))
    np.testing.assert_array_equal(heavy.wide_.coef_, rows.wide_.coef_)
    np.testing.assert_array_equal(heavy.decision_function(X), rows.decision_function(X))
    plain = full_batch(case, **changes).fit(X, y)
    assert not np.array_equal(heavy.wide_.coef_, plain.wide_.coef_)


# --- rows


@every_case
def test_outputs_do_not_depend_on_order_and_choice_of_rows(case):
    estimator, X, _ = case.fitted()
    everything = outputs(estimator, X)
    n = len(X)
    choices = [np.random.RandomState(0).permutation(n), np.arange(n)[::-1], np.arange(5), np.array([7, 7, 3])]
    for rows in [*choices, *np.arange(n)[:, None]]:
        for name, answer in outputs(estimator, select(X, rows)).items():
            assert_close(answer, everything[name][rows], atol=1e-7)


@every_transformer_case
def test_fit_transform_equals_fit_then_transform(case):
    X, y = case.data()
    one, two = case.make(), case.make()
    assert_equal(one.fit_transform(X, y), two.fit(X, y).transform(X))
    assert_equal(fitted_state(one), fitted_state(two))
    assert_equal(case.make().fit_transform(X), two.transform(X))


@every_case
def test_read_only_memory_maps_are_accepted(case, tmp_path):
    """The workers of a parallel search receive such data."""
    (estimator, X, y), path = case.fitted(), tmp_path / "data.joblib"
    weights = np.linspace(0, 1, len(y))
    joblib.dump((X, y, weights), path)
    mapped_X, mapped_y, mapped_weights = joblib.load(path, mmap_mode="r")
    assert isinstance(mapped_weights, np.memmap)
    arrays = [mapped_X] if isinstance(mapped_X, np.memmap) else [row for row in mapped_X if hasattr(row, "flags")]
    if case.data in (padded_ids, array_3d, table, ragged_series, ragged_channels):
        assert all(isinstance(array, np.memmap) for array in arrays)
        assert len(arrays) in (1, len(y))
        assert not any(array.flags.writeable for array in arrays)
    assert_equal(outputs(estimator, mapped_X), outputs(estimator, X))
    if is_classifier(estimator):
        mapped = case.make().fit(mapped_X, mapped_y, sample_weight=mapped_weights)
        expected = case.make().fit(X, y, sample_weight=weights)
    else:
        mapped, expected = case.make().fit(mapped_X, mapped_y), estimator
    assert_equal(outputs(mapped, X), outputs(expected, X))


def lists(rows):
    return [row.tolist() if hasattr(row, "tolist") else list(row) for row in rows]


TEXT_CONTAINERS = {
    "tuple": tuple,
    "str array": np.array,
    "object array": as_objects,
    "column of an array": lambda X: np.array(X, dtype=object)[:, None],
    "pandas str": lambda X: pd.Series(X, dtype="str", index=range(5, 5 + len(X))),
    "pandas object": lambda X: pd.Series(X, dtype=object, index=[0] * len(X)),
    "pandas frame": lambda X: pd.DataFrame({"review": X}),
    "pandas category": lambda X: pd.Series(X, dtype="category"),
    "polars": lambda X: pl.Series("review", X),
    "polars frame": lambda X: pl.DataFrame({"review": X}),
    "numpy str": lambda X: list(np.array(X)),
}
RAGGED_CONTAINERS = {
    "tuple": tuple,
    "object array": as_objects,
    "lists": lists,
    "tuples": lambda X: [tuple(row) for row in lists(X)],
    "pandas": lambda X: pd.Series(list(X), index=[0] * len(X)),
    "pandas of lists": lambda X: pd.Series(lists(X)),
    "polars": lambda X: pl.Series("steps", lists(X)),
}
FRAMES_OF_ROWS = {
    "pandas frame": lambda X: pd.DataFrame({"steps": list(X)}),
    "polars frame": lambda X: pl.DataFrame({"steps": lists(X)}),
}
ARRAY_CONTAINERS = {
    "Fortran order": np.asfortranarray,
    "not contiguous": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "another byte order": lambda X: X.astype(X.dtype.newbyteorder()),
    "object numbers": lambda X: X.astype(object),
}
FRAME_CONTAINERS = {"pandas frame": pd.DataFrame, "polars frame": pl.DataFrame}
INTEGERS = {
    "int64": lambda X: X.astype(np.int64),
    "uint16": lambda X: X.astype(np.uint16),
}
FLOATS = {"float32": lambda X: X.astype(np.float32)}
CONTAINERS = {
    texts: TEXT_CONTAINERS,
    tokens: RAGGED_CONTAINERS | FRAMES_OF_ROWS,
    ragged_ids: RAGGED_CONTAINERS
    | FRAMES_OF_ROWS
    | {"int64": lambda X: [row.astype(np.int64) for row in X], "uint8": lambda X: [row.astype(np.uint8) for row in X]},
    padded_ids: ARRAY_CONTAINERS | FRAME_CONTAINERS | INTEGERS | {"whole floats": lambda X: X.astype(float)},
    ragged_series: RAGGED_CONTAINERS
    | {
        "one channel": lambda X: [row[:, None] for row in X],
        "float32": lambda X: [row.astype(np.float32) for row in X],
    },
    ragged_channels: RAGGED_CONTAINERS | {"float32": lambda X: [row.astype(np.float32) for row in X]},
    array_3d: ARRAY_CONTAINERS | FLOATS,  # no lists: only arrays can be padded with NaN
    table: ARRAY_CONTAINERS | FRAME_CONTAINERS | FLOATS | {"lists": np.ndarray.tolist},
}
# The padder treats whole floats and objects as series, not as ids.
NOT_FOR_THE_PADDER = {padded_ids: {"whole floats", "object numbers"}}


@pytest.mark.parametrize(
    ("case", "container"),
    [
        pytest.param(case, container, id=f"{case.name}-{container}")
        for case in CASES
        for container in CONTAINERS[case.data]
        if case.make is not padder or container not in NOT_FOR_THE_PADDER.get(case.data, ())
    ],
)
def test_outputs_do_not_depend_on_the_container(case, container):
    X, codes = case.data()
    given = CONTAINERS[case.data][container](X)
    y = np.array(["no", "yes"], dtype=object)[codes]
    plain = case.make().fit(X, y)
    estimator = case.make().fit(given, y)
    expected, got = outputs(plain, X), outputs(estimator, given)
    for name in expected:
        assert_close(got[name], expected[name], atol=0)
    if case.make is not padder:
        assert_equal(got, expected)
    if not (
        hasattr(estimator, "n_features_in_") or hasattr(estimator, "feature_names_in_")
    ):  # names are checked in predict
        for name, answer in outputs(plain, given).items():
            assert_close(answer, expected[name], atol=0)


# --- persistence


@every_case
def test_pickled_estimators_have_bitwise_equal_outputs(case, tmp_path):
    estimator, X, _ = case.fitted()
    expected = outputs(estimator, X)
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        loaded = pickle.loads(pickle.dumps(estimator, protocol))
        assert_equal(loaded.get_params(deep=False), estimator.get_params(deep=False))
        assert_equal(fitted_state(loaded), fitted_state(estimator))
        assert_equal(outputs(loaded, X), expected)
        assert_equal(outputs(pickle.loads(pickle.dumps(loaded)), X), expected)
    joblib.dump(estimator, tmp_path / "model.joblib")
    for mmap_mode in (None, "r"):
        assert_equal(outputs(joblib.load(tmp_path / "model.joblib", mmap_mode=mmap_mode), X), expected)
    joblib.dump(estimator, tmp_path / "model.joblib.gz", compress=3)
    assert_equal(outputs(joblib.load(tmp_path / "model.joblib.gz"), X), expected)
    assert_equal(outputs(copy.deepcopy(estimator), X), expected)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "case", [Case(text_classifier, texts), Case(series_classifier, ragged_series)], ids=lambda case: case.name
)
def test_pickled_classifiers_of_every_cell_have_bitwise_equal_outputs(case, cell):
    estimator, X, _ = case.fitted(cell=cell)
    assert estimator.network_.config.cell == cell
    assert_equal(outputs(pickle.loads(pickle.dumps(estimator)), X), outputs(estimator, X))


@every_case
def test_unfitted_estimators_can_be_pickled(case):
    loaded = pickle.loads(pickle.dumps(case.make()))
    X, y = case.data()
    assert_equal(outputs(loaded.fit(X, y), X), outputs(case.make().fit(X, y), X))


@every_classifier_case
def test_loaded_classifiers_can_be_refitted_and_warm_started(case, tmp_path):
    estimator, X, y = case.fitted(warm_start=True)
    path = tmp_path / "model.joblib"
    joblib.dump(estimator, path)
    loaded = joblib.load(path, mmap_mode="r")
    further = estimator.fit(X, y)
    assert_equal(outputs(loaded.fit(X, y), X), outputs(further, X))
    fresh = case.make().fit(X, y)
    assert_equal(outputs(loaded.set_params(warm_start=False).fit(X, y), X), outputs(fresh, X))


LOAD_AND_PREDICT = """
import sys, warnings
import joblib

warnings.simplefilter("error")
source, target = sys.argv[1:]
models = joblib.load(source)
joblib.dump([{name: getattr(model, name)(X) for name in names} for model, X, names in models], target)
"""


@pytest.fixture(scope="module")
def outputs_here_and_in_another_process(tmp_path_factory):
    """For each case the outputs of the model, and those of another process that loaded it from a file."""
    folder = tmp_path_factory.mktemp("models")
    models, here = [], []
    for case in CASES:
        estimator, X, _ = case.fitted()
        here.append(outputs(estimator, X))
        models.append((estimator, X, list(here[-1])))
    joblib.dump(models, folder / "models.joblib")
    command = [sys.executable, "-c", LOAD_AND_PREDICT, str(folder / "models.joblib"), str(folder / "outputs.joblib")]
    subprocess.run(command, check=True, timeout=120)
    there = joblib.load(folder / "outputs.joblib")
    return {case.name: pair for case, *pair in zip(CASES, here, there, strict=True)}


@every_case
def test_outputs_in_another_process_are_bitwise_equal(case, outputs_here_and_in_another_process):
    here, there = outputs_here_and_in_another_process[case.name]
    assert_equal(there, here)


def test_pickles_contain_no_training_text():
    texts_, codes = texts(40)
    texts_[3] += " zyzzyva"
    weights = np.linspace(1, 2, 40)
    weights[0] = 1.23456789
    for tokenizer in (TextTokenizer(min_frequency=2), TextTokenizer(vocab_size=6)):
        for rows in (texts_, [text.split() for text in texts_]):
            classifier = text_classifier(tokenizer=tokenizer, patience=1, validation_fraction=0.2)
            blob = pickle.dumps(classifier.fit(rows, codes, sample_weight=weights))
            assert b"amber" in blob  # a word of the vocabulary: the search can find words
            assert b"zyzzyva" not in blob
            assert weights[:1].tobytes() not in blob
            blob = pickle.dumps(clone(tokenizer).fit(rows))
            assert b"amber" in blob
            assert b"zyzzyva" not in blob


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.data not in (texts, tokens)], ids=lambda case: case.name
)
def test_pickles_contain_no_training_row(case):
    """The search is for the bytes of the rows, in several dtypes, with and without scaling."""
    changes = {"patience": 1, "validation_fraction": 0.2} if is_classifier(case.make()) else {}
    if case.make is text_classifier:
        changes |= {"nb_ngrams": 1, "wide": False}  # n-grams of several rows are kept
    estimator, X, _ = case.fitted(**changes)
    blob = pickle.dumps(estimator)
    if is_classifier(estimator):
        assert next(iter(estimator.network_.to_arrays().values())).tobytes() in blob  # the search can find weights
    has_ids = case.data in (ragged_ids, padded_ids)
    dtypes = (np.int32, np.int64) if has_ids else (np.float32, np.float64)
    if has_ids:  # Consecutive ids occur in the vocabulary too.
        X = [row for row in X if not (np.diff(row[:3]) == 1).all()]
        assert len(X) >= 20
    for row in X:
        forms = [row]
        if case.make is series_classifier:
            forms.append((row.reshape(len(row), -1) - estimator.channel_mean_) / estimator.channel_scale_)
        for form in forms:
            assert all(form[:3].astype(dtype).tobytes() not in blob for dtype in dtypes)


@every_case
def test_pickle_size_does_not_grow_with_the_data(case):
    changes = {"patience": 1, "validation_fraction": 0.2} if is_classifier(case.make()) else {}
    if case.make is text_classifier:
        changes |= {"nb_ngrams": 1, "wide": False}  # more rows contain more n-grams, though not more words
    sizes = [len(pickle.dumps(case.make(**changes).fit(*case.data(n)))) for n in (40, 400)]
    assert abs(sizes[1] - sizes[0]) < 200  # a few more digits of numbers


def types_inside(value):
    yield type(value)
    if isinstance(value, dict):
        for key, one in value.items():
            yield from types_inside(key)
            yield from types_inside(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from types_inside(one)
    elif isinstance(value, BaseEstimator | Classification) or is_label_feature_object(value):
        yield from types_inside(vars(value))


def is_label_feature_object(value):
    return type(value).__module__.startswith("seqclf._label_features.") and hasattr(value, "__dict__")


def arrays_inside(value):
    """All arrays in the attributes of an object, recursively."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from arrays_inside(one)
    elif issparse(value):
        yield from (value.data, value.indices, value.indptr)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        for one in vars(value).values():
            yield from arrays_inside(one)


@every_case
def test_fitted_estimators_keep_no_session_optimizer_or_data(case):
    changes = {"patience": 1, "validation_fraction": 0.2} if is_classifier(case.make()) else {}
    estimator, X, _ = case.fitted(**changes)
    allowed = {str, int, float, bool, type(None), dict, list, tuple, np.ndarray, type(estimator), TextTokenizer}
    allowed |= {type(getattr(estimator, name, None)) for name in ("network_", "subword_model_", "_task")}
    found = set(types_inside(vars(estimator)))
    if is_classifier(estimator):
        label_feature_types = {one for one in found if one.__module__.startswith("seqclf._label_features.")}
        assert LinearScores in label_feature_types
        allowed |= label_feature_types | {partial, FunctionType, np.random.RandomState, Ragged, type}
    assert found <= allowed
    kept = vars(estimator) | (vars(estimator._task) if is_classifier(estimator) else {})
    arrays = [value for value in kept.values() if isinstance(value, np.ndarray)]
    assert all(len(array) < len(X) for array in arrays)
    assert all(
        type(value) is not np.float64 for epoch in getattr(estimator, "history_", []) for value in epoch.values()
    )
    modules = {one.__module__.partition(".")[0] for one in types_inside(estimator.__getstate__())}
    assert modules <= {"builtins", "numpy", "seqclf", "tokenizers", "scipy", "sklearn", "functools"}


@every_classifier_case
def test_label_features_keep_no_array_of_the_size_of_the_data(case):
    """Neither one value per row, nor one per row and class."""
    X, y = case.data(211, n_classes=3)
    classifier = case.make(patience=1, validation_fraction=0.2).fit(X, y)
    arrays = list(arrays_inside(classifier._label_features))
    assert any(array is classifier.wide_.coef_ for array in arrays)
    assert not {n * k for n in (169, 211) for k in (1, 3)} & {array.size for array in arrays}


@every_classifier_case
@pytest.mark.skipif(torch.cuda.is_available(), reason="tests machines without a GPU")
def test_model_for_a_gpu_predicts_without_one_and_warns(case, tmp_path):
    estimator, X, _ = case.fitted()
    expected = outputs(estimator, X)
    estimator.set_params(device="cuda:0")
    joblib.dump(estimator, tmp_path / "model.joblib")
    for loaded in (pickle.loads(pickle.dumps(estimator)), joblib.load(tmp_path / "model.joblib")):  # without a warning
        assert loaded.device == "cuda:0"
        for name in PREDICTIONS:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                answer = getattr(loaded, name)(X)
            assert_equal(answer, expected[name])
            assert [str(one.message) for one in caught] == [
                "device='cuda:0', but torch finds no CUDA GPU here: the CPU is used."
            ]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@every_classifier_case
def test_model_trained_on_a_gpu_predicts_without_one_and_warns(case, monkeypatch):
    estimator, X, _ = case.fitted(device="cuda")
    expected = outputs(estimator, X)
    blob = pickle.dumps(estimator)
    assert next(estimator.network_.parameters()).device.type == "cuda"  # saving does not move the fitted model
    assert_equal(outputs(pickle.loads(blob), X), expected)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = pickle.loads(blob)
    with pytest.warns(UserWarning, match="no CUDA GPU"):
        elsewhere = outputs(loaded, X)
    for name, answer in elsewhere.items():
        assert_close(answer, expected[name], atol=1e-10)


# --- repr and HTML


@every_factory
def test_repr_shows_changed_parameters(make):
    estimator = make()
    cls = type(estimator)
    assert repr(cls()) == f"{cls.__name__}()"
    assert repr(eval(repr(estimator), {cls.__name__: cls})) == repr(estimator)  # valid Python
    changes = {"max_length": 3} if "max_length" in cls().get_params() else {"units": (3, 2)}
    (name, value), *_ = changes.items()
    assert repr(cls(**changes)) == f"{cls.__name__}({name}={value!r})"
    with config_context(print_changed_only=False):
        shown = estimator.__repr__(N_CHAR_MAX=10_000)
    # scikit-learn shows only thirty parameters.
    assert all(f"{name}=" in shown for name in sorted(estimator.get_params(deep=False))[:30])


def test_repr_shows_the_tokenizer():
    classifier = RNNTextClassifier(TextTokenizer(level="char"), units=3)
    assert repr(classifier) == "RNNTextClassifier(tokenizer=TextTokenizer(level='char'), units=3)"


@every_case
def test_html_shows_class_parameters_and_fitted_state(case):
    estimator, X, y = case.fitted()
    name = type(estimator).__name__
    unfitted = estimator_html_repr(clone(estimator))
    fitted = estimator_html_repr(estimator)
    for html in (unfitted, fitted, estimator._repr_html_()):
        assert name in html
        assert all(parameter in html for parameter in estimator.get_params(deep=False))
    assert "Not fitted" in unfitted
    assert "Not fitted" not in fitted
    assert {"text/html", "text/plain"} <= estimator._repr_mimebundle_().keys()
    # The representations do not change the estimator.
    assert_equal(outputs(estimator, X), outputs(case.make().fit(X, y), X))


def test_html_stays_short_and_does_not_link_to_pages_of_scikit_learn():
    texts, labels = datasets.make_order_reviews(200, random_state=0, return_X_y=True)
    classifier = RNNTextClassifier(units=2, max_epochs=1, random_state=0).fit(texts, labels)
    classifier.history_ = classifier.history_ * 200
    html = estimator_html_repr(make_pipeline(classifier))
    assert "history_" in html and len(html) < 60_000
    assert classifier._get_doc_link() == ""
