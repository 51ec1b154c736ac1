"""The recipe of `fit`: numbers that overflow end in an error that says where, never in NaN."""

import numpy as np
import pytest

from seqclf import RNNClassifier, RNNRegressor, RNNTagger
from seqclf._kernels import ACTIVATIONS, CELLS

SMALL = {"units": 3, "max_epochs": 2, "random_state": 0}
ALL = [(cell, activation) for cell in CELLS for activation in ACTIVATIONS]


@pytest.mark.parametrize("wide", [True, False])
def test_a_row_that_the_network_can_not_compute_is_named(wide):
    classifier = RNNClassifier(**SMALL, wide=wide).fit([[0.0], [1.0]] * 5, ["a", "b"] * 5)
    for predict in (classifier.predict, classifier.predict_proba, classifier.decision_function):
        with pytest.raises(ValueError, match="row 1 of X"):
            predict([[0.5], [1e38], [1e37]])


@pytest.mark.filterwarnings("ignore:cell=.* is many times slower")
@pytest.mark.parametrize(("cell", "activation"), ALL)
def test_a_fit_ends_in_finite_predictions_or_in_an_error(cell, activation):
    X = np.random.default_rng(0).normal(size=(20, 12)) * 1e20
    for settings in ({}, {"conv_filters": 0}, {"wide": False}, {"wide": False, "conv_filters": 0}):
        classifier = RNNClassifier(**SMALL, cell=cell, activation=activation, scale=False, **settings)
        message = ""
        try:
            classifier.fit(X, [0, 1] * 10)
        except ValueError as error:
            message = str(error)
        if hasattr(classifier, "network_"):
            assert np.isfinite(classifier.predict_proba(X)).all()
        else:
            assert "diverged" in message or "scale" in message


def test_a_network_that_overflows_after_its_last_step_has_diverged(monkeypatch):
    """Its weights and its losses were finite."""
    from seqclf._training.session import TrainingSession

    run = TrainingSession.run

    def run_and_blow_up(self, *args, **kwargs):
        run(self, *args, **kwargs)
        self.network.head.weight.data.fill_(float("inf"))

    monkeypatch.setattr(TrainingSession, "run", run_and_blow_up)
    X = np.random.default_rng(0).normal(size=(20, 4))
    for model, y in ((RNNClassifier(**SMALL), [0, 1] * 10), (RNNRegressor(**SMALL), np.arange(20.0))):
        with pytest.raises(ValueError, match=r"not finite numbers: the fit diverged\. Lower learning_rate"):
            model.fit(X, y)
        assert not hasattr(model, "network_")


def test_a_row_of_a_tagger_and_of_hidden_states_is_named():
    X = [np.ones((3, 1)), np.zeros((2, 1)), np.full((4, 1), 0.5)]
    tagger = RNNTagger(**SMALL, activation="relu", cell="rnn").fit(X, [[0, 1, 0], [1, 1], [0, 0, 1, 1]])
    far = [X[0], X[1], np.full((4, 1), 3e37)]
    with pytest.raises(ValueError, match="row 2 of X"):
        tagger.predict(far)
    with pytest.raises(ValueError, match="row 2 of X"):
        tagger.hidden_states(far)
