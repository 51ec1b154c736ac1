"""Lazily updated rows: against a plain dense Adam in float64, value by value, with gaps of any length."""

import numpy as np
import pytest
import torch

from seqclf import _kernels
from seqclf._kernels import FusedStep, Hyperparameters, State, supports_lazy_rows
from seqclf._kernels.cpu import update_rules
from seqclf._native import library
from seqclf._native.threads import kernel_threads

pytestmark = [
    pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}"),
    pytest.mark.usefixtures("_small_tables_are_lazy"),
]

N_ROWS = 61
RATE = 0.01
DEFAULT = (0.9, 0.999)
HYPERPARAMETERS = Hyperparameters(RATE, 0.0, *DEFAULT, 1e-8)


@pytest.fixture
def _small_tables_are_lazy(tune):
    tune(min_lazy_rows=0)


class DenseAdam:
    """The definition: every value moves in every step, in float64."""

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
            # At an eps of zero, what never had a gradient stays where it is.
            moved = np.where(mean == 0, 0, mean / (np.sqrt(square) + hyperparameters.eps))
        rate = hyperparameters.learning_rate
        self.values = (1 - rate * hyperparameters.weight_decay) * self.values - rate * moved


class Pair:
    """The kernels on a table with sparse gradients, and the definition on the same."""

    def __init__(self, dim, rule="adam", n_rows=N_ROWS, seed=0):
        self.rng = np.random.default_rng(seed)
        values = self.rng.standard_normal((n_rows, dim)).astype(np.float32)
        self.twin = DenseAdam(values)
        self.table = torch.from_numpy(values)
        self.state = State(torch.zeros(n_rows, dim), torch.zeros(n_rows, dim), torch.zeros(()))
        self.fused = FusedStep(rule, [self.table], [self.state], [True])

    def step(self, rows, hyperparameters=HYPERPARAMETERS, scale=1.0, max_norm=None):
        """One step with gradients for these rows, rising; they are read before."""
        self.read(rows)
        size = len(rows), self.table.shape[1]
        gradient = scale * self.rng.uniform(0.5, 2, size) * self.rng.choice([-1, 1], size)
        gradient = gradient.astype(np.float32)
        indices = torch.from_numpy(np.asarray(rows, dtype=np.int64)).unsqueeze(0)
        values, shape = torch.from_numpy(gradient), self.table.shape
        sparse = torch.sparse_coo_tensor(indices, values, shape, is_coalesced=True, check_invariants=True)
        assert _kernels.optimize(self.fused, [sparse], [hyperparameters], max_norm)
        dense = np.zeros(self.table.shape)
        dense[rows] = gradient
        if max_norm is not None:
            dense *= min(1, max_norm / (np.linalg.norm(dense) + 1e-6))
        self.twin.step(dense, hyperparameters)

    def read(self, rows):
        self.fused.begin_batch(self.table, torch.as_tensor(rows, dtype=torch.int64))

    def assert_same(self, rows=slice(None), rtol=3e-5, atol=1e-5):
        """All of the table and its state, or some rows of it; moments within a share of the largest of their row."""
        values, expected = self.table.numpy()[rows], self.twin.values[rows]
        np.testing.assert_allclose(values, expected, rtol=rtol, atol=atol)
        for name in ("mean", "square"):
            found, expected = getattr(self.state, name).numpy()[rows], getattr(self.twin, name)[rows]
            bound = rtol * np.abs(expected).max(axis=1, keepdims=True) + 1e-30
            assert (np.abs(found - expected) <= bound).all(), name


def some_rows(rng, step, gaps):
    """Rows with gaps of their own: row i every `gaps[i]` steps."""
    return np.flatnonzero((step + np.arange(len(gaps))) % gaps == 0)


@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("betas", [DEFAULT, (0.0, 0.999), (0.5, 0.9), (0.9, 0.99), (0.99, 0.999)])
@pytest.mark.parametrize("eps", [0.0, 1e-8, 1e-3])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_gaps_of_any_length(betas, eps, n_threads, tune):
    """1,100 steps at changing rates, more than there is room for; what is read is up to date, the rest at the end."""
    tune(min_parallel_work=-1)
    pair = Pair(dim=13)
    gaps = np.concatenate(([1, 2, 3, 1_000, 1_023, 1_024, 1_025], pair.rng.integers(1, 1_000, N_ROWS - 7)))
    gaps[-20:] = pair.rng.integers(1, 30, 20)
    with kernel_threads(n_threads):
        for step in range(1_100):
            hyperparameters = Hyperparameters(RATE * (1 + np.sin(step / 50)), 0.0, *betas, eps)
            pair.step(some_rows(pair.rng, step, gaps), hyperparameters)
            if step % 97 == 0:
                rows = pair.rng.integers(0, N_ROWS, 40)  # in no order, some of them twice
                pair.read(rows)
                pair.assert_same(rows)
        pair.fused.flush()
    pair.assert_same()


@pytest.mark.parametrize("dim", [1, 7, 8, 32, 33])
@pytest.mark.parametrize("room", [1, 2, 5, 1_024])
def test_no_more_room_for_pending_steps(dim, room, tune):
    tune(max_pending_updates=room)
    pair = Pair(dim)
    for step in range(60):
        pair.step(some_rows(pair.rng, step, 1 + np.arange(N_ROWS) % 30))
    pair.fused.flush()
    pair.assert_same()


def test_rows_are_left_alone_until_they_are_read():
    pair = Pair(dim=6)
    pair.step(np.arange(N_ROWS))
    before = pair.table.clone(), pair.state.mean.clone()
    for _ in range(10):
        pair.step([3, 5])
    pending = np.setdiff1d(np.arange(N_ROWS), [3, 5])
    assert torch.equal(pair.table[pending], before[0][pending])
    assert torch.equal(pair.state.mean[pending], before[1][pending])
    pair.read([9, 7, 9, -1, N_ROWS])  # those of no row are for the embedding to refuse
    pair.assert_same([9, 7])
    others = np.setdiff1d(pending, [7, 9])
    assert torch.equal(pair.table[others], before[0][others])
    assert not torch.equal(pair.table[7], before[0][7])
    pair.fused.flush()
    pair.assert_same()


def test_a_step_applies_what_is_pending_for_rows_that_were_not_read():
    """The definition moves by the same gradients, so where they were taken does not matter to it."""
    pair = Pair(dim=6)
    pair.read = lambda rows: None
    for step in range(100):
        pair.step(some_rows(pair.rng, step, 1 + np.arange(N_ROWS) % 30))
    pair.fused.flush()
    pair.assert_same()


@pytest.mark.parametrize("max_norm", [0.1, 5.0])
def test_clipped(max_norm):
    pair = Pair(dim=9)
    for step in range(100):
        pair.step(some_rows(pair.rng, step, 1 + np.arange(N_ROWS) % 30), max_norm=max_norm)
    pair.fused.flush()
    pair.assert_same()


def test_decoupled_weight_decay():
    """Each pending step shrinks the values, at its own rate, and what they have lost before."""
    pair = Pair(dim=9, rule="adamw")
    for step in range(300):
        hyperparameters = Hyperparameters(RATE * (1 + np.sin(step)), 2.0 if step % 7 else 0.5, *DEFAULT, 1e-8)
        pair.step(some_rows(pair.rng, step, 1 + np.arange(N_ROWS) * 5), hyperparameters)
    pair.fused.flush()
    pair.assert_same()


def test_settings_that_change_between_steps():
    """What is pending is applied with the settings as they were."""
    pair = Pair(dim=9)
    for step in range(120):
        betas, eps = (DEFAULT, 1e-8) if step % 40 < 25 else ((0.8, 0.99), 1e-4)
        rate = 0.0 if 50 <= step < 60 else RATE
        pair.step(some_rows(pair.rng, step, 1 + np.arange(N_ROWS) % 30), Hyperparameters(rate, 0.0, *betas, eps))
    pair.fused.flush()
    pair.assert_same()


@pytest.mark.parametrize("scale", [1e-2, 1e-5, 1e-7, 1e-8, 1e-9, 1e-12, 1e-25])
def test_gradients_as_small_as_eps(scale):
    """There the closed form is not exact, but by less than a hundredth of a step."""
    pair = Pair(dim=9)
    for step in range(400):
        pair.step(some_rows(pair.rng, step, 1 + np.arange(N_ROWS) * 5), scale=scale)
    pair.fused.flush()
    np.testing.assert_allclose(pair.table.numpy(), pair.twin.values, rtol=1e-6, atol=0.01 * RATE)


def test_moments_so_small_that_they_vanish():
    """Nothing is divided by zero: a row that never had a gradient, one whose square is no number above zero."""
    pair = Pair(dim=9)
    hyperparameters = Hyperparameters(RATE, 0.0, 0.5, 0.9, 0.0)
    for step in range(1_000):
        pair.step([0, 1] if step in (0, 999) else [0], hyperparameters, scale=1e-15)
    pair.fused.flush()
    assert pair.table.isfinite().all()
    assert torch.equal(pair.table[2:].double(), torch.from_numpy(pair.twin.values[2:]))


@pytest.mark.parametrize("moment", ["mean", "square"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_goes_through(moment, value):
    pair = Pair(dim=9)
    pair.step(np.arange(N_ROWS))
    getattr(pair.state, moment)[4, 2] = value
    getattr(pair.twin, moment)[4, 2] = value
    for _ in range(5):
        pair.step([0])
    pair.fused.flush()
    pair.assert_same(np.setdiff1d(np.arange(N_ROWS), 4))
    np.testing.assert_array_equal(pair.table[4].isfinite().numpy(), np.isfinite(pair.twin.values[4]))
    assert not getattr(pair.state, moment)[4, 2].isfinite()
    assert pair.table[4, 2].isnan() == np.isnan(value)


def test_a_table_of_another_type_is_refused():
    pair = Pair(dim=9)
    pair.step([1, 2])
    pair.table.data = pair.table.double()
    with pytest.raises(RuntimeError, match=r"float64 of shape \(61, 9\)"):
        pair.fused.flush()


def test_which_tables_are_lazy(tune):
    table, decaying = torch.zeros(10, 3), HYPERPARAMETERS._replace(weight_decay=0.1)
    slow = HYPERPARAMETERS._replace(momentum=0.9986)

    def lazy_rules(hyperparameters):
        return [rule for rule in update_rules.CODES if supports_lazy_rows(rule, table, hyperparameters)]

    assert lazy_rules(HYPERPARAMETERS) == ["rmsprop", "adam", "adamw"]
    assert lazy_rules(decaying) == ["adamw"]
    assert lazy_rules(slow) == ["rmsprop"]
    tune(min_lazy_rows=10)
    assert lazy_rules(HYPERPARAMETERS) == ["rmsprop"]
