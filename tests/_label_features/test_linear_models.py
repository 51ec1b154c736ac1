"""`fit_linear_models`: both implementations against scikit-learn and each other, and no leak between folds."""

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix
from sklearn.linear_model import Ridge
from sklearn.svm import LinearSVC

from seqclf._label_features import linear_models
from seqclf._label_features.linear_models import fit_linear_models
from seqclf._label_features.sparse_rows import SparseRows
from seqclf._native import library
from seqclf._native.threads import kernel_threads

compiled = pytest.mark.skipif(not library.available()[0], reason=f"no compiled library: {library.available()[1]}")
LOSSES = ["squared_hinge", "squared_error"]
CONVERGED = {"max_epochs": 150, "tolerance": 0}


@pytest.fixture
def plain(monkeypatch):
    monkeypatch.setenv("SEQCLF_KERNELS", "reference")


def draw(n_rows, n_features, n_outputs, loss, seed=0):
    """Features, targets, weights and folds; some rows are empty, and the targets depend on the features."""
    rng = np.random.default_rng(seed)
    is_filled = (rng.random((n_rows, n_features)) < 0.2) & (rng.random(n_rows) < 0.95)[:, None]
    dense = np.where(is_filled, rng.random((n_rows, n_features), dtype=np.float32), np.float32(0))
    noise = 0.5 * rng.standard_normal((n_rows, n_outputs))
    values = csr_array(dense) @ rng.standard_normal((n_features, n_outputs)) + noise
    weights = rng.uniform(0.5, 1.5, n_rows)
    fold = rng.permutation(n_rows) % 5
    features = SparseRows.from_dense(dense)
    return features, csr_array((values > 0).astype(int)) if loss == "squared_hinge" else values, weights, fold


def scikit_learn(features, target, weights, loss, C):
    """Coefficients and intercept of scikit-learn; the intercept of Ridge is a feature here, so that it is penalised."""
    if loss == "squared_hinge":
        model = LinearSVC(C=C, dual=True, tol=1e-6, max_iter=100_000, random_state=0)
        model.fit(csr_matrix(features), target, sample_weight=weights)
        return model.coef_[0], model.intercept_[0]
    with_constant = np.hstack([features, np.ones((len(features), 1))])
    model = Ridge(alpha=1 / (2 * C), fit_intercept=False).fit(with_constant, target, sample_weight=weights)
    return model.coef_[:-1], model.coef_[-1]


def check_against_scikit_learn(loss, C):
    features, targets, weights, fold = draw(120, 30, 3, loss)
    found = fit_linear_models(features, targets, weights, fold, C, loss, **CONVERGED)
    dense_targets, dense = targets.toarray() if loss == "squared_hinge" else targets, features.toarray()
    for output in range(3):
        target = dense_targets[:, output]
        coef, intercept = scikit_learn(dense, target, weights, loss, C)
        np.testing.assert_allclose(found.coef[:, output], coef, atol=1e-3)
        np.testing.assert_allclose(found.intercept[output], intercept, atol=1e-3)
        for i in range(5):
            fitted = fold != i
            coef, intercept = scikit_learn(dense[fitted], target[fitted], weights[fitted], loss, C)
            expected = dense[~fitted] @ coef + intercept
            np.testing.assert_allclose(found.held_out[~fitted, output], expected, atol=1e-3)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("C", [0.1, 1.0])
def test_plain_equals_scikit_learn(loss, C):
    check_against_scikit_learn(loss, C)


@compiled
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("C", [0.1, 1.0])
def test_compiled_equals_scikit_learn(loss, C):
    check_against_scikit_learn(loss, C)


@compiled
@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_outputs", [1, 2, 11])
@pytest.mark.parametrize("max_epochs", [1, 6])
def test_compiled_equals_plain(loss, n_outputs, max_epochs, monkeypatch):
    args = (*draw(83, 40, n_outputs, loss), 1.0, loss, max_epochs)
    found = fit_linear_models(*args)
    monkeypatch.setenv("SEQCLF_KERNELS", "reference")
    for array, expected in zip(found, fit_linear_models(*args), strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-4, atol=1e-5)


@compiled
@pytest.mark.parametrize(("variable", "runs"), [("", "_fit_compiled"), ("reference", "_fit_plain")])
def test_fit_linear_models_chooses_the_implementation(variable, runs, monkeypatch):
    monkeypatch.setenv("SEQCLF_KERNELS", variable)
    used = []
    for name in ("_fit_compiled", "_fit_plain"):
        fit = getattr(linear_models, name)
        monkeypatch.setattr(linear_models, name, lambda problem, name=name, fit=fit: used.append(name) or fit(problem))
    fit_linear_models(*draw(20, 5, 1, "squared_error"), 1.0, "squared_error")
    assert used == [runs]


@compiled
@pytest.mark.parametrize("n_outputs", [1, 11])
def test_fit_linear_models_does_not_depend_on_the_number_of_threads(n_outputs):
    args = (*draw(60, 20, n_outputs, "squared_hinge"), 1.0, "squared_hinge")
    expected = fit_with_threads(1, args)
    for n_threads in (2, 5):
        found = fit_with_threads(n_threads, args)
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def fit_with_threads(n_threads, args):
    with kernel_threads(n_threads):
        return fit_linear_models(*args)


@pytest.mark.parametrize("kernels", [pytest.param("cpu", marks=compiled), "reference"])
@pytest.mark.usefixtures("unchanged_global_state")
class TestBoth:
    """Properties of both implementations."""

    @pytest.fixture(autouse=True)
    def _kernels(self, kernels, monkeypatch):
        monkeypatch.setenv("SEQCLF_KERNELS", kernels)

    @pytest.mark.parametrize("loss", LOSSES)
    def test_held_out_values_do_not_depend_on_targets_of_their_fold(self, loss):
        features, targets, weights, fold = draw(100, 20, 3, loss)
        before = fit_linear_models(features, targets, weights, fold, 1.0, loss)
        dense = targets.toarray() if loss == "squared_hinge" else targets
        changed = np.where((fold == 2)[:, None], 1 - dense, dense)
        after = fit_linear_models(features, changed, weights, fold, 1.0, loss)
        assert np.array_equal(before.held_out[fold == 2], after.held_out[fold == 2])
        assert not np.allclose(before.held_out[fold != 2], after.held_out[fold != 2], atol=0.1)
        assert not np.allclose(before.coef, after.coef, atol=0.1)

    @pytest.mark.parametrize("loss", LOSSES)
    def test_held_out_values_of_a_single_fold_are_zero(self, loss):
        features, targets, weights, _ = draw(40, 20, 2, loss)
        found = fit_linear_models(features, targets, weights, np.zeros(40, dtype=np.int64), 1.0, loss)
        assert not found.held_out.any() and found.coef.any()

    def test_outputs_do_not_influence_each_other(self):
        features, targets, weights, fold = draw(60, 20, 20, "squared_hinge")
        all_outputs = fit_linear_models(features, targets, weights, fold, 1.0, "squared_hinge")
        one_output = fit_linear_models(features, targets[:, 7:8], weights, fold, 1.0, "squared_hinge")
        np.testing.assert_allclose(one_output.held_out[:, 0], all_outputs.held_out[:, 7], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(one_output.coef[:, 0], all_outputs.coef[:, 7], rtol=1e-4, atol=1e-5)

    def test_many_outputs_are_fitted_in_batches(self, monkeypatch, tune):
        args = (*draw(60, 20, 40, "squared_hinge"), 1.0, "squared_hinge")
        whole = fit_linear_models(*args)
        tune(max_dense_cells=1)
        sizes = []
        for name in ("_fit_compiled", "_fit_plain"):
            fit = getattr(linear_models, name)
            monkeypatch.setattr(
                linear_models, name, lambda problem, fit=fit: sizes.append(problem.targets.shape[1]) or fit(problem)
            )
        for array, expected in zip(fit_linear_models(*args), whole, strict=True):
            np.testing.assert_allclose(array, expected, rtol=1e-4, atol=1e-5)
        assert sizes == [16, 16, 8]

    def test_weight_two_equals_a_repeated_row(self):
        features, targets, _, fold = draw(60, 20, 2, "squared_error")
        weights = 1.0 + np.arange(60) % 2
        twice = np.repeat(np.arange(60), weights.astype(int))
        found = fit_linear_models(features, targets, weights, fold, 0.5, "squared_error", **CONVERGED)
        expected = fit_linear_models(
            features[twice], targets[twice], np.ones(len(twice)), fold[twice], 0.5, "squared_error", **CONVERGED
        )
        np.testing.assert_allclose(found.coef, expected.coef, atol=1e-4)
        np.testing.assert_allclose(found.held_out[twice], expected.held_out, atol=1e-4)

    def test_tolerance_stops_a_model_that_gains_little(self):
        args = (*draw(60, 20, 3, "squared_hinge"), 1.0, "squared_hinge")
        one, two = fit_linear_models(*args, 1, 0.0), fit_linear_models(*args, 2, 0.0)
        assert np.array_equal(fit_linear_models(*args, 9, 1.0).coef, one.coef), (
            "an epoch gains no more than the objective"
        )
        assert not np.allclose(one.coef, two.coef, atol=1e-3)

    def test_default_settings_are_close_to_convergence(self):
        args = (*draw(200, 50, 2, "squared_hinge"), 1.0, "squared_hinge")
        found, expected = fit_linear_models(*args), fit_linear_models(*args, **CONVERGED)
        assert np.mean((found.held_out > 0) == (expected.held_out > 0)) > 0.98

    @pytest.mark.parametrize("loss", LOSSES)
    def test_constant_targets(self, loss):
        features, targets, weights, fold = draw(40, 20, 1, loss)
        zeros = csr_array(targets.shape) if loss == "squared_hinge" else np.zeros(targets.shape)
        found = fit_linear_models(features, zeros, weights, fold, 1.0, loss)
        np.testing.assert_allclose(found.held_out, -1 if loss == "squared_hinge" else 0, atol=0.2)
