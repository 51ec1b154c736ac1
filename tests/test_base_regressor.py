"""Base of the regressors: the units and the shape of targets, the losses, tags."""

import numpy as np
import pytest
from sklearn.base import is_regressor
from sklearn.utils import get_tags

from seqclf import RNNRegressor, RNNTextRegressor

SETTINGS = {"units": 2, "max_epochs": 1, "random_state": 0, "n_threads": 1}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5))
Y = X.sum(axis=1)


def regressor(**changes):
    return RNNRegressor(**(SETTINGS | changes))


@pytest.mark.parametrize("shape", [(40,), (40, 1), (40, 3)])
def test_predict_returns_the_shape_of_y(shape):
    y = np.broadcast_to(Y.reshape(40, *(1,) * (len(shape) - 1)), shape) + 0.0
    predicted = regressor().fit(X, y).predict(X)
    assert predicted.shape == shape and predicted.dtype == np.float64


def test_predict_returns_the_units_of_y():
    """The network sees standardised targets, so other units of y change the predictions and nothing else."""
    plain, scaled = regressor().fit(X, Y), regressor().fit(X, 1_000 * Y + 5)
    np.testing.assert_allclose(scaled.predict(X), 1_000 * plain.predict(X) + 5, rtol=1e-4)
    assert scaled.history_[0]["train_loss"] == pytest.approx(plain.history_[0]["train_loss"], rel=1e-4)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_target_center_and_target_scale(loss):
    fitted = regressor(loss=loss).fit(X, Y)
    if loss == "squared_error":
        assert fitted.target_center_ == pytest.approx([Y.mean()])
        assert fitted.target_scale_ == pytest.approx([Y.std()])
    else:
        low, center, high = np.quantile(Y, [0.05, 0.5, 0.95], method="inverted_cdf")
        assert low < fitted.target_center_[0] < high
        assert fitted.target_center_ == pytest.approx([center], abs=0.3)
        assert fitted.target_scale_ == pytest.approx([(high - low) / 3.29], rel=0.2)


def test_losses_give_different_models():
    predicted = [regressor(loss=loss).fit(X, Y).predict(X) for loss in ("squared_error", "absolute_error", "huber")]
    assert len({values.tobytes() for values in predicted}) == 3


def test_loss_is_validated():
    with pytest.raises(ValueError, match="loss"):
        regressor(loss="mse").fit(X, Y)


def test_partial_fit_needs_a_constant_schedule():
    assert hasattr(regressor(schedule="constant"), "partial_fit")
    assert not hasattr(regressor(), "partial_fit")
    fitted = regressor(schedule="constant").partial_fit(X, Y).partial_fit(X[::-1], Y[::-1])
    assert fitted.n_iter_ == 2 and [row["epoch"] for row in fitted.history_] == [1, 2]


@pytest.mark.parametrize("estimator", [RNNRegressor(), RNNTextRegressor()])
def test_tags_of_regressors(estimator):
    assert is_regressor(estimator)
    assert get_tags(estimator).target_tags.multi_output
