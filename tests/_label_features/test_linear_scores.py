"""Out-of-fold scores: no target leaks, the best model is selected, and outputs that can't be fitted get their prior."""

import numpy as np
import pytest
from scipy.special import log_expit, logit, logsumexp

from seqclf import _numeric
from seqclf._label_features.linear_models import fit_linear_models
from seqclf._label_features.linear_scores import LinearScores, _log_sum_exp
from seqclf._label_features.ridge import fit_ridge
from seqclf._label_features.sparse_rows import SparseRows
from seqclf._label_features.supervision import Calibration, Supervision
from seqclf._tasks.classification import Classification
from seqclf._tasks.multilabel import Multilabel


class Columns:
    """Features that are the rows themselves."""

    def fit_transform(self, rows):
        return rows.astype(np.float32)

    transform = fit_transform

    def blocks(self, rows):
        yield rows[:3]
        yield rows[3:]

    def names(self):
        return ["a", "b", "c", "d"]


def fit_classes(features, targets, weights, fold):
    return fit_ridge(features, 2 * targets.toarray() - 1, weights, fold)


def hinge(features, targets, weights, fold):
    """A fit with a fixed C, because the choice of a penalty depends on all rows."""
    return fit_linear_models(SparseRows.from_dense(features), targets, weights, fold, C=1.0, loss="squared_hinge")


def new_scores(*fits):
    return LinearScores(Columns(), fits or (fit_classes,))


def make_rows(n=60, n_classes=2, seed=0):
    """Rows of four values; the first ones depend a little on the class."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(n) % n_classes)
    rows = rng.normal(size=(n, 4))
    rows[np.arange(n), codes] += 1.5
    return rows.astype(np.float32), codes


def supervise(codes, fold, weights=None, class_weight=None, n_classes=None, calibrate=None):
    task = Classification(class_weight)
    task.fit(np.arange(n_classes or codes.max() + 1), None)
    weights = np.ones(len(codes)) if weights is None else weights
    task.fit_weights(codes, weights)
    loss_weights = weights * task.loss_weights(codes)
    calibrate = calibrate or (lambda scores: task.calibrate(scores, codes, loss_weights))
    return Supervision(task.supervision_targets(codes), weights, loss_weights, fold, calibrate)


def identity(scores):
    """A calibration that does not change scores, so that it makes no row depend on others."""
    return Calibration(1.0, np.zeros(scores.shape[1]), 0.0)


FOLD = np.random.default_rng(5).permutation(np.arange(60) % 5)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_label_shifts_all_scores_of_its_fold_equally(n_classes):
    """With another label of a row, all scores of its fold change by the same amount; those of other folds differ."""
    rows, codes = make_rows(n_classes=n_classes)
    before = new_scores(hinge).fit_transform(rows, supervise(codes, FOLD, calibrate=identity))
    for flipped in (7, 18, 33):
        other = codes.copy()
        other[flipped] = (other[flipped] + 1) % n_classes
        supervision = supervise(other, FOLD, calibrate=identity)
        change = new_scores(hinge).fit_transform(rows, supervision) - before
        in_fold = np.equal(FOLD, FOLD[flipped])
        np.testing.assert_allclose(change[in_fold], np.tile(change[flipped], (in_fold.sum(), 1)), atol=1e-5)
        assert np.ptp(change[~in_fold], axis=0).max() > 1e-3


def test_held_out_scores_are_shifted_by_the_difference_of_the_means():
    rows, codes = make_rows()
    fitted = []

    def fit_and_store(*args):
        fitted.append(fit_classes(*args))
        return fitted[0]

    scores = new_scores(fit_and_store).fit_transform(rows, supervise(codes, FOLD, calibrate=identity))
    means = fitted[0].centers
    np.testing.assert_allclose(scores, fitted[0].held_out + means[0] - means[1 + FOLD], atol=1e-6)
    np.testing.assert_allclose(means[0], (2 * codes - 1).mean(), atol=1e-12)
    for fold in range(5):
        np.testing.assert_allclose(means[1 + fold], (2 * codes[np.not_equal(FOLD, fold)] - 1).mean(), atol=1e-12)


def test_scores_do_not_reveal_class_frequencies_of_folds():
    """Features without information, folds of one class each: the scores of all folds have the same mean."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 4)).astype(np.float32)
    fold = np.arange(200) // 40
    codes = np.isin(fold, [1, 3]).astype(int)
    scores = new_scores().fit_transform(rows, supervise(codes, fold, calibrate=identity))
    assert abs(scores[codes == 1].mean() - scores[codes == 0].mean()) < 0.1
    uncentred = fit_classes(rows, supervise(codes, fold).memberships, np.ones(200), fold).held_out
    assert uncentred[codes == 1].mean() < uncentred[codes == 0].mean() - 0.4


@pytest.mark.parametrize("best", [0, 1, 2])
def test_the_model_with_the_lowest_loss_is_selected(best):
    """The other two models are fitted to random labels."""
    rows, codes = make_rows()

    def fit_random_labels(features, targets, weights, fold):
        rng = np.random.default_rng(1)
        return fit_ridge(features, rng.choice([-1.0, 1.0], size=targets.shape), weights, fold)

    fits = [fit_random_labels] * 3
    fits[best] = fit_classes
    supervision = supervise(codes, FOLD)
    scores, expected = new_scores(*fits), new_scores()
    np.testing.assert_array_equal(scores.fit_transform(rows, supervision), expected.fit_transform(rows, supervision))
    np.testing.assert_array_equal(scores.coef_, expected.coef_)
    assert scores.calibration_.loss == expected.calibration_.loss < np.log(2) - 0.05
    assert ((scores.transform(rows)[:, 0] > 0) == codes).mean() > 0.8


@pytest.mark.parametrize("n_classes", [2, 3])
def test_transform_returns_calibrated_scores_of_the_model_of_all_rows(n_classes):
    rows, codes = make_rows(n_classes=n_classes)
    scores = new_scores()
    scores.fit_transform(rows, supervise(codes, FOLD))
    new = make_rows(30, n_classes, seed=1)[0]
    expected = new.astype(np.float64) @ scores.coef_ + scores.intercept_
    expected = scores.calibration_.offset + scores.calibration_.slope * expected
    found = scores.transform(new)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    for row in range(30):
        np.testing.assert_array_equal(scores.transform(new[row : row + 1])[0], found[row])
    assert scores.coef_.shape == (4, found.shape[1]) and scores.feature_names() == ["a", "b", "c", "d"]


def test_class_in_one_fold_gets_its_prior():
    """Its log-odds against the other classes are those of its frequency, for training rows and for new ones."""
    rows, codes = make_rows(n_classes=3)
    fold = FOLD.copy()
    fold[codes == 2] = 0
    scores = new_scores()
    new = make_rows(30, 3, seed=1)[0]
    for found in (scores.fit_transform(rows, supervise(codes, fold)), scores.transform(new)):
        log_odds = found[:, 2] - logsumexp(found[:, :2], axis=1)
        np.testing.assert_allclose(log_odds, logit(20 / 60), atol=1e-5)
        assert np.ptp(found[:, :2], axis=0).min() > 0.5


def test_binary_output_in_one_fold_gets_its_prior():
    rows, codes = make_rows()
    fold = np.where(codes == 1, 0, FOLD)
    scores = new_scores()
    weights = np.where(codes == 1, 3.0, 1.0)
    for found in (scores.fit_transform(rows, supervise(codes, fold, weights)), scores.transform(rows)):
        np.testing.assert_allclose(found, logit(0.75), atol=1e-6)


@pytest.mark.parametrize("by_class", [False, True])
def test_sample_weight_and_class_weight_are_equivalent(by_class):
    """A class of weight 3 is the same as a class whose rows have weight 3; only proportions matter."""
    rows, codes = make_rows()
    weights = np.where(codes == 1, 3.0, 1.0)
    plain, weighted, other = new_scores(), new_scores(), new_scores()
    expected = plain.fit_transform(rows, supervise(codes, FOLD, weights))
    if by_class:
        found = weighted.fit_transform(rows, supervise(codes, FOLD, class_weight={0: 1.0, 1: 3.0}))
    else:
        found = weighted.fit_transform(rows, supervise(codes, FOLD, 0.001 * weights))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    unweighted = other.fit_transform(rows, supervise(codes, FOLD))
    assert np.abs(unweighted - expected).max() > 0.1


def test_rows_of_a_class_of_weight_zero_have_almost_no_influence():
    rows, codes = make_rows(n_classes=3)
    changed = rows.copy()
    changed[codes == 2] *= -7
    class_weight = {0: 1.0, 1: 1.0, 2: 0.0}
    found = []
    for training in (rows, changed):
        scores = new_scores()
        scores.fit_transform(training, supervise(codes, FOLD, class_weight=class_weight))
        found.append(scores.transform(rows))
        assert np.isfinite(found[-1]).all() and (found[-1][:, 2] < found[-1][:, :2].max(axis=1)).all()
    np.testing.assert_allclose(*found, atol=1e-3)


# Multilabel: each label is independent


def supervise_labels(members, fold, calibrate=None):
    task, ones = Multilabel(), np.ones(len(members))
    targets = task.fit(members, None)
    calibrate = calibrate or (lambda scores: task.calibrate(scores, targets, ones))
    return Supervision(task.supervision_targets(targets), ones, ones, fold, calibrate, exclusive=False)


def make_labels(n=60, seed=0):
    """Rows of four values; each of the first three depends a little on one label."""
    rng = np.random.default_rng(seed)
    members = (rng.random((n, 3)) < [0.5, 0.3, 0.4]).astype(np.float32)
    rows = rng.normal(size=(n, 4))
    rows[:, :3] += 1.5 * members
    return rows.astype(np.float32), members


def test_scores_of_a_label_do_not_depend_on_other_labels():
    """For models that do not choose a penalty for all labels together."""
    rows, members = make_labels()
    new, _ = make_labels(30, seed=1)
    all_labels = new_scores(hinge)
    scores = all_labels.fit_transform(rows, supervise_labels(members, FOLD))
    for i in range(3):
        one_label = new_scores(hinge)
        supervision = supervise_labels(members[:, [i]], FOLD)
        np.testing.assert_allclose(scores[:, [i]], one_label.fit_transform(rows, supervision), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(all_labels.transform(new)[:, [i]], one_label.transform(new), rtol=1e-5, atol=1e-5)
    assert np.abs(scores[:, 0] - scores[:, 1]).max() > 1


@pytest.mark.parametrize("complement", [False, True])
def test_label_in_one_fold_gets_its_prior(complement):
    """So does a label that is missing only in rows of one fold. The other labels are not affected."""
    rows, members = make_labels()
    members[:, 2] = np.equal(FOLD, 1) & (np.arange(60) < 50)
    assert members[:, 2].sum() > 5
    if complement:
        members[:, 2] = 1 - members[:, 2]
    scores, without = new_scores(hinge), new_scores(hinge)
    new = make_labels(30, seed=1)[0]
    found = scores.fit_transform(rows, supervise_labels(members, FOLD)), scores.transform(new)
    expected = without.fit_transform(rows, supervise_labels(members[:, :2], FOLD)), without.transform(new)
    for three_labels, two_labels in zip(found, expected, strict=True):
        np.testing.assert_allclose(three_labels[:, 2], logit(members[:, 2].mean()), atol=1e-6)
        np.testing.assert_allclose(three_labels[:, :2], two_labels, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_label_gets_a_prior_with_half_a_row_changed(value):
    rows, members = make_labels()
    members[:, 1] = value
    scores = new_scores()
    expected = logit(abs(value - 0.5 / 61))
    for found in (scores.fit_transform(rows, supervise_labels(members, FOLD)), scores.transform(rows[:5])):
        np.testing.assert_allclose(found[:, 1], expected, rtol=1e-6)


# Numerical functions


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_sum_exp_equals_scipy(dtype):
    values = np.random.default_rng(0).normal(scale=20, size=(500, 4)).astype(dtype)
    values[:9] = values[:9, :1]
    values[9] = [900, -900, 900, 3]
    found = _log_sum_exp(values)
    np.testing.assert_allclose(found, logsumexp(values, axis=1, keepdims=True), rtol=4 * np.finfo(dtype).eps)
    assert found.dtype == dtype
    np.testing.assert_allclose(_log_sum_exp(values[:, :1]), values[:, :1])


def test_log_expit_equals_scipy():
    values = np.concatenate([np.linspace(-800, 800, 999), [0.0, -1e-300, 1e300, -1e300]])
    np.testing.assert_allclose(_numeric.log_expit(values), log_expit(values), rtol=1e-14)
