"""Base of the estimators for series: what X can be, and how channels are scaled."""

import numpy as np
import pandas as pd
import pytest

from _factories import series_classifier
from seqclf import datasets

RNG = np.random.default_rng(0)
CHANNELS = [RNG.normal(size=(n, 2)) * [1, 50] + [0, 1_000] for n in (3, 5, 4, 6)]
Y = [0, 1, 0, 1]


def test_scale_standardises_channels_over_all_steps():
    fitted = series_classifier().fit(CHANNELS, Y)
    steps = np.concatenate(CHANNELS)
    np.testing.assert_allclose(fitted.channel_mean_, steps.mean(axis=0))
    np.testing.assert_allclose(fitted.channel_scale_, steps.std(axis=0))


def test_scale_uses_sample_weights():
    weights = [1, 0, 2, 3]
    fitted = series_classifier().fit(CHANNELS, Y, sample_weight=weights)
    repeated = np.concatenate([series for series, weight in zip(CHANNELS, weights, strict=True) for _ in range(weight)])
    np.testing.assert_allclose(fitted.channel_mean_, repeated.mean(axis=0))
    np.testing.assert_allclose(fitted.channel_scale_, repeated.std(axis=0))


def test_scale_false_leaves_values_unchanged():
    fitted = series_classifier().fit(CHANNELS, Y)
    scaled = [(series - fitted.channel_mean_) / fitted.channel_scale_ for series in CHANNELS]
    plain = series_classifier(scale=False).fit(scaled, Y)
    np.testing.assert_array_equal(plain.channel_scale_, [1, 1])
    np.testing.assert_allclose(plain.decision_function(scaled), fitted.decision_function(CHANNELS), rtol=1e-5)


@pytest.mark.parametrize("size", [1e-300, 1e-13, 1.0, 1e200])
def test_scale_removes_the_size_of_values(size):
    X, y = datasets.make_order_series(20, random_state=0)
    fitted = series_classifier().fit([series * size for series in X], y)
    np.testing.assert_allclose(
        fitted.decision_function([series * size for series in X]),
        series_classifier().fit(X, y).decision_function(X),
        rtol=1e-4,
    )


def test_scale_only_centres_a_constant_channel():
    X = [np.column_stack((series, np.full(len(series), 0.1))) for series in ([1.0, 2.0], [3.0, 1.0, 2.0])]
    fitted = series_classifier().fit(X, [0, 1])
    assert fitted.channel_scale_[1] == 1
    assert fitted.channel_mean_[1] == pytest.approx(0.1)


def test_values_too_large_for_float32_are_an_error():
    fitted = series_classifier().fit(CHANNELS, Y)
    bad = [CHANNELS[0], CHANNELS[1].copy()]
    bad[1][2, 1] = 1e300
    with pytest.raises(ValueError, match=r"1e\+300\] in row 1, step 2: too large .* after scaling"):
        fitted.predict(bad)
    with pytest.raises(ValueError, match=r"in row 0, step 0: too large.*or scale=True"):
        series_classifier(scale=False).fit([[1e39, 1.0], [1.0]], [0, 1])


@pytest.mark.parametrize("make", [list, tuple, lambda rows: pd.Series(list(rows))])
def test_a_list_of_arrays_of_equal_length_is_ragged(make):
    rows = [np.arange(3.0), -np.arange(3.0)] * 3
    fitted = series_classifier().fit(make(rows), [0, 1] * 3)
    assert not hasattr(fitted, "n_features_in_") and fitted.n_channels_in_ == 1
    assert fitted.predict([np.arange(5.0)]).shape == (1,)


@pytest.mark.parametrize("X", [[[0.0, 1.0], [1.0, 0.0]], np.eye(2), ([0, 1], [1, 0])])
def test_2d_input_keeps_its_number_of_steps(X):
    fitted = series_classifier().fit(X, [0, 1])
    assert (fitted.n_features_in_, fitted.n_channels_in_) == (2, 1)
    with pytest.raises(ValueError, match=r"3 features.*expecting 2 features"):
        fitted.predict(np.eye(3))


def test_a_frame_with_a_column_of_series():
    rows = [np.arange(3.0), -np.arange(4.0)] * 3
    frame = pd.DataFrame({"series": rows})
    fitted = series_classifier().fit(frame, [0, 1] * 3)
    np.testing.assert_array_equal(fitted.decision_function(frame), fitted.decision_function(rows))


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 1)])
def test_masked_arrays_are_an_error(shape):
    X = np.ma.masked_greater(np.arange(np.prod(shape), dtype=float).reshape(shape), 5)
    with pytest.raises(TypeError, match="masked"):
        series_classifier().fit(X, Y)


def test_nan_at_the_ends_of_a_3d_array_is_padding():
    X = np.full((4, 8, 2), np.nan)
    for row, series in enumerate(CHANNELS):
        X[row, row : row + len(series) - row if row else len(series)] = series[: len(series) - row if row else None]
    ragged = [row[~np.isnan(row).all(axis=1)] for row in X]
    np.testing.assert_array_equal(
        series_classifier().fit(X, Y).decision_function(X), series_classifier().fit(ragged, Y).decision_function(ragged)
    )
