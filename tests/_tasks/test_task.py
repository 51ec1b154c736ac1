"""`Task` as an interface: a custom task, defined here only, trains through the whole package."""

import re

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from seqclf import RNNClassifier, RNNTextClassifier
from seqclf._base_series import BaseSeriesRNN
from seqclf._base_text import BaseTextRNN
from seqclf._data.ragged import Ragged
from seqclf._inference.dispatch import is_compiled
from seqclf._tasks.task import Task, weighted_mean


class Tagging(Task):
    """One of two labels for each step."""

    per_step = True
    score_name = "accuracy"
    n_outputs = 1

    def validate(self, y, rows, *, name="y", rows_name="X"):
        return Ragged.from_items(y)

    def fit(self, y, weights):
        return self.encode(y)

    def refit(self, y, before):
        return self.encode(y)

    def encode(self, y, *, name="y"):
        return Ragged(y.values.astype(np.float32), y.lengths)

    def supervision_targets(self, targets):
        return csr_array((len(targets), 1))

    def calibrate(self, scores, targets, weights):
        raise AssertionError("a per-step task has no class scores of sequences")

    def losses(self, outputs, targets):
        return torch.nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], targets, reduction="none")

    def score(self, summaries, targets, weights):
        return weighted_mean((summaries[:, 0] > 0) == (targets > 0), weights)

    def decode(self, outputs):
        return [(row[:, 0] > 0).astype(int) for row in outputs.items()]


def estimator(base, task, parameters_of):
    """An estimator for a task, with the parameters of a public estimator."""

    class Estimator(base):
        __init__ = parameters_of.__init__

        def _new_task(self, y):
            return task()

        def fit(self, X, y, sample_weight=None, X_val=None, y_val=None, groups=None):
            return self._fit(X, y, sample_weight, X_val, y_val, None, groups)

        def predict(self, X):
            return self._task.decode(self._outputs(X))

    return Estimator


SeriesTagger = estimator(BaseSeriesRNN, Tagging, RNNClassifier)
TextTagger = estimator(BaseTextRNN, Tagging, RNNTextClassifier)


def test_progress_shows_score_name(capsys):
    X, y = steps(30)
    SeriesTagger(units=4, max_epochs=2, verbose=1, random_state=0).fit(X, y, X_val=X[:20], y_val=y[:20])
    assert re.search("validation: loss [0-9.]+, accuracy [0-9.]+", capsys.readouterr().out)


def steps(n, seed=0):
    """Ragged series, and for each step whether the sum up to it is positive; some have no step."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(rng.integers(0, 15), 1)) for _ in range(n)]
    X[0] = rng.normal(size=(5, 1))
    return X, [(np.cumsum(row[:, 0]) > 0).astype(int) for row in X]


@pytest.mark.parametrize("patience", [None, 3])
@pytest.mark.parametrize("conv_filters", [0, 4])
def test_per_step_task_is_learned(patience, conv_filters):
    X, y = steps(200)
    model = SeriesTagger(units=12, max_epochs=25, conv_filters=conv_filters, patience=patience, random_state=0)
    model.fit(X, y, sample_weight=np.random.default_rng(0).integers(1, 3, 200))
    assert model.history_[-1]["train_loss"] < 0.5 * model.history_[0]["train_loss"]
    X_new, y_new = steps(100, seed=1)
    predicted = model.predict(X_new)
    assert list(map(len, predicted)) == list(map(len, y_new))
    assert np.mean(np.concatenate(predicted) == np.concatenate(y_new)) > 0.9


def test_per_step_outputs_do_not_depend_on_the_batch():
    """Outputs are the same in order, shuffled, and for a sequence alone."""
    X, y = steps(40)
    model = SeriesTagger(units=6, max_epochs=2, random_state=0).fit(X, y)
    outputs = model._outputs(X)
    np.testing.assert_array_equal(outputs.lengths, list(map(len, X)))
    order = np.random.default_rng(1).permutation(40)
    shuffled = model._outputs([X[i] for i in order])
    # The order of summation in other kernels depends on the batch; they use float64.
    tolerance = 0 if is_compiled("lstm", "tanh") else 1e-12
    np.testing.assert_allclose(shuffled.values, outputs.take(order).values, rtol=tolerance, atol=tolerance)
    for i in (0, 3, 7):
        alone = model._outputs([X[i]]).values
        np.testing.assert_allclose(alone, outputs.items()[i], rtol=tolerance, atol=tolerance)


def test_per_step_loss_and_score_in_history_by_hand():
    X, y = steps(30)
    weights = np.random.default_rng(0).random(30)
    settings = {"units": 4, "max_epochs": 1, "dropout": 0.0, "conv_filters": 0, "learning_rate": 1e-30}
    model = SeriesTagger(**settings, random_state=0).fit(X, y, sample_weight=weights)
    logits, targets = model._outputs(X), np.concatenate(y)
    losses = np.logaddexp(0, np.where(targets == 1, -1, 1) * logits.values[:, 0])
    expected = np.average(losses, weights=np.repeat(weights, logits.lengths))
    assert model.history_[0]["train_loss"] == pytest.approx(expected, rel=1e-5)
    hits = (logits.values[:, 0] > 0) == (targets == 1)
    assert model.history_[0]["train_score"] == pytest.approx(
        np.average(hits, weights=np.repeat(weights, logits.lengths)), rel=1e-6
    )


def test_per_step_targets_of_wrong_length_raise():
    X, y = steps(20)
    y[3], y[4] = np.append(y[3], 0), y[4]
    with pytest.raises(ValueError, match=rf"Row 3 of y has {len(y[3])} targets, but row 3 of X has {len(X[3])} steps"):
        SeriesTagger(units=2, max_epochs=1).fit(X, y)
    X, y = steps(20)
    with pytest.raises(ValueError, match="Row 0 of y_val has 5 targets, but row 0 of X_val has 4 steps"):
        SeriesTagger(units=2, max_epochs=1).fit(X, y, X_val=[X[0][1:]], y_val=[y[0]])


@pytest.mark.parametrize(("tagger", "data"), [(SeriesTagger, "series"), (TextTagger, "tokens")])
def test_per_step_warm_start_ignores_label_feature_parameters(tagger, data):
    """A per-step task has no label features of sequences, so their parameters can change."""
    X, y = steps(20)
    if data == "tokens":
        X = [[f"w{value:.0f}" for value in row[:, 0]] for row in X]
    model = tagger(units=2, max_epochs=1, warm_start=True, random_state=0).fit(X, y)
    assert model._label_features is None and model.set_params(wide=False).fit(X, y).n_iter_ == 1


def test_per_step_task_on_texts():
    rng = np.random.default_rng(0)
    X = [[f"w{k}" for k in rng.integers(0, 10, rng.integers(1, 12))] for _ in range(200)]
    y = [[int(token in ("w1", "w2", "w3")) for token in row] for row in X]
    model = TextTagger(units=8, max_epochs=30, dropout=0.1, random_state=0).fit(X, y)
    assert np.mean(np.concatenate(model.predict(X)) == np.concatenate(y)) > 0.95
