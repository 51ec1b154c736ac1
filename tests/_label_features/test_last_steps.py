"""`LastSteps` against a reference implementation, and the choice between it and random convolutions."""

import numpy as np
import pytest

from seqclf import RNNRegressor
from seqclf._data.ragged import Ragged
from seqclf._label_features.last_steps import LastSteps


def reference(row, n_steps, means):
    if not len(row):
        return means
    padded = np.concatenate([np.repeat(row[:1], max(n_steps - len(row), 0), axis=0), row])
    return padded[-n_steps:].ravel()


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("max_features", [1_000, 6])
def test_fit_transform_and_transform_equal_the_reference(n_channels, max_features, tune):
    tune(max_last_step_features=max_features)
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(length, n_channels)).astype(np.float32) for length in (4, 1, 0, 9, 2, 0)]
    steps = LastSteps()
    found = steps.fit_transform(Ragged.from_items(rows, n_channels=n_channels))
    n_steps = min(9, max_features // n_channels)
    assert steps.n_steps_ == n_steps and found.shape == (6, n_steps * n_channels) and found.dtype == np.float32
    filled = [reference(row, n_steps, None) for row in rows if len(row)]
    means = np.mean(filled, axis=0)
    np.testing.assert_allclose(found, [reference(row, n_steps, means) for row in rows], atol=1e-6)
    new = Ragged.from_items([rng.normal(size=(12, n_channels)), np.empty((0, n_channels))], n_channels=n_channels)
    np.testing.assert_allclose(steps.transform(new), [reference(row, n_steps, means) for row in new.items()], atol=1e-6)
    assert len(steps.names()) == found.shape[1]
    assert steps.names()[-1] == f"step -1 of channel {n_channels - 1}"


def test_fit_transform_of_empty_series_is_zero():
    empty = Ragged(np.empty((0, 1), dtype=np.float32), np.zeros(3, dtype=np.int64))
    assert LastSteps().fit_transform(empty).tolist() == [[0.0]] * 3


def test_blocks_contain_all_rows_in_order(tune):
    series = Ragged.from_items(list(np.arange(21, dtype=np.float32).reshape(7, 3, 1)))
    steps = LastSteps()
    whole = steps.fit_transform(series)
    tune(last_steps_at_once=6)
    blocks = [steps.transform(block) for block in steps.blocks(series)]
    assert len(blocks) == 4
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


@pytest.mark.parametrize(("target", "expected"), [("last", "LastSteps"), ("anywhere", "RandomConvolutions")])
def test_regressor_selects_the_features_with_the_smaller_loss(target, expected):
    """The target depends on values at fixed steps, or on the number of bumps at random positions."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 40))
    y = 2 * X[:, -3] - X[:, -1]
    if target == "anywhere":
        y = rng.integers(0, 4, size=200).astype(float)
        for row, n_bumps in enumerate(y.astype(int)):
            for position in rng.choice(5, n_bumps, replace=False):
                X[row, 8 * position : 8 * position + 4] += 6
    regressor = RNNRegressor(max_epochs=1, random_state=0).fit(X, y)
    assert type(regressor.wide_.features).__name__ == expected


def test_regressor_selects_last_steps_for_overlapping_windows():
    """With random folds, features that identify the neighbours of a window would look better."""
    rng = np.random.default_rng(0)
    series = np.sin(np.arange(700) / 7) * (1 + 0.5 * np.sin(np.arange(700) / 50)) + rng.normal(scale=0.1, size=700)
    rows = np.lib.stride_tricks.sliding_window_view(series, 46)
    X, y = rows[:, :40], rows[:, 40:]
    regressor = RNNRegressor(max_epochs=2, random_state=0).fit(X[:500], y[:500])
    assert type(regressor.wide_.features).__name__ == "LastSteps"
    assert regressor.score(X[560:], y[560:]) > 0.9
