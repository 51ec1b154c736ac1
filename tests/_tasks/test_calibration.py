"""Calibration of scores to log-odds: the loss by a plain formula, and a grid search that finds no smaller loss."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from threadpoolctl import threadpool_limits

from seqclf._tasks.calibration import binary_losses, fit_log_odds, sample_rows


def binary_rows(n=200, seed=0, strength=1.0, prior_frequency=0.3):
    """Scores, memberships and weights of rows; `strength` is how strongly scores depend on memberships."""
    rng = np.random.default_rng(seed)
    members = (rng.random((n, 1)) < prior_frequency).astype(float)
    scores = strength * (2 * members - 1) + rng.normal(size=(n, 1))
    return scores, members, rng.uniform(0.1, 2, size=n)


def mean_loss(log_odds, members, weights):
    p = 1 / (1 + np.exp(-log_odds))
    return np.average(-np.log(np.where(members == 1, p, 1 - p))[:, 0], weights=weights)


def test_binary_losses_by_hand():
    log_odds, members = np.array([[0.5], [-2.0], [0.0], [1.0]]), np.array([[1.0], [0.0], [1.0], [0.25]])
    values, slopes = binary_losses(members)(log_odds)
    p = 1 / (1 + np.exp(-log_odds))
    np.testing.assert_allclose(values, -(members * np.log(p) + (1 - members) * np.log(1 - p))[:, 0], rtol=1e-12)
    np.testing.assert_allclose(slopes, p - members, rtol=1e-12)


def test_binary_losses_of_large_log_odds_are_exact():
    values, slopes = binary_losses(np.array([[1.0], [0.0]]))(np.array([[-900.0], [900.0]]))
    assert values.tolist() == [900, 900]
    assert slopes.tolist() == [[-1], [1]]


def test_binary_losses_derivatives_match_finite_differences():
    members = np.random.default_rng(0).random((5, 1))
    losses, at = binary_losses(members), np.linspace(-3, 3, 5)

    def total(log_odds):
        return losses(log_odds[:, None])[0].sum()

    np.testing.assert_allclose(losses(at[:, None])[1][:, 0], approx_fprime(at, total, 1e-7), atol=1e-6)


@pytest.mark.parametrize(
    ("strength", "prior_frequency"), [(1.0, 0.3), (0.2, 0.05), (0.0, 0.1), (-0.5, 0.4), (0.5, 0.95)]
)
def test_fit_log_odds_minimises_the_loss(strength, prior_frequency):
    scores, members, weights = binary_rows(strength=strength, prior_frequency=prior_frequency)
    prior = np.average(members[:, 0], weights=weights)
    priors = np.array([np.log(prior / (1 - prior))])
    found = fit_log_odds(scores, priors, weights, binary_losses(members))
    assert 0 <= found.temperature <= 10 and 0 <= found.prior_weight <= 1
    expected = mean_loss(found.temperature * scores + found.prior_weight * priors, members, weights)
    assert found.loss == pytest.approx(expected, rel=1e-9)
    grid = [(t, s) for t in np.linspace(0, 4, 81) for s in np.linspace(0, 1, 41)]
    smallest, *best = min((mean_loss(t * scores + s * priors, members, weights), t, s) for t, s in grid)
    assert found.loss <= smallest + 1e-6
    assert abs(found.temperature - best[0]) <= 0.1
    assert mean_loss(np.tile(priors, (200, 1)), members, weights) >= found.loss - 1e-9


def test_fit_log_odds_returns_the_prior_for_negatively_correlated_scores():
    scores, members, weights = binary_rows(strength=-1.0, prior_frequency=0.2)
    prior = np.average(members[:, 0], weights=weights)
    found = fit_log_odds(scores, np.array([np.log(prior / (1 - prior))]), weights, binary_losses(members))
    assert found.temperature == pytest.approx(0, abs=1e-6)
    assert found.prior_weight == pytest.approx(1, abs=1e-3)


def test_fit_log_odds_limits_the_temperature_of_separable_rows():
    members = np.array([[0.0], [1.0]] * 10)
    found = fit_log_odds(2 * members - 1, np.zeros(1), np.ones(20), binary_losses(members))
    assert found.temperature == pytest.approx(10)
    assert found.loss == pytest.approx(np.log1p(np.exp(-10)))


def test_fit_log_odds_weights_equal_repeated_rows():
    scores, members, _ = binary_rows(60)
    weights, priors = np.random.default_rng(1).integers(1, 4, size=60), np.array([-0.8])
    weighted = fit_log_odds(scores, priors, 0.01 * weights, binary_losses(members))
    rows = np.repeat(np.arange(60), weights)
    repeated = fit_log_odds(scores[rows], priors, np.ones(len(rows)), binary_losses(members[rows]))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-3)
    assert abs(weighted.temperature - fit_log_odds(scores, priors, np.ones(60), binary_losses(members))[0]) > 1e-3


def test_fit_log_odds_fits_one_temperature_to_several_outputs():
    """The loss is the cross-entropy of a softmax over three outputs."""
    rng = np.random.default_rng(0)
    codes, scores, priors = rng.integers(0, 3, size=90), rng.normal(size=(90, 3)), np.log([0.5, 0.3, 0.2])
    scores[np.arange(90), codes] += 1

    def losses(log_odds):
        p = np.exp(log_odds) / np.exp(log_odds).sum(axis=1, keepdims=True)
        return -np.log(p[np.arange(90), codes]), p - np.eye(3)[codes]

    found = fit_log_odds(scores, priors, np.ones(90), losses)
    grid = [(t, s) for t in np.linspace(0, 4, 81) for s in np.linspace(0, 1, 21)]
    assert found.loss <= min(losses(t * scores + s * priors)[0].mean() for t, s in grid) + 1e-6
    assert found.loss == pytest.approx(losses(found.temperature * scores + found.prior_weight * priors)[0].mean())


@pytest.mark.parametrize("seed", range(4))
def test_fit_log_odds_is_independent_of_blas_threads(seed):
    """BLAS uses several threads only for sums over more than 10,000 values."""
    scores, members, weights = binary_rows(25_000, seed)
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads, user_api="blas"):
            found.append(fit_log_odds(scores, np.array([-0.8]), weights, binary_losses(members)))
    assert found[0] == found[1]


@pytest.mark.usefixtures("unchanged_global_state")
def test_sample_rows_is_without_replacement_and_reproducible():
    rows = sample_rows(1000, 50)
    assert len(set(rows.tolist())) == 50 and rows.max() < 1000
    assert np.ptp(rows) > 700, "should not be the first rows"
    assert rows.tolist() == sample_rows(1000, 50).tolist()
    assert sorted(sample_rows(20, 50).tolist()) == list(range(20))
    assert len(sample_rows(20, 0)) == 1
