"""Fitting on a copy: predictions in other threads use the old model or the new one, never a mixture."""

import threading

import numpy as np
import pytest

from seqclf import RNNClassifier, RNNTagger, RNNTextClassifier, SequencePadder, TextTokenizer
from seqclf._state import fresh_state, snapshot

SMALL = {"units": 2, "max_epochs": 1, "random_state": 0, "n_threads": 1}


class Plain:
    def __init__(self, **attributes):
        vars(self).update(attributes)


def test_snapshot_does_not_change_with_the_original():
    original = Plain(a=1, b=[2])
    copy = snapshot(original)
    original.a, original.c = 3, 4
    assert type(copy) is Plain and vars(copy) == {"a": 1, "b": [2]} and copy.b is original.b


def test_fresh_state_sets_attributes_at_the_end():
    original = Plain(a=1)
    with fresh_state(original) as fresh:
        fresh.a, fresh.b = 2, 3
        assert vars(original) == {"a": 1}
    assert vars(original) == {"a": 2, "b": 3}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_fresh_state_changes_nothing_after_an_error(error):
    original = Plain(a=1)
    before = vars(original)

    def fit():
        with fresh_state(original) as fresh:
            fresh.a, fresh.b = 2, 3
            raise error

    with pytest.raises(error):
        fit()
    assert vars(original) is before and before == {"a": 1}


def texts():
    """Two training sets that differ in vocabulary and in classes."""
    for words in (["good", "bad"], ["sweet", "sour", "salty", "bitter", "rich"]):
        X = [f"this is {word} {n}" for word in words for n in range(20)]
        yield X, [f"is {word}" for word in words for _ in range(20)]


def series():
    for n_classes in (2, 3):
        y = np.arange(40) % n_classes
        yield np.random.default_rng(0).normal(size=(40, 5)) + y[:, None], [f"class {label}" for label in y]


def tags():
    for names in ("AB", "xyz"):
        X = [[names[i % len(names)], names[j % len(names)]] for i in range(6) for j in range(6)]
        yield X, [[f"is {token}" for token in row] for row in X]


@pytest.mark.parametrize(
    ("make", "sets"), [(RNNTextClassifier, texts), (RNNClassifier, series), (RNNTagger, tags)], ids=lambda x: x.__name__
)
def test_predictions_during_concurrent_fits_use_one_consistent_model(make, sets):
    """One thread fits two models in turn; each prediction in another thread is that of the first or the second."""
    (X, y), (X_other, y_other) = sets()
    model = make(**SMALL)
    X_new = X[:3]
    expected = [
        [np.concatenate(probabilities).tolist() if make is RNNTagger else probabilities.tolist()]
        for probabilities in (
            make(**SMALL).fit(X, y).predict_proba(X_new),
            make(**SMALL).fit(X_other, y_other).predict_proba(X_new),
        )
    ]
    model.fit(X, y)
    finished, errors = threading.Event(), []

    def fit_in_turn():
        try:
            for n in range(12):
                model.fit(*((X_other, y_other) if n % 2 == 0 else (X, y)))
        except BaseException as error:
            errors.append(error)
        finally:
            finished.set()

    thread = threading.Thread(target=fit_in_turn)
    thread.start()
    found = []
    while not finished.is_set():
        probabilities = model.predict_proba(X_new)
        found.append([np.concatenate(probabilities).tolist() if make is RNNTagger else probabilities.tolist()])
    thread.join()
    assert not errors
    assert len(found) > 12
    assert all(each in expected for each in found)
    assert all(each in found for each in expected)


def test_transforms_during_concurrent_fits_use_one_consistent_vocabulary():
    first, second = ["good film", "bad film"] * 5, ["sweet sour salty bitter rich"] * 10
    tokenizer, padder = TextTokenizer().fit(first), SequencePadder().fit([[2, 3]] * 3)
    expected = {tuple(TextTokenizer().fit(texts).transform(["good sour"])[0]) for texts in (first, second)}
    finished = threading.Event()

    def fit_in_turn():
        for n in range(200):
            tokenizer.fit(second if n % 2 == 0 else first)
            padder.fit([[2, 3]] * 3 if n % 2 else [np.ones((4, 2))] * 3)
        finished.set()

    thread = threading.Thread(target=fit_in_turn)
    thread.start()
    found, padded, messages = set(), set(), set()
    while not finished.is_set():
        found.add(tuple(tokenizer.transform(["good sour"])[0]))
        try:
            padded.add(padder.transform([[2, 3, 4]]).shape)
        except ValueError as error:  # if the padder is currently fitted on series
            messages.add(str(error))
    thread.join()
    assert found == expected and padded == {(1, 2)} and all("in fit" in message for message in messages)


def test_fresh_state_keeps_parameters_set_during_a_fit():
    classifier = RNNClassifier(**SMALL)
    with fresh_state(classifier) as fresh:
        fresh.units, fresh.classes_ = 9, "fitted"
        classifier.set_params(batch_size=7)
        classifier.classes_ = "of another fit"
    assert (classifier.batch_size, classifier.units, classifier.classes_) == (7, 9, "fitted")


def test_fresh_state_keeps_named_attributes_of_the_original():
    original = Plain(a=1, b=2, c=3)
    with fresh_state(original, kept=("b", "c", "d", "e")) as fresh:
        fresh.a, fresh.b, fresh.d = 4, 5, 6
        original.b, original.e = 7, 8
        del original.c
    assert vars(original) == {"a": 4, "b": 7, "e": 8}
