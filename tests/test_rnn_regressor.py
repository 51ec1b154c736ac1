"""RNNRegressor: the linear model that is chosen for a target, channel order, missing values, convolutional layers."""

import numpy as np
import pytest

from seqclf import RNNRegressor

SETTINGS = {"units": 2, "max_epochs": 1, "random_state": 0, "n_threads": 1}


def regressor(**changes):
    return RNNRegressor(**(SETTINGS | changes))


def test_the_linear_model_uses_the_last_steps_if_they_predict_better():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 12))
    last = regressor().fit(X, 2 * X[:, -1] - X[:, -2])
    names = last.wide_.feature_names()
    assert len(names) == 12
    assert last.wide_.coef_.shape == (12, 1)
    spiky = X.copy()
    rows, at = np.arange(150), rng.integers(0, 10, size=150)
    for step, value in enumerate((5.0, -5.0, 5.0)):
        spiky[rows[::2], at[::2] + step - 1] += value
    anywhere = regressor().fit(spiky, (rows % 2 == 0).astype(float))
    assert len(anywhere.wide_.feature_names()) > 100


def test_channels_first_is_the_transposed_input():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 9, 2)), rng.normal(size=30)
    expected = regressor().fit(X, y).predict(X)
    transposed = np.ascontiguousarray(X.transpose(0, 2, 1))
    found = regressor(channels_first=True).fit(transposed, y).predict(transposed)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("missing", "filled"), [("interpolate", 2.0), ("forward", 1.0)])
def test_missing_values_are_filled(missing, filled):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 6)), rng.normal(size=30)
    X[0, 1:4] = [1.0, np.nan, 3.0]
    complete = X.copy()
    complete[0, 2] = filled
    expected = regressor(missing=missing).fit(complete, y).predict(complete)
    np.testing.assert_array_equal(regressor(missing=missing).fit(X, y).predict(X), expected)
    with pytest.raises(ValueError, match="NaN"):
        regressor().fit(X, y)


def test_without_convolutions_and_a_linear_model_only_the_recurrent_layer_is_left():
    X, y = np.random.default_rng(0).normal(size=(30, 6)), np.arange(30.0)
    fitted = regressor(pooling="last", wide=False, conv_filters=0).fit(X, y)
    assert fitted.network_.convolutions is None and not hasattr(fitted, "wide_")
    assert np.isfinite(fitted.predict(X)).all()
