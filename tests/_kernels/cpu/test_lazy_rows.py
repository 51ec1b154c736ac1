"""Lazily updated rows: against a dense Adam in float64 that updates every row."""

import numpy as np
import pytest
import torch

from _sampling import sampled
from seqclf import _kernels
from seqclf._kernels import FusedUpdate, Hyperparameters, ParameterState, supports_lazy_rows
from seqclf._kernels.cpu import update_rules
from seqclf._native import library
from seqclf._native.threads import kernel_threads

pytestmark = [
    pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}"),
    pytest.mark.usefixtures("_small_parameters_are_lazy"),
]

N_ROWS = 61
RATE = 0.01
DEFAULT = (0.9, 0.999)
BETAS = [DEFAULT, (0.0, 0.999), (0.5, 0.9), (0.9, 0.99), (0.99, 0.999)]
HYPERPARAMETERS = Hyperparameters(RATE, 0.0, *DEFAULT, 1e-8)


@pytest.fixture
def _small_parameters_are_lazy(tune):
    tune(min_lazy_rows=0)


class DenseAdam:
    """The definition in float64: every value is updated every time."""

    def __init__(self, values):
        self.values = values.astype(np.float64)
        self.mean, self.square, self.n = np.zeros_like(self.values), np.zeros_like(self.values), 0

    def step(self, gradient, hyperparameters):
        self.n += 1
        b1, b2 = hyperparameters.momentum, hyperparameters.decay
        self.mean = b1 * self.mean + (1 - b1) * gradient
        self.square = b2 * self.square + (1 - b2) * gradient**2
        mean, square = self.mean / (1 - b1**self.n), self.square / (1 - b2**self.n)
        with np.errstate(invalid="ignore"):
            # With an eps of zero, values that never had a gradient do not change.
            moved = np.where(mean == 0, 0, mean / (np.sqrt(square) + hyperparameters.eps))
        rate = hyperparameters.learning_rate
        self.values = (1 - rate * hyperparameters.weight_decay) * self.values - rate * moved


class Pair:
    """The kernels and the definition, on the same parameter with sparse gradients."""

    def __init__(self, dim, rule="adam", n_rows=N_ROWS, seed=0):
        self.rng = np.random.default_rng(seed)
        values = self.rng.standard_normal((n_rows, dim)).astype(np.float32)
        self.definition = DenseAdam(values)
        self.parameter = torch.from_numpy(values)
        self.state = ParameterState(torch.zeros(n_rows, dim), torch.zeros(n_rows, dim), torch.zeros(()))
        self.fused = FusedUpdate(rule, [self.parameter], [self.state], [True])

    def step(self, rows, hyperparameters=HYPERPARAMETERS, scale=1.0, max_norm=None):
        """One update with gradients for these rows, in ascending order, after a `begin_batch` for them."""
        self.begin_batch(rows)
        size = len(rows), self.parameter.shape[1]
        gradient = scale * self.rng.uniform(0.5, 2, size) * self.rng.choice([-1, 1], size)
        gradient = gradient.astype(np.float32)
        indices = torch.from_numpy(np.asarray(rows, dtype=np.int64)).unsqueeze(0)
        values, shape = torch.from_numpy(gradient), self.parameter.shape
        sparse = torch.sparse_coo_tensor(indices, values, shape, is_coalesced=True, check_invariants=True)
        assert _kernels.optimize(self.fused, [sparse], [hyperparameters], max_norm)
        dense = np.zeros(self.parameter.shape)
        dense[rows] = gradient
        if max_norm is not None:
            dense *= min(1, max_norm / (np.linalg.norm(dense) + 1e-6))
        self.definition.step(dense, hyperparameters)

    def begin_batch(self, rows):
        self.fused.begin_batch(self.parameter, torch.as_tensor(rows, dtype=torch.int64))

    def assert_same(self, rows=slice(None), rtol=3e-5, atol=1e-5):
        """Compare the values and moments of the rows; the tolerance of moments is relative to the largest of a row."""
        values, expected = self.parameter.numpy()[rows], self.definition.values[rows]
        np.testing.assert_allclose(values, expected, rtol=rtol, atol=atol)
        for name in ("mean", "square"):
            found, expected = getattr(self.state, name).numpy()[rows], getattr(self.definition, name)[rows]
            bound = rtol * np.abs(expected).max(axis=1, keepdims=True) + 1e-30
            assert (np.abs(found - expected) <= bound).all(), name


def rows_of_update(rng, step, gaps):
    """The rows that have a gradient: row i in every `gaps[i]`-th update."""
    return np.flatnonzero((step + np.arange(len(gaps))) % gaps == 0)


@pytest.mark.usefixtures("_every_instruction_set")
@sampled({"betas": BETAS, "eps": [0.0, 1e-8, 1e-3], "n_threads": [1, 2]})
def test_lazy_rows_equal_dense_adam_for_gaps_of_any_length(betas, eps, n_threads, tune):
    """1,100 updates at changing rates, more than the log can have; rows are compared after a `begin_batch` for them."""
    tune(min_parallel_work=-1)
    pair = Pair(dim=13)
    gaps = np.concatenate(([1, 2, 3, 1_000, 1_023, 1_024, 1_025], pair.rng.integers(1, 1_000, N_ROWS - 7)))
    gaps[-20:] = pair.rng.integers(1, 30, 20)
    with kernel_threads(n_threads):
        for step in range(1_100):
            hyperparameters = Hyperparameters(RATE * (1 + np.sin(step / 50)), 0.0, *betas, eps)
            pair.step(rows_of_update(pair.rng, step, gaps), hyperparameters)
            if step % 97 == 0:
                rows = pair.rng.integers(0, N_ROWS, 40)  # in random order, with repetitions
                pair.begin_batch(rows)
                pair.assert_same(rows)
        pair.fused.flush()
    pair.assert_same()


@sampled({"dim": [1, 7, 8, 32, 33], "max_pending": [1, 2, 5, 1_024]})
def test_lazy_rows_equal_dense_adam_for_any_size_of_the_log(dim, max_pending, tune):
    tune(max_pending_updates=max_pending)
    pair = Pair(dim)
    for step in range(60):
        pair.step(rows_of_update(pair.rng, step, 1 + np.arange(N_ROWS) % 30))
    pair.fused.flush()
    pair.assert_same()


def test_begin_batch_syncs_its_rows_only():
    pair = Pair(dim=6)
    pair.step(np.arange(N_ROWS))
    before = pair.parameter.clone(), pair.state.mean.clone()
    for _ in range(10):
        pair.step([3, 5])
    pending = np.setdiff1d(np.arange(N_ROWS), [3, 5])
    assert torch.equal(pair.parameter[pending], before[0][pending])
    assert torch.equal(pair.state.mean[pending], before[1][pending])
    pair.begin_batch([9, 7, 9, -1, N_ROWS])  # ids out of range are ignored here; the embedding raises for them
    pair.assert_same([9, 7])
    others = np.setdiff1d(pending, [7, 9])
    assert torch.equal(pair.parameter[others], before[0][others])
    assert not torch.equal(pair.parameter[7], before[0][7])
    pair.fused.flush()
    pair.assert_same()


def test_update_syncs_rows_without_begin_batch():
    """The gradients do not depend on the values here, so the definition is the same."""
    pair = Pair(dim=6)
    pair.begin_batch = lambda rows: None
    for step in range(100):
        pair.step(rows_of_update(pair.rng, step, 1 + np.arange(N_ROWS) % 30))
    pair.fused.flush()
    pair.assert_same()


@pytest.mark.parametrize("max_norm", [0.1, 5.0])
def test_lazy_rows_with_gradient_clipping(max_norm):
    pair = Pair(dim=9)
    for step in range(100):
        pair.step(rows_of_update(pair.rng, step, 1 + np.arange(N_ROWS) % 30), max_norm=max_norm)
    pair.fused.flush()
    pair.assert_same()


def test_lazy_rows_with_decoupled_weight_decay():
    """Each pending update shrinks the values at its own rate."""
    pair = Pair(dim=9, rule="adamw")
    for step in range(300):
        hyperparameters = Hyperparameters(RATE * (1 + np.sin(step)), 2.0 if step % 7 else 0.5, *DEFAULT, 1e-8)
        pair.step(rows_of_update(pair.rng, step, 1 + np.arange(N_ROWS) * 5), hyperparameters)
    pair.fused.flush()
    pair.assert_same()


def test_hyperparameters_that_change_between_updates():
    """Pending updates are applied with the hyperparameters of the updates that skipped them."""
    pair = Pair(dim=9)
    for step in range(120):
        betas, eps = (DEFAULT, 1e-8) if step % 40 < 25 else ((0.8, 0.99), 1e-4)
        rate = 0.0 if 50 <= step < 60 else RATE
        pair.step(rows_of_update(pair.rng, step, 1 + np.arange(N_ROWS) % 30), Hyperparameters(rate, 0.0, *betas, eps))
    pair.fused.flush()
    pair.assert_same()


@pytest.mark.parametrize("scale", [1e-2, 1e-5, 1e-7, 1e-8, 1e-9, 1e-12, 1e-25])
def test_gradients_as_small_as_eps(scale):
    """For such gradients the closed form is not exact; the error is less than 1% of an update."""
    pair = Pair(dim=9)
    for step in range(400):
        pair.step(rows_of_update(pair.rng, step, 1 + np.arange(N_ROWS) * 5), scale=scale)
    pair.fused.flush()
    np.testing.assert_allclose(pair.parameter.numpy(), pair.definition.values, rtol=1e-6, atol=0.01 * RATE)


def test_vanishing_moments_give_finite_values():
    """No division by zero, for rows that never had a gradient and for rows whose second moment underflows."""
    pair = Pair(dim=9)
    hyperparameters = Hyperparameters(RATE, 0.0, 0.5, 0.9, 0.0)
    for step in range(1_000):
        pair.step([0, 1] if step in (0, 999) else [0], hyperparameters, scale=1e-15)
    pair.fused.flush()
    assert pair.parameter.isfinite().all()
    assert torch.equal(pair.parameter[2:].double(), torch.from_numpy(pair.definition.values[2:]))


@pytest.mark.parametrize("moment", ["mean", "square"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_propagate(moment, value):
    pair = Pair(dim=9)
    pair.step(np.arange(N_ROWS))
    getattr(pair.state, moment)[4, 2] = value
    getattr(pair.definition, moment)[4, 2] = value
    for _ in range(5):
        pair.step([0])
    pair.fused.flush()
    pair.assert_same(np.setdiff1d(np.arange(N_ROWS), 4))
    np.testing.assert_array_equal(pair.parameter[4].isfinite().numpy(), np.isfinite(pair.definition.values[4]))
    assert not getattr(pair.state, moment)[4, 2].isfinite()
    assert pair.parameter[4, 2].isnan() == np.isnan(value)


def test_flush_raises_for_a_parameter_of_another_dtype():
    pair = Pair(dim=9)
    pair.step([1, 2])
    pair.parameter.data = pair.parameter.double()
    with pytest.raises(RuntimeError, match=r"float64 of shape \(61, 9\)"):
        pair.fused.flush()


def test_supports_lazy_rows(tune):
    parameter, decaying = torch.zeros(10, 3), HYPERPARAMETERS._replace(weight_decay=0.1)
    slow = HYPERPARAMETERS._replace(momentum=0.9986)

    def lazy_rules(hyperparameters):
        return [rule for rule in update_rules.CODES if supports_lazy_rows(rule, parameter, hyperparameters)]

    assert lazy_rules(HYPERPARAMETERS) == ["rmsprop", "adam", "adamw"]
    assert lazy_rules(decaying) == ["adamw"]
    assert lazy_rules(slow) == ["rmsprop"]
    tune(min_lazy_rows=10)
    assert lazy_rules(HYPERPARAMETERS) == ["rmsprop"]
