"""Predictions from encoded rows: blocks, numbers of threads, and errors."""

import tracemalloc

import numpy as np
import pytest

from seqclf import RNNClassifier, RNNTagger, RNNTextClassifier
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._label_features import character_ngrams
from seqclf._native.threads import chosen_threads, kernel_threads
from seqclf._prediction import check_outputs, check_token_counts, predict_sequences

SEQUENCES = EncodedSequences(Ragged.from_items([[1.0], [2.0, 3.0]]))


class Halved:
    def transform(self, sequences):
        return EncodedSequences(Ragged(sequences.steps.values / 2, sequences.lengths))


@pytest.mark.parametrize("features", [None, Halved()])
def test_predict_sequences_adds_label_features(features):
    def compute(sequences, add_features):
        return (add_features(sequences) if add_features else sequences).steps.values[:, None]

    values = predict_sequences(lambda: SEQUENCES, features, compute, None)
    assert values.ravel().tolist() == ([1.0, 2.0, 3.0] if features is None else [0.5, 1.0, 1.5])


@pytest.mark.parametrize("n_threads", [None, 3])
def test_predict_sequences_sets_and_restores_n_threads(n_threads):
    seen = []

    def compute(*_):
        seen.append(chosen_threads())
        return np.zeros((2, 1))

    with kernel_threads(5):
        predict_sequences(lambda: SEQUENCES, None, compute, n_threads)
        assert chosen_threads() == 5
    assert seen == [n_threads or 5]


@pytest.mark.parametrize(("error", "message"), [(MemoryError(), "too little memory"), (MemoryError("1 GB"), "1 GB")])
def test_predict_sequences_adds_a_message_to_memory_error(error, message):
    def fail(*_):
        raise error

    with pytest.raises(MemoryError, match=message):
        predict_sequences(lambda: SEQUENCES, None, fail, 2)
    assert chosen_threads() is None


def test_check_outputs_names_the_first_row_that_is_not_finite():
    outputs = np.array([[0.0], [np.inf], [np.nan]])
    with pytest.raises(ValueError, match="for row 1 of X is not finite"):
        check_outputs(outputs)
    with pytest.raises(ValueError, match="for row 2 of X is not finite"):
        check_outputs(Ragged(outputs, np.array([1, 0, 2])))
    check_outputs(outputs[:1])


def test_check_token_counts_names_the_row():
    check_token_counts([["a"], ["b", "c"]], SEQUENCES, "X", "Mine")
    check_token_counts(SEQUENCES.steps, SEQUENCES, "X", "Mine")
    with pytest.raises(ValueError, match="Mine, made 2 ids from the 3 tokens in row 1 of X_val"):
        check_token_counts([["a"], ["b", "c", "d"]], SEQUENCES, "X_val", "Mine")


TINY = {"units": 3, "max_epochs": 2, "random_state": 0}


@pytest.mark.parametrize("wide", [True, False])
def test_predictions_of_a_classifier_name_a_row_with_outputs_that_are_not_finite(wide):
    classifier = RNNClassifier(**TINY, wide=wide).fit([[0.0], [1.0]] * 5, ["a", "b"] * 5)
    for predict in (classifier.predict, classifier.predict_proba, classifier.decision_function):
        with pytest.raises(ValueError, match="row 1 of X"):
            predict([[0.5], [1e38], [1e37]])


def test_predictions_of_a_tagger_and_hidden_states_name_a_row_that_is_not_finite():
    X = [np.ones((3, 1)), np.zeros((2, 1)), np.full((4, 1), 0.5)]
    tagger = RNNTagger(**TINY, activation="relu", cell="rnn").fit(X, [[0, 1, 0], [1, 1], [0, 0, 1, 1]])
    too_large = [X[0], X[1], np.full((4, 1), 3e37)]
    with pytest.raises(ValueError, match="row 2 of X"):
        tagger.predict(too_large)
    with pytest.raises(ValueError, match="row 2 of X"):
        tagger.hidden_states(too_large)


# --- predictions in blocks


def numbered_texts(n, first=0):
    """Texts of three words: two of a few, and one that no other text has."""
    return [f"w{i % 7} x{i % 5} new{first + i}" for i in range(n)]


@pytest.fixture(scope="module")
def text_models():
    texts, labels = numbered_texts(60), np.arange(60) % 7 % 2
    tags = [[word[0] for word in text.split()] for text in texts]
    return {
        "classes": RNNTextClassifier(**TINY).fit(texts, labels),
        "tags": RNNTagger(**TINY).fit([text.split() for text in texts], tags),
    }


@pytest.mark.parametrize("kind", ["classes", "tags"])
@pytest.mark.parametrize("limits", [{"steps": 1}, {"steps": 10}, {"steps": 25}, {"scores": 1}, {"scores": 7}])
def test_predictions_in_blocks_have_the_same_bits(text_models, kind, limits, tune):
    """New words have their spelling in each block."""
    model, texts = text_models[kind], ["", *numbered_texts(20, first=50), "w1 x1", "new51 new51 w1", ""]
    X = [text.split() for text in texts] if kind == "tags" else texts

    def results():
        return [*model.predict_proba(X), *model.hidden_states(X)]

    expected = results()
    tune(**{f"prediction_block_{name}": limit for name, limit in limits.items()})
    for found, once in zip(results(), expected, strict=True):
        np.testing.assert_array_equal(found, once)


def test_blocks_spell_each_new_word_once(text_models, monkeypatch, tune):
    """The work grows with the number of words, not with their number times that of the blocks."""
    spelled, spell = [], character_ngrams.char_wb_ngrams
    monkeypatch.setattr(character_ngrams, "char_wb_ngrams", lambda token: spelled.append(token) or spell(token))
    tune(prediction_block_steps=30)
    for n in (100, 200):
        spelled.clear()
        text_models["classes"].predict(numbered_texts(n, first=100))
        assert sorted(spelled) == sorted(f"new{100 + i}" for i in range(n))


def test_memory_of_label_features_is_that_of_a_block(text_models, tune):
    """A token takes the memory of its id, however many features it has."""
    tune(prediction_block_steps=3_000)
    model, texts = text_models["classes"], numbered_texts(10) * 4_000
    model.predict(texts[:1_000])

    def peak(n):
        tracemalloc.start()
        model.predict(texts[:n])
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    per_token = (peak(40_000) - peak(10_000)) / (3 * 30_000)
    assert per_token < 40
    tune(prediction_block_steps=10**9)
    assert (peak(40_000) - peak(10_000)) / (3 * 30_000) > 2 * per_token
