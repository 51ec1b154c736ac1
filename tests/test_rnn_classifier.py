"""RNNClassifier: what a series is, and how its channels are scaled."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from seqclf import RNNClassifier, datasets
from seqclf._base import AutoEpochs


def classifier(**changes):
    return RNNClassifier(**({"units": 3, "max_epochs": 2, "random_state": 0} | changes))


RNG = np.random.default_rng(0)
CHANNELS = [RNG.normal(size=(n, 2)) * [1, 50] + [0, 1_000] for n in (3, 5, 4, 6)]
Y = [0, 1, 0, 1]


def test_channels_are_standardised_over_all_steps():
    fitted = classifier().fit(CHANNELS, Y)
    steps = np.concatenate(CHANNELS)
    np.testing.assert_allclose(fitted.channel_mean_, steps.mean(axis=0))
    np.testing.assert_allclose(fitted.channel_scale_, steps.std(axis=0))


def test_scaling_counts_sample_weights():
    weights = [1, 0, 2, 3]
    fitted = classifier().fit(CHANNELS, Y, sample_weight=weights)
    repeated = np.concatenate([series for series, weight in zip(CHANNELS, weights, strict=True) for _ in range(weight)])
    np.testing.assert_allclose(fitted.channel_mean_, repeated.mean(axis=0))
    np.testing.assert_allclose(fitted.channel_scale_, repeated.std(axis=0))


def test_what_the_network_reads_is_scaled_and_can_be_left_alone():
    fitted = classifier().fit(CHANNELS, Y)
    scaled = [(series - fitted.channel_mean_) / fitted.channel_scale_ for series in CHANNELS]
    plain = classifier(scale=False).fit(scaled, Y)
    np.testing.assert_array_equal(plain.channel_scale_, [1, 1])
    np.testing.assert_allclose(plain.decision_function(scaled), fitted.decision_function(CHANNELS), rtol=1e-5)


@pytest.mark.parametrize("size", [1e-300, 1e-13, 1.0, 1e200])
def test_series_of_any_size_are_the_same_series(size):
    X, y = datasets.make_order_series(20, random_state=0)
    fitted = classifier().fit([series * size for series in X], y)
    np.testing.assert_allclose(
        fitted.decision_function([series * size for series in X]),
        classifier().fit(X, y).decision_function(X),
        rtol=1e-4,
    )


def test_a_constant_channel_is_only_centred():
    X = [np.column_stack((series, np.full(len(series), 0.1))) for series in ([1.0, 2.0], [3.0, 1.0, 2.0])]
    fitted = classifier().fit(X, [0, 1])
    assert fitted.channel_scale_[1] == 1
    assert fitted.channel_mean_[1] == pytest.approx(0.1)


def test_numbers_too_large_for_float32_are_named():
    fitted = classifier().fit(CHANNELS, Y)
    bad = [CHANNELS[0], CHANNELS[1].copy()]
    bad[1][2, 1] = 1e300
    with pytest.raises(ValueError, match=r"1e\+300\] in row 1, step 2: too large .* after scaling"):
        fitted.predict(bad)
    with pytest.raises(ValueError, match=r"in row 0, step 0: too large.*or scale=True"):
        classifier(scale=False).fit([[1e39, 1.0], [1.0]], [0, 1])


@pytest.mark.parametrize("make", [list, tuple, lambda rows: pd.Series(list(rows))])
def test_a_list_of_arrays_is_ragged_even_where_lengths_are_equal(make):
    rows = [np.arange(3.0), -np.arange(3.0)] * 3
    fitted = classifier().fit(make(rows), [0, 1] * 3)
    assert not hasattr(fitted, "n_features_in_") and fitted.n_channels_in_ == 1
    assert fitted.predict([np.arange(5.0)]).shape == (1,)


@pytest.mark.parametrize("X", [[[0.0, 1.0], [1.0, 0.0]], np.eye(2), ([0, 1], [1, 0])])
def test_a_table_keeps_its_width(X):
    fitted = classifier().fit(X, [0, 1])
    assert (fitted.n_features_in_, fitted.n_channels_in_) == (2, 1)
    with pytest.raises(ValueError, match=r"3 features.*expecting 2 features"):
        fitted.predict(np.eye(3))


def test_a_frame_with_one_column_of_series():
    rows = [np.arange(3.0), -np.arange(4.0)] * 3
    frame = pd.DataFrame({"series": rows})
    fitted = classifier().fit(frame, [0, 1] * 3)
    np.testing.assert_array_equal(fitted.decision_function(frame), fitted.decision_function(rows))


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 1)])
def test_masked_arrays_are_refused(shape):
    X = np.ma.masked_greater(np.arange(np.prod(shape), dtype=float).reshape(shape), 5)
    with pytest.raises(TypeError, match="masked"):
        classifier().fit(X, Y)


def test_the_ends_of_a_3d_array_are_padding():
    X = np.full((4, 8, 2), np.nan)
    for row, series in enumerate(CHANNELS):
        X[row, row : row + len(series) - row if row else len(series)] = series[: len(series) - row if row else None]
    ragged = [row[~np.isnan(row).all(axis=1)] for row in X]
    np.testing.assert_array_equal(
        classifier().fit(X, Y).decision_function(X), classifier().fit(ragged, Y).decision_function(ragged)
    )


# Filters, and how long they and the recurrent layers are trained


def test_filters_see_what_the_recurrent_layer_is_too_narrow_for():
    """The class is the direction of a short wave early in a noisy series: one unit remembers no such thing."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 60)) * 0.3, np.arange(120) % 2
    wave = np.array([0.0, 3.0, -3.0, 3.0, 0.0])
    for row, at in enumerate(rng.integers(0, 25, 120)):
        X[row, at : at + 5] += wave if y[row] else -wave
    settings = {"units": 1, "bidirectional": False, "max_epochs": 30, "cell": "rnn", "pooling": "last", "wide": False}
    with_filters, without = (
        classifier(**settings, conv_filters=filters).fit(X[:80], y[:80]).score(X[80:], y[80:]) for filters in (8, 0)
    )
    assert with_filters > 0.95 and without < 0.75


def test_filters_are_counted_and_kept():
    X, y = datasets.make_order_series(30, random_state=0)
    without, fitted = (classifier(conv_filters=filters).fit(X, y) for filters in (0, (4, 6)))
    assert without.network_.convolutions is None
    n_channels, n_outputs = fitted.n_channels_in_, fitted.network_.head.n_outputs
    # Widths 15 and 9, a bias a filter; the last layer's six features in the head.
    assert fitted.n_parameters_ - without.n_parameters_ == 4 * n_channels * 15 + 4 + 6 * 4 * 9 + 6 + 6 * n_outputs
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.decision_function(X), fitted.decision_function(X))
    again = clone(fitted).fit(X, y)
    np.testing.assert_array_equal(again.decision_function(X), fitted.decision_function(X))


def test_filters_go_on_in_a_warm_start():
    X, y = datasets.make_order_series(30, random_state=0)
    fitted = classifier(conv_filters=(4,), warm_start=True).fit(X, y)
    seen = float(fitted.network_.convolutions.layers[0].n_batches)
    assert float(fitted.fit(X, y).network_.convolutions.layers[0].n_batches) == 2 * seen > 0
    with pytest.raises(ValueError, match=r"conv_filters must stay \(4,\) as in the first fit; got \(5,\)"):
        fitted.set_params(conv_filters=(5,)).fit(X, y)


def test_filters_are_searchable():
    X, y = datasets.make_order_series(40, random_state=0)
    grid = {"conv_filters": [0, 4, (4, 3)]}
    search = GridSearchCV(classifier(n_threads=1), grid, cv=2, error_score="raise", scoring="neg_log_loss").fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 3


def test_series_of_one_step_each_train_filters():
    X = [np.array([value]) for value in (1.0, -1.0, 2.0, -2.0, 1.5, -1.5)] + [np.empty(0)]
    fitted = classifier(max_epochs=30, batch_size=1, conv_filters=4, wide=False).fit(X, [1, 0, 1, 0, 1, 0, 0])
    assert np.isfinite(fitted.decision_function(X)).all()
    assert fitted.decision_function(X)[-1] == pytest.approx(fitted.network_.head.bias.item())


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(("n_rows", "batch_size", "expected"), [(9, 4, 7), (20, 4, 4), (40, 4, 3), (9, 100, 10)])
def test_max_epochs_auto_aims_at_steps_of_the_optimiser(monkeypatch, n_rows, batch_size, expected, wide):
    """Twenty steps, but no fewer than 3 epochs and no more than 10; another aim with a linear model and without."""
    aims = [AutoEpochs(n_updates=20, n_steps=9_999, min_epochs=3, max_epochs=10), AutoEpochs(1, 1, 1, 1)]
    for name, aim in zip(("_auto_epochs", "_auto_epochs_alone"), aims if wide else aims[::-1], strict=True):
        monkeypatch.setattr(RNNClassifier, name, aim)
    X = np.random.default_rng(0).normal(size=(n_rows, 3))
    fitted = classifier(max_epochs="auto", batch_size=batch_size, wide=wide).fit(X, np.arange(n_rows) % 2)
    assert fitted.n_iter_ == expected


@pytest.mark.parametrize(("n_steps", "expected"), [(27 * 7 + 1, 7), (27 * 5 + 26, 5), (27 * 2, 3), (1, 3)])
def test_max_epochs_auto_reads_no_more_steps_than_it_may(monkeypatch, n_steps, expected):
    """Nine series of three steps, for which seven epochs would be twenty updates."""
    monkeypatch.setattr(RNNClassifier, "_auto_epochs", AutoEpochs(20, n_steps, min_epochs=3, max_epochs=10))
    X = np.random.default_rng(0).normal(size=(9, 3))
    assert classifier(max_epochs="auto", batch_size=4).fit(X, np.arange(9) % 2).n_iter_ == expected
