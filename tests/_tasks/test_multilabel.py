"""Multilabel: encoding of indicator matrices, supervision targets, calibration, loss, score and predictions."""

import re

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from seqclf._tasks.calibration import binary_losses, fit_log_odds, sample_rows
from seqclf._tasks.multilabel import Multilabel

Y = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0], [0, 1, 0]])


def fitted(y=Y):
    """The task, and the encoded labels."""
    task = Multilabel()
    return task, task.fit(task.validate(y, range(y.shape[0] if isinstance(y, csr_array) else len(y))), None)


# Labels


@pytest.mark.parametrize("y", [Y, Y.tolist(), csr_array(Y), Y.astype(bool)])
def test_fit_takes_labels_from_columns(y):
    task, targets = fitted(y)
    assert task.n_outputs == 3
    assert task.classes.tolist() == [0, 1, 2]
    assert task.attributes()["classes_"] is task.classes
    assert targets.dtype == np.float32
    assert targets.tolist() == Y.tolist()


def test_encode_returns_an_indicator_matrix_in_float32():
    task, _ = fitted()
    targets = task.encode(task.validate(Y[:2], range(2), name="y_val", rows_name="X_val"))
    assert targets.dtype == np.float32
    assert targets.tolist() == Y[:2].tolist()


@pytest.mark.parametrize("n_columns", [2, 4])
def test_encode_raises_for_another_number_of_columns(n_columns):
    task, _ = fitted()
    words = f"y_val has {n_columns} columns, but y of fit had 3: expected one for each label."
    with pytest.raises(ValueError, match=re.escape(words)):
        task.encode(np.zeros((4, n_columns)), name="y_val")


def test_refit_accepts_the_same_number_of_labels():
    before, _ = fitted()
    task = Multilabel()
    assert task.refit(1 - Y, before).tolist() == (1 - Y).tolist()
    assert task.n_outputs == 3


@pytest.mark.parametrize("n_columns", [2, 4])
def test_refit_raises_for_another_number_of_labels(n_columns):
    before, _ = fitted()
    words = rf"With warm_start=True, y must have a column for each of the 3 labels .*; got {n_columns}\."
    with pytest.raises(ValueError, match=words):
        Multilabel().refit(np.zeros((4, n_columns)), before)


# Weights, supervision targets and strata


def test_loss_weights_are_equal():
    task, targets = fitted()
    assert task.loss_weights(targets).tolist() == [1, 1, 1, 1]


def test_supervision_targets_are_label_memberships():
    task, targets = fitted()
    found = task.supervision_targets(targets)
    assert isinstance(found, csr_array) and found.dtype == np.float64
    assert found.toarray().tolist() == Y.tolist()
    assert found.nnz == Y.sum()
    assert not task.outputs_are_exclusive and task.outputs_are_log_odds


def test_strata_are_the_rarest_labels():
    """Label 1 is the rarest one, then 2; label 0 is the most frequent one."""
    y = np.array([[1, 0, 0], [1, 0, 1], [1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1]])
    strata = Multilabel().strata(y)
    by_rarest = ["only 0", "2", "1", "none", "only 0", "2", "1", "2"]
    kinds = sorted(set(zip(by_rarest, strata.of_rows.tolist(), strict=True)))
    assert len(kinds) == 4, "one stratum for each kind of row"
    assert sorted(stratum for _, stratum in kinds) == [0, 1, 2, 3]
    assert (strata.one, strata.several, strata.needed) == ("label", "labels", False)


@pytest.mark.parametrize("seed", range(5))
def test_strata_of_random_rows_match_loops(seed):
    rng = np.random.default_rng(seed)
    y = (rng.random((60, 5)) < [0.5, 0.3, 0.0, 1.0, 0.1]).astype(np.int8)
    counts = y.sum(axis=0).tolist()
    by_frequency = sorted(range(5), key=lambda i: (counts[i], i))
    expected = [next((rank for rank, i in enumerate(by_frequency) if row[i]), -1) for row in y]
    strata = Multilabel().strata(y).of_rows
    assert strata.tolist() == np.unique(expected, return_inverse=True)[1].tolist()
    assert strata.tolist() == Multilabel().strata(y.astype(np.float32)).of_rows.tolist()


def test_strata_of_rows_without_labels_are_one_stratum():
    assert Multilabel().strata(np.zeros((3, 2))).of_rows.tolist() == [0, 0, 0]


# Calibration


def make_scores(n=150, seed=0, strengths=(2.0, 0.5, 0.0)):
    """Scores that depend strongly on the first label, weakly on the second, not on the third; targets; and weights."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((n, 3)) < [0.5, 0.1, 0.7]).astype(np.float32)
    scores = rng.normal(size=(n, 3)) + np.array(strengths) * (2 * targets - 1)
    return scores.astype(np.float32), targets, rng.uniform(0.1, 2, size=n)


def mean_losses(log_odds, targets, weights):
    """The mean cross-entropy of each label."""
    p = 1 / (1 + np.exp(-log_odds.astype(np.float64)))
    return np.average(-np.log(np.where(targets == 1, p, 1 - p)), axis=0, weights=weights)


def calibrated(scores, targets, weights):
    task = Multilabel()
    task.fit(targets, None)
    return task.calibrate(scores, targets, weights)


def test_calibrate_minimises_the_loss_of_each_label():
    scores, targets, weights = make_scores()
    found = calibrated(scores, targets, weights)
    losses = mean_losses(found.estimates(scores), targets, weights)
    assert found.loss == pytest.approx(losses.mean(), rel=1e-6)
    prior = np.average(targets, axis=0, weights=weights)
    priors = np.log(prior / (1 - prior))
    grid = [
        mean_losses(t * scores + s * priors, targets, weights)
        for t in np.linspace(0, 8, 161)
        for s in np.linspace(0, 1, 21)
    ]
    assert (losses <= np.min(grid, axis=0) + 1e-6).all()
    assert found.slope[0] > 2 * found.slope[1] > 4 * found.slope[2] >= 0


def test_calibrate_treats_labels_separately():
    scores, targets, weights = make_scores()
    together = calibrated(scores, targets, weights)
    alone = [calibrated(scores[:, [i]], targets[:, [i]], weights) for i in range(3)]
    np.testing.assert_allclose(together.slope, [one.slope[0] for one in alone], rtol=1e-6)
    np.testing.assert_allclose(together.offset, [one.offset[0] for one in alone], rtol=1e-6)
    assert together.loss == pytest.approx(np.mean([one.loss for one in alone]), rel=1e-6)


@pytest.mark.parametrize("value", [0, 1])
def test_calibrate_label_of_no_row_or_of_every_row(value):
    """It is calibrated as if half of 151 rows were different; other labels are not affected."""
    scores, targets, weights = make_scores()
    others = calibrated(scores[:, ::2], targets[:, ::2], weights)
    targets[:, 1], scores[:, 1] = value, 0
    found = calibrated(scores, targets, weights)
    assert found.offset[1] == pytest.approx((2 * value - 1) * np.log(301), rel=1e-3)
    assert np.isfinite(found.slope).all() and np.isfinite(found.loss)
    np.testing.assert_allclose(found.slope[::2], others.slope, rtol=1e-6)


def test_calibrate_samples_rows_but_uses_all_for_priors(tune):
    scores, targets, weights = make_scores()
    whole = calibrated(scores, targets, weights)
    tune(max_calibration_rows=40)
    found, rows = calibrated(scores, targets, weights), sample_rows(150, 40)
    prior = np.average(targets, axis=0, weights=weights)
    priors = np.log(prior / (1 - prior))
    for i in range(3):
        of_sample = fit_log_odds(
            scores[rows][:, [i]].astype(np.float64), priors[[i]], weights[rows], binary_losses(targets[rows][:, [i]])
        )
        assert found.slope[i] == pytest.approx(of_sample.temperature, rel=1e-4)
        assert found.offset[i] == pytest.approx(of_sample.prior_weight * priors[i], rel=1e-4)
    assert abs(found.slope[0] - whole.slope[0]) > 1e-3


# Loss, score and predictions

OUTPUTS = np.array([[1.5, -0.25, 0.5], [-1.0, 0.0, -3.0], [2.0, -0.5, -0.25], [0.5, 1.0, -1.0]])


def test_losses_and_probabilities_by_hand():
    task, targets = fitted()
    losses = task.losses(torch.from_numpy(OUTPUTS), torch.from_numpy(targets))
    p = 1 / (1 + np.exp(-OUTPUTS))
    np.testing.assert_allclose(losses, (-np.log(np.where(Y == 1, p, 1 - p))).mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(task.probabilities(OUTPUTS), p, rtol=1e-12)
    np.testing.assert_allclose(task.log_probabilities(OUTPUTS), np.log(p), rtol=1e-12)
    assert task.log_probabilities(np.array([[-900.0, 900.0]])).tolist() == [[-900, 0]]
    assert losses.dtype == torch.float64


def test_gradients_of_losses_are_probabilities_minus_labels():
    task, targets = fitted()
    outputs = torch.from_numpy(OUTPUTS).requires_grad_()
    task.losses(outputs, torch.from_numpy(targets)).sum().backward()
    np.testing.assert_allclose(3 * outputs.grad, 1 / (1 + np.exp(-OUTPUTS)) - Y, rtol=1e-9, atol=1e-12)


def test_score_is_the_subset_accuracy():
    """The first two rows are correct; the third lacks label 1, and the last has a wrong label 0."""
    task, targets = fitted()
    outputs, weights = torch.from_numpy(OUTPUTS), torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64)
    summaries = torch.cat([task.summarise(outputs[:3]), task.summarise(outputs[3:])])
    assert task.score(summaries, torch.from_numpy(targets), weights).item() == 3 / 15
    assert task.score(torch.from_numpy(Y > 0), torch.from_numpy(targets), weights).item() == 1


def test_decode_predicts_labels_with_probability_above_half():
    task, _ = fitted()
    predicted = task.decode(OUTPUTS)
    assert predicted.dtype == np.int64
    assert predicted.tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert task.decode(np.zeros((0, 3))).shape == (0, 3)
