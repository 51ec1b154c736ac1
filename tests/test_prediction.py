"""Predictions from encoded rows: numbers of threads, and errors."""

import numpy as np
import pytest

from seqclf import RNNClassifier, RNNTagger
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._native.threads import chosen_threads, kernel_threads
from seqclf._prediction import check_outputs, check_token_counts, predict_sequences

SEQUENCES = EncodedSequences(Ragged.from_items([[1.0], [2.0, 3.0]]))


class Halved:
    def transform(self, sequences):
        return EncodedSequences(Ragged(sequences.steps.values / 2, sequences.lengths))


@pytest.mark.parametrize("features", [None, Halved()])
def test_predict_sequences_adds_label_features(features):
    values = predict_sequences(lambda: SEQUENCES, features, lambda found: found.steps.values[:, None], None)
    assert values.ravel().tolist() == ([1.0, 2.0, 3.0] if features is None else [0.5, 1.0, 1.5])


@pytest.mark.parametrize("n_threads", [None, 3])
def test_predict_sequences_sets_and_restores_n_threads(n_threads):
    seen = []

    def compute(_):
        seen.append(chosen_threads())
        return np.zeros((2, 1))

    with kernel_threads(5):
        predict_sequences(lambda: SEQUENCES, None, compute, n_threads)
        assert chosen_threads() == 5
    assert seen == [n_threads or 5]


@pytest.mark.parametrize(("error", "message"), [(MemoryError(), "too little memory"), (MemoryError("1 GB"), "1 GB")])
def test_predict_sequences_adds_a_message_to_memory_error(error, message):
    def fail(_):
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
