"""`fit_ridge` against scikit-learn models fitted without each fold."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Reference
from threadpoolctl import threadpool_info, threadpool_limits

from seqclf._label_features.linear import linear
from seqclf._label_features.ridge import PENALTIES, fit_ridge

# Fewer rows than features, and more.
SHAPES = pytest.mark.parametrize(("n_rows", "n_features"), [(30, 50), (60, 12), (20, 20)])


def random_rows(n_rows, n_features, n_targets=3, n_folds=5, seed=0):
    rng = np.random.default_rng(seed)
    features = (rng.normal(size=(n_rows, n_features)) * rng.uniform(0.1, 10, n_features) + 3).astype(np.float32)
    targets = features[:, :n_targets] + 3 * rng.normal(size=(n_rows, n_targets))
    return features, targets, rng.uniform(0.1, 5, n_rows), rng.permutation(np.arange(n_rows) % n_folds)


def standardized(features, weights):
    mean = np.average(features.astype(float), axis=0, weights=weights)
    deviation = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights))
    return (features - mean) / np.where(deviation > 0, deviation, 1)


def refitted(features, targets, weights, fold, penalty):
    """Predictions for each fold by a scikit-learn model fitted to the other rows."""
    z, weights = standardized(features, weights), weights / weights.mean()
    held_out = np.zeros_like(targets)
    for i in np.unique(fold):
        fitted = fold != i
        model = Reference(alpha=penalty, solver="svd").fit(z[fitted], targets[fitted], sample_weight=weights[fitted])
        held_out[~fitted] = model.predict(z[~fitted]).reshape(-1, targets.shape[1])
    return held_out


@SHAPES
def test_held_out_predictions_equal_refitted_models(n_rows, n_features, unchanged_global_state):
    rows = random_rows(n_rows, n_features)
    ridge = fit_ridge(*rows)
    np.testing.assert_allclose(ridge.held_out, refitted(*rows, ridge.penalties[0]), atol=1e-6)


@SHAPES
def test_model_of_all_rows_equals_scikit_learn(n_rows, n_features):
    features, targets, weights, fold = random_rows(n_rows, n_features)
    ridge = fit_ridge(features, targets, weights, fold)
    z = standardized(features, weights)
    model = Reference(alpha=ridge.penalties[0], solver="svd").fit(z, targets, sample_weight=weights / weights.mean())
    np.testing.assert_allclose(linear(features, ridge.coef, ridge.intercept), model.predict(z), atol=1e-4)
    assert ridge.coef.shape == (n_features, 3) and ridge.coef.dtype == ridge.intercept.dtype == np.float32


@SHAPES
@pytest.mark.parametrize("noise", [0.01, 3, 1000])
def test_penalty_minimises_the_held_out_error(n_rows, n_features, noise):
    features, targets, weights, fold = random_rows(n_rows, n_features)
    targets = features[:, :1] + noise * np.random.default_rng(1).normal(size=targets.shape)
    errors = [
        (weights[:, None] * (refitted(features, targets, weights, fold, penalty) - targets) ** 2).sum()
        for penalty in n_features * PENALTIES
    ]
    found = fit_ridge(features, targets, weights, fold).penalties[0]
    assert found == pytest.approx(n_features * PENALTIES[np.argmin(errors)])


@SHAPES
def test_largest_penalty_is_chosen_in_case_of_ties(n_rows, n_features):
    features, targets, weights, fold = random_rows(n_rows, n_features)
    assert fit_ridge(features, 0 * targets, weights, fold).penalties[0] == n_features * PENALTIES.max()


@SHAPES
def test_constant_features_have_zero_coefficients(n_rows, n_features):
    features, targets, weights, fold = random_rows(n_rows, n_features)
    features[:, 1] = 0.1  # The mean of many 0.1 is not exactly 0.1.
    ridge = fit_ridge(features, targets, weights, fold)
    assert not ridge.coef[1].any() and ridge.coef[0].all()
    z = np.delete(standardized(features, weights), 1, axis=1)
    np.testing.assert_allclose(ridge.held_out, refitted(z, targets, weights, fold, ridge.penalties[0]), atol=1e-6)


@SHAPES
def test_only_the_proportions_of_weights_matter(n_rows, n_features):
    features, targets, weights, fold = random_rows(n_rows, n_features)
    one, other = (fit_ridge(features, targets, weights * factor, fold) for factor in (1, 1e307))
    np.testing.assert_allclose(other.held_out, one.held_out, rtol=1e-9)


@pytest.mark.parametrize("n_features", [4, 50])
def test_folds_of_one_row(n_features):
    rows = random_rows(10, n_features, n_folds=10)
    ridge = fit_ridge(*rows)
    np.testing.assert_allclose(ridge.held_out, refitted(*rows, ridge.penalties[0]), atol=1e-6)


@pytest.mark.parametrize(("n_rows", "n_features"), [(6, 20), (20, 6), (1, 3)])
def test_held_out_predictions_of_a_single_fold_are_zero(n_rows, n_features):
    features, targets, weights, fold = random_rows(n_rows, n_features, n_folds=1)
    ridge = fit_ridge(features, targets, weights, fold)
    np.testing.assert_allclose(ridge.held_out, 0, atol=1e-12)
    assert np.isfinite(linear(features, ridge.coef, ridge.intercept)).all()


def test_only_constant_features_predict_the_mean_of_the_other_folds():
    _, targets, weights, fold = random_rows(12, 5)
    for n_features in (3, 30):
        ridge = fit_ridge(np.ones((12, n_features), dtype=np.float32), targets, weights, fold)
        for i in range(5):
            mean = np.average(targets[fold != i], axis=0, weights=weights[fold != i])
            np.testing.assert_allclose(ridge.held_out[fold == i], np.tile(mean, ((fold == i).sum(), 1)))


def test_many_targets():
    rows = random_rows(40, 60, n_targets=40)
    targets = np.eye(1000)[np.arange(40) * 20]
    ridge = fit_ridge(rows[0], targets, rows[2], rows[3])
    np.testing.assert_allclose(ridge.held_out, refitted(rows[0], targets, *rows[2:], ridge.penalties[0]), atol=1e-6)


@SHAPES
def test_noise_is_not_predicted_out_of_fold(n_rows, n_features):
    """The target of a row must not leak into its prediction: on noise, both are at most weakly correlated."""
    correlations = []
    for seed in range(20):
        features, _, weights, fold = random_rows(n_rows, n_features, seed=seed)
        targets = np.random.default_rng(100 + seed).normal(size=(n_rows, 1))
        held_out = fit_ridge(features, targets, weights, fold).held_out
        correlations.append(np.corrcoef(held_out[:, 0], targets[:, 0])[0, 1])
    assert abs(np.mean(correlations)) < 0.3


def test_results_do_not_depend_on_blas_threads():
    for shape in ((300, 800), (900, 300)):
        rows = random_rows(*shape)
        found = []
        for n_threads in (1, 2):
            with threadpool_limits(n_threads, user_api="blas"):
                before = threadpool_info()
                found.append(fit_ridge(*rows))
                assert threadpool_info() == before
        np.testing.assert_array_equal(found[0].held_out, found[1].held_out)
        np.testing.assert_array_equal(found[0].coef, found[1].coef)


def test_concurrent_fits():
    rows, before = random_rows(200, 300), threadpool_info()
    expected = fit_ridge(*rows)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: fit_ridge(*rows), range(20)):
            np.testing.assert_array_equal(found.held_out, expected.held_out)
    assert threadpool_info() == before


@pytest.mark.parametrize("shape", [(30, 50), (60, 12)])
def test_penalty_per_target(shape):
    """Each target is fitted as if it were the only one."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=shape).astype(np.float32)
    targets = np.column_stack([features[:, 0] + features[:, 1], rng.normal(size=(shape[0], 3))])
    rows = np.ones(shape[0]), np.arange(shape[0]) % 5
    found = fit_ridge(features, targets, *rows, penalty_per_target=True)
    assert len(set(found.penalties.tolist())) > 1
    for i in range(4):
        expected = fit_ridge(features, targets[:, [i]], *rows)
        assert found.penalties[i] == expected.penalties[0]
        np.testing.assert_allclose(found.held_out[:, [i]], expected.held_out, atol=1e-9)
        np.testing.assert_allclose(found.coef[:, [i]], expected.coef, atol=1e-6)
        np.testing.assert_allclose(found.intercept[[i]], expected.intercept, atol=1e-6)
    assert len(set(fit_ridge(features, targets, *rows).penalties.tolist())) == 1
