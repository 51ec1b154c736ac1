"""Fits in a state of their own: predictions in other threads get the old model or the new one, whole."""

import threading

import numpy as np
import pytest

from seqclf import RNNClassifier, RNNTagger, RNNTextClassifier, SequencePadder, TextTokenizer
from seqclf._state import fresh_state, snapshot

SMALL = {"units": 2, "max_epochs": 1, "random_state": 0, "n_threads": 1}


class Plain:
    def __init__(self, **attributes):
        vars(self).update(attributes)


def test_a_snapshot_does_not_change_with_the_original():
    original = Plain(a=1, b=[2])
    twin = snapshot(original)
    original.a, original.c = 3, 4
    assert type(twin) is Plain and vars(twin) == {"a": 1, "b": [2]} and twin.b is original.b


def test_the_attributes_of_a_fit_appear_at_its_end():
    original = Plain(a=1)
    with fresh_state(original) as fresh:
        fresh.a, fresh.b = 2, 3
        assert vars(original) == {"a": 1}
    assert vars(original) == {"a": 2, "b": 3}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_everything_is_as_before(error):
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
def test_a_prediction_during_fits_gets_one_model_whole(make, sets):
    """Two models are fitted in turn in one thread; a prediction in another one is that of the first or the second."""
    (X, y), (X_other, y_other) = sets()
    model = make(**SMALL)
    asked = X[:3]
    expected = [
        [np.concatenate(probabilities).tolist() if make is RNNTagger else probabilities.tolist()]
        for probabilities in (
            make(**SMALL).fit(X, y).predict_proba(asked),
            make(**SMALL).fit(X_other, y_other).predict_proba(asked),
        )
    ]
    model.fit(X, y)
    over, errors = threading.Event(), []

    def fit_in_turn():
        try:
            for n in range(12):
                model.fit(*((X_other, y_other) if n % 2 == 0 else (X, y)))
        except BaseException as error:
            errors.append(error)
        finally:
            over.set()

    thread = threading.Thread(target=fit_in_turn)
    thread.start()
    seen = []
    while not over.is_set():
        probabilities = model.predict_proba(asked)
        seen.append([np.concatenate(probabilities).tolist() if make is RNNTagger else probabilities.tolist()])
    thread.join()
    assert not errors
    assert len(seen) > 12
    assert all(one in expected for one in seen)
    assert all(one in seen for one in expected)


def test_a_transformation_during_fits_gets_one_vocabulary_whole():
    first, second = ["good film", "bad film"] * 5, ["sweet sour salty bitter rich"] * 10
    tokenizer, padder = TextTokenizer().fit(first), SequencePadder().fit([[2, 3]] * 3)
    expected = {tuple(TextTokenizer().fit(texts).transform(["good sour"])[0]) for texts in (first, second)}
    over = threading.Event()

    def fit_in_turn():
        for n in range(200):
            tokenizer.fit(second if n % 2 == 0 else first)
            padder.fit([[2, 3]] * 3 if n % 2 else [np.ones((4, 2))] * 3)
        over.set()

    thread = threading.Thread(target=fit_in_turn)
    thread.start()
    seen, padded, refused = set(), set(), set()
    while not over.is_set():
        seen.add(tuple(tokenizer.transform(["good sour"])[0]))
        try:
            padded.add(padder.transform([[2, 3, 4]]).shape)
        except ValueError as error:  # It was fitted on series then.
            refused.add(str(error))
    thread.join()
    assert seen == expected and padded == {(1, 2)} and all("in fit" in message for message in refused)


def test_a_parameter_that_is_set_during_a_fit_stays_set():
    classifier = RNNClassifier(**SMALL)
    with fresh_state(classifier) as fresh:
        fresh.units, fresh.classes_ = 9, "learned"
        classifier.set_params(batch_size=7)
        classifier.classes_ = "of another fit"
    assert (classifier.batch_size, classifier.units, classifier.classes_) == (7, 9, "learned")
