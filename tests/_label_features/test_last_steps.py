"""The last steps of series, against the same by hand."""

import numpy as np
import pytest

from seqclf import RNNRegressor
from seqclf._data.ragged import Ragged
from seqclf._label_features.last_steps import LastSteps


def by_hand(row, n_steps, means):
    if not len(row):
        return means
    padded = np.concatenate([np.repeat(row[:1], max(n_steps - len(row), 0), axis=0), row])
    return padded[-n_steps:].ravel()


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("most", [1_000, 6])
def test_the_features_are_those_by_hand(n_channels, most, tune):
    tune(max_last_step_features=most)
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(length, n_channels)).astype(np.float32) for length in (4, 1, 0, 9, 2, 0)]
    steps = LastSteps()
    found = steps.fit_transform(Ragged.from_items(rows, n_channels=n_channels))
    n_steps = min(9, most // n_channels)
    assert steps.n_steps_ == n_steps and found.shape == (6, n_steps * n_channels) and found.dtype == np.float32
    filled = [by_hand(row, n_steps, None) for row in rows if len(row)]
    means = np.mean(filled, axis=0)
    np.testing.assert_allclose(found, [by_hand(row, n_steps, means) for row in rows], atol=1e-6)
    new = Ragged.from_items([rng.normal(size=(12, n_channels)), np.empty((0, n_channels))], n_channels=n_channels)
    np.testing.assert_allclose(steps.transform(new), [by_hand(row, n_steps, means) for row in new.items()], atol=1e-6)
    assert len(steps.names()) == found.shape[1]
    assert steps.names()[-1] == f"step -1 of channel {n_channels - 1}"


def test_series_without_a_step():
    empty = Ragged(np.empty((0, 1), dtype=np.float32), np.zeros(3, dtype=np.int64))
    assert LastSteps().fit_transform(empty).tolist() == [[0.0]] * 3


def test_blocks_hold_all_rows_in_order(tune):
    series = Ragged.from_items(list(np.arange(21, dtype=np.float32).reshape(7, 3, 1)))
    steps = LastSteps()
    whole = steps.fit_transform(series)
    tune(last_steps_at_once=6)
    parts = [steps.transform(part) for part in steps.blocks(series)]
    assert len(parts) == 4
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize(("target", "kept"), [("last", "LastSteps"), ("anywhere", "RandomConvolutions")])
def test_the_model_with_the_smaller_loss_is_kept(target, kept):
    """A value at a fixed place, or a bump whose place is drawn."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 40))
    y = 2 * X[:, -3] - X[:, -1]
    if target == "anywhere":
        y = rng.integers(0, 4, size=200).astype(float)
        for row, n_bumps in enumerate(y.astype(int)):
            for place in rng.choice(5, n_bumps, replace=False):
                X[row, 8 * place : 8 * place + 4] += 6
    regressor = RNNRegressor(max_epochs=1, random_state=0).fit(X, y)
    assert type(regressor.wide_.features).__name__ == kept


def test_windows_of_a_series_are_forecast_better_than_by_ridge_regression():
    """Random folds of overlapping windows would prefer what tells a window from its neighbours."""
    rng = np.random.default_rng(0)
    series = np.sin(np.arange(700) / 7) * (1 + 0.5 * np.sin(np.arange(700) / 50)) + rng.normal(scale=0.1, size=700)
    rows = np.lib.stride_tricks.sliding_window_view(series, 46)
    X, y = rows[:, :40], rows[:, 40:]
    regressor = RNNRegressor(max_epochs=2, random_state=0).fit(X[:500], y[:500])
    assert type(regressor.wide_.features).__name__ == "LastSteps"
    assert regressor.score(X[560:], y[560:]) > 0.9
