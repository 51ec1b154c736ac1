"""RNNClassifier: the convolutional layers next to the recurrent ones."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from _factories import series_classifier
from seqclf import datasets


def test_conv_filters_find_a_pattern_that_a_narrow_recurrent_layer_misses():
    """The class is the direction of a short wave early in a noisy series, which a state of one unit cannot retain."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 60)) * 0.3, np.arange(120) % 2
    wave = np.array([0.0, 3.0, -3.0, 3.0, 0.0])
    for row, at in enumerate(rng.integers(0, 25, 120)):
        X[row, at : at + 5] += wave if y[row] else -wave
    settings = {"units": 1, "bidirectional": False, "max_epochs": 30, "cell": "rnn", "pooling": "last", "wide": False}
    with_filters, without = (
        series_classifier(**settings, conv_filters=filters).fit(X[:80], y[:80]).score(X[80:], y[80:])
        for filters in (8, 0)
    )
    assert with_filters > 0.95 and without < 0.75


def test_conv_filters_are_counted_pickled_and_cloned():
    X, y = datasets.make_order_series(30, random_state=0)
    without, fitted = (series_classifier(conv_filters=filters).fit(X, y) for filters in (0, (4, 6)))
    assert without.network_.convolutions is None
    n_channels, n_outputs = fitted.n_channels_in_, fitted.network_.head.n_outputs
    # Kernels of length 15 and 9, one bias per filter; six features in the head from the last layer.
    assert fitted.n_parameters_ - without.n_parameters_ == 4 * n_channels * 15 + 4 + 6 * 4 * 9 + 6 + 6 * n_outputs
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.decision_function(X), fitted.decision_function(X))
    again = clone(fitted).fit(X, y)
    np.testing.assert_array_equal(again.decision_function(X), fitted.decision_function(X))


def test_conv_filters_continue_in_a_warm_start():
    X, y = datasets.make_order_series(30, random_state=0)
    fitted = series_classifier(conv_filters=(4,), warm_start=True).fit(X, y)
    seen = float(fitted.network_.convolutions.layers[0].n_batches)
    assert float(fitted.fit(X, y).network_.convolutions.layers[0].n_batches) == 2 * seen > 0
    with pytest.raises(ValueError, match=r"conv_filters must stay \(4,\) as in the first fit; got \(5,\)"):
        fitted.set_params(conv_filters=(5,)).fit(X, y)


def test_conv_filters_can_be_searched():
    X, y = datasets.make_order_series(40, random_state=0)
    grid = {"conv_filters": [0, 4, (4, 3)]}
    search = GridSearchCV(series_classifier(n_threads=1), grid, cv=2, error_score="raise", scoring="neg_log_loss").fit(
        X, y
    )
    assert len(set(search.cv_results_["mean_test_score"])) == 3


def test_conv_filters_train_on_series_of_one_step():
    X = [np.array([value]) for value in (1.0, -1.0, 2.0, -2.0, 1.5, -1.5)] + [np.empty(0)]
    fitted = series_classifier(max_epochs=30, batch_size=1, conv_filters=4, wide=False).fit(X, [1, 0, 1, 0, 1, 0, 0])
    assert np.isfinite(fitted.decision_function(X)).all()
    assert fitted.decision_function(X)[-1] == pytest.approx(fitted.network_.head.bias.item())
