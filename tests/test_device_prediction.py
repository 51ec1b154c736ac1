"""`predict_on_device`: the same results as predictions without torch, and the same errors."""

import numpy as np
import pytest
import torch

from seqclf import RNNTagger, RNNTextClassifier
from seqclf._data.ragged import Ragged
from seqclf._device_prediction import predict_on_device

TINY = {"units": 3, "max_epochs": 1, "random_state": 0, "device": "cpu"}
TEXTS = ["good film and a good story", "bad film", "", "a bad story"] * 5


@pytest.fixture(scope="module")
def classifier():
    return RNNTextClassifier(**TINY).fit(TEXTS, [0, 1, 0, 1] * 5)


def on_device(estimator, X, what):
    rows = estimator._validate_X(X, reset=False)
    return predict_on_device(estimator, lambda: estimator._encode(rows), what)


def test_predict_on_device_outputs_include_label_features(classifier):
    np.testing.assert_array_equal(on_device(classifier, TEXTS, "outputs"), classifier._outputs(TEXTS))


def test_predict_on_device_states(classifier):
    states = on_device(classifier, TEXTS, "states")
    assert isinstance(states, Ragged)
    for found, expected in zip(states.items(), classifier.hidden_states(TEXTS), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_predict_on_device_restores_the_number_of_threads(classifier):
    before = torch.get_num_threads()
    classifier = RNNTextClassifier(**TINY, n_threads=before + 1).fit(TEXTS, [0, 1, 0, 1] * 5)
    on_device(classifier, TEXTS, "outputs")
    assert torch.get_num_threads() == before


def test_predict_on_device_names_a_row_with_outputs_that_are_not_finite():
    X = [np.ones((3, 1)), np.zeros((2, 1)), np.full((4, 1), 0.5)]
    tagger = RNNTagger(**TINY, activation="relu", cell="rnn").fit(X, [[0, 1, 0], [1, 1], [0, 0, 1, 1]])
    with pytest.raises(ValueError, match="row 2 of X"):
        on_device(tagger, [X[0], X[1], np.full((4, 1), 3e37)], "outputs")


def test_predict_on_device_turns_out_of_memory_errors_into_memory_error(classifier, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr("seqclf._device_prediction.predict_outputs", fail)
    with pytest.raises(MemoryError, match=r"There was too little memory: CUDA out of memory\."):
        on_device(classifier, TEXTS, "outputs")
