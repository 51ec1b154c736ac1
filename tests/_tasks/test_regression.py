"""Regression: standardisation of targets and its inverse, losses, R squared and calibration."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from threadpoolctl import threadpool_limits

from seqclf._tasks.regression import LOSSES, Regression


def fitted(y, loss="squared_error", weights=None):
    """The task, and the encoded targets."""
    task = Regression(loss)
    y = task.validate(y, range(len(y)))
    return task, task.fit(y, np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float))


def skewed(n=200, n_targets=1, seed=0):
    return np.random.default_rng(seed).lognormal(size=(n, n_targets)) * 7 - 3


# Encoding and decoding


def test_fit_standardises_by_mean_and_standard_deviation():
    y = skewed(n_targets=2)
    task, targets = fitted(y)
    assert targets.dtype == np.float32 and targets.shape == (200, 2) and task.n_outputs == 2
    np.testing.assert_allclose(task.center, y.mean(axis=0))
    np.testing.assert_allclose(task.scale, y.std(axis=0))
    np.testing.assert_allclose(targets, (y - y.mean(axis=0)) / y.std(axis=0), atol=1e-6)


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_outliers_affect_neither_center_nor_scale_of_robust_losses(loss):
    y = np.concatenate([np.random.default_rng(0).normal(5, 2, size=999), [1e9]])
    task, _ = fitted(y, loss)
    assert abs(task.center[0] - 5) < 0.3 and abs(task.scale[0] - 2) < 0.3
    clipped = task.supervision_targets(task.encode(y))
    assert np.abs(clipped).max() == 3
    assert fitted(y)[0].scale[0] > 1e7


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_scale_of_robust_losses_if_nearly_all_targets_are_equal(loss):
    task, targets = fitted([0.0] * 38 + [2.0, 4.0], loss)
    assert task.center[0] == 0 and task.scale[0] == pytest.approx(0.15)
    assert np.isfinite(targets).all()


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_scale_of_robust_losses_for_two_clusters_of_targets(loss):
    y = np.concatenate([np.random.default_rng(0).normal(0, 0.01, size=60), np.full(40, 100.0)])
    _, targets = fitted(y, loss)
    assert np.abs(targets).max() < 4


@pytest.mark.parametrize("loss", LOSSES)
def test_fit_weights_equal_repeated_rows(loss):
    y, weights = skewed(30)[:, 0], np.random.default_rng(1).integers(1, 5, size=30)
    one, _ = fitted(y, loss, weights)
    other, _ = fitted(np.repeat(y, weights), loss)
    np.testing.assert_allclose(one.center, other.center)
    np.testing.assert_allclose(one.scale, other.scale)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("size", [1e-300, 1e-6, 1.0, 1e8, 1e300])
def test_fit_and_decode_targets_of_any_magnitude(loss, size):
    y = np.random.default_rng(0).normal(size=50) * size
    task, targets = fitted(y, loss)
    assert np.isfinite(targets).all() and 0.4 < targets.std() < 2.5
    np.testing.assert_allclose(task.decode(targets.astype(float)), y, rtol=1e-6, atol=1e-6 * size)


@pytest.mark.parametrize("loss", LOSSES)
def test_decode_predicts_a_constant_target_exactly(loss):
    task, targets = fitted(np.column_stack([[0.1] * 6, np.arange(6.0)]), loss)
    assert not targets[:, 0].any()
    assert (task.decode(np.full((2, 2), 0.37))[:, 0] == 0.1).all()


def test_decode_keeps_the_shape_and_the_range_of_y():
    task, _ = fitted([1.0, 2.0, 4.0])
    assert task.decode(np.array([[-50.0], [0.0], [50.0]])).tolist() == [1.0, pytest.approx(7 / 3), 4.0]
    task, _ = fitted([[1.0], [2.0]])
    assert task.decode(np.zeros((3, 1))).tolist() == [[1.5], [1.5], [1.5]]


def test_encode_raises_for_another_number_of_targets():
    task, _ = fitted([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(ValueError, match=r"y_val has the shape \(2,\): expected \(2, 2\), as many targets per row"):
        task.encode(np.array([1.0, 2.0]), name="y_val")
    with pytest.raises(ValueError, match=r"y has the shape \(2, 3\): expected \(2, 2\)"):
        task.encode(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"y has the shape \(2, 1\): expected \(2,\)"):
        fitted([1.0, 2.0])[0].encode(np.zeros((2, 1)))


def test_refit_keeps_the_standardisation():
    before, _ = fitted([0.0, 10.0])
    task = Regression("huber")
    assert task.refit(np.array([0.0, 5.0, 20.0]), before).ravel().tolist() == [-1.0, 0.0, 3.0]
    assert task.decode(np.array([[-9.0], [9.0]])).tolist() == [0.0, 20.0]
    assert task.loss == "huber"


@pytest.mark.parametrize("loss", LOSSES)
def test_encode_names_targets_whose_distance_exceeds_float32(loss):
    with pytest.raises(ValueError, match=r"y holds 1e\+60 in row 40, which is too far from the other targets"):
        fitted([1.0, 2.0] * 20 + [1e60], "huber")
    task, _ = fitted([1.0, 2.0, 4.0], loss)
    with pytest.raises(ValueError, match=r"y_val holds 1e\+200 in row 1, which is too far"):
        task.encode(np.array([1.0, 1e200]), name="y_val")


def test_losses_ignore_constant_targets():
    task, _ = fitted([[1.0, 5.0], [3.0, 5.0]])
    outputs, targets = torch.tensor([[0.5, 0.1]]), torch.from_numpy(task.encode(np.array([[2.0, 1e6]])))
    assert task.losses(outputs, targets).tolist() == [0.25]
    task, targets = fitted([2.0, 2.0])
    assert task.losses(torch.ones(2, 1), torch.from_numpy(targets)).tolist() == [0.0, 0.0]


def test_attributes_are_center_and_scale():
    task, _ = fitted([0.0, 10.0])
    shown = task.attributes()
    assert list(shown) == ["target_center_", "target_scale_"]
    assert shown["target_center_"].tolist() == [5.0] and shown["target_scale_"].tolist() == [5.0]


# Losses and scores


def test_losses_by_hand():
    outputs, targets = torch.tensor([[0.5, -4.0]]), torch.tensor([[0.0, 1.0]])
    by_loss = {loss: fitted(skewed(n_targets=2), loss)[0].losses(outputs, targets) for loss in LOSSES}
    assert by_loss["squared_error"].tolist() == [(0.25 + 25) / 2]
    assert by_loss["absolute_error"].tolist() == [(0.5 + 5) / 2]
    assert by_loss["huber"].tolist() == [(0.125 + 4.5) / 2]


@pytest.mark.parametrize("n_targets", [1, 2])
def test_score_is_r_squared_of_the_predictions(n_targets):
    rng = np.random.default_rng(0)
    y, weights = skewed(50, n_targets), rng.uniform(0.5, 2, size=50)
    task, targets = fitted(y)
    outputs = targets + rng.normal(size=targets.shape).astype(np.float32) * 0.7
    assert (outputs < targets.min()).any(), "some predictions must be out of range"
    found = task.score(task.summarise(torch.from_numpy(outputs)), torch.from_numpy(targets), torch.from_numpy(weights))
    assert found.item() == pytest.approx(r2_score(y, task.decode(outputs), sample_weight=weights), abs=1e-6)


def test_score_of_constant_targets():
    task, _ = fitted([1.0, 2.0, 3.0])
    weights = torch.ones(2, dtype=torch.float64)
    constant = torch.from_numpy(task.encode(np.array([2.0, 2.0])))
    assert task.score(constant, constant, weights).item() == 1
    assert task.score(constant + 0.5, constant, weights).item() == 0
    task, targets = fitted([2.0, 2.0])
    assert task.score(torch.from_numpy(targets) + 0.3, torch.from_numpy(targets), weights).item() == 1


# Calibration


@pytest.mark.parametrize("loss", LOSSES)
def test_calibrate_minimises_the_loss(loss):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(300, 1))
    y = 3 * scores[:, 0] + rng.standard_t(2, size=300) * 2 + 10
    task, targets = fitted(y, loss)
    weights = rng.uniform(0.5, 2, size=300)
    found = task.calibrate(scores, targets, weights)

    def loss_of(parameters):
        outputs = torch.from_numpy(parameters[0] * scores + parameters[1])
        return float(weights @ task.losses(outputs, torch.from_numpy(targets)).numpy() / weights.sum())

    smallest = minimize(loss_of, [0.5, 0.0], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10}).fun
    assert loss_of([found.slope[0], found.offset[0]]) == pytest.approx(smallest, abs=2e-4)
    if loss == "squared_error":
        line = LinearRegression().fit(scores, targets, sample_weight=weights)
        assert found.slope[0] == pytest.approx(line.coef_[0, 0]) and found.offset[0] == pytest.approx(
            line.intercept_[0]
        )


@pytest.mark.parametrize("loss", LOSSES)
def test_calibrate_ignores_negatively_correlated_or_constant_scores(loss):
    y = np.random.default_rng(0).normal(size=100)
    task, targets = fitted(y, loss)
    for scores in (-targets, np.zeros((100, 1)), np.full((100, 1), 3.0)):
        found = task.calibrate(scores, targets, np.ones(100))
        assert found.slope[0] == 0
        assert abs(found.offset[0]) < 0.05


def test_calibrate_fits_a_line_for_each_target():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(200, 2))
    task, targets = fitted(y)
    scores = np.column_stack([targets[:, 0] / 2, rng.normal(size=200)])
    found = task.calibrate(scores, targets, np.ones(200))
    assert found.slope[0] == pytest.approx(2, abs=1e-6) and found.slope[1] < 0.2
    assert found.loss == pytest.approx(((found.estimates(scores) - targets) ** 2).mean(), abs=1e-6)


def test_calibrate_is_independent_of_blas_threads():
    """BLAS uses several threads only for sums over more than 10,000 values."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=25_000)
    task, targets = fitted(y)
    scores, weights, found = targets + rng.normal(size=(25_000, 1)), rng.uniform(0.5, 1, size=25_000), []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads, user_api="blas"):
            line = task.calibrate(scores, targets, weights)
        found.append((line.slope.tolist(), line.offset.tolist(), line.loss))
    assert found[0] == found[1]


def test_calibration_estimates_are_clipped_to_the_range_of_targets():
    task, targets = fitted([0.0, 1.0] * 20)
    found = task.calibrate(targets * 0.7, targets, np.ones(40))
    assert found.estimates(np.array([[-9.0], [9.0]])).ravel().tolist() == [-1.0, 1.0]
