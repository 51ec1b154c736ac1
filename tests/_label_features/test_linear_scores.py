"""Scores out of fold: what a row may see, which model is kept, and what is said where nothing can be learned."""

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
    """The rows are the features."""

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
    """Of one strength: the choice of a penalty sees all rows."""
    return fit_linear_models(SparseRows.from_dense(features), targets, weights, fold, C=1.0, loss="squared_hinge")


def new_scores(*fits):
    return LinearScores(Columns(), fits or (fit_classes,))


def make_rows(n=60, n_classes=2, seed=0):
    """Four numbers a row; the class says a little about the first ones."""
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


def as_they_are(scores):
    """A calibration that leaves scores alone, so that one row does not change another's by it."""
    return Calibration(1.0, np.zeros(scores.shape[1]), 0.0)


FOLD = np.random.default_rng(5).permutation(np.arange(60) % 5)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_no_row_sees_its_own_target_but_in_what_all_scores_have_in_common(n_classes):
    """With another label of a row all scores of its fold move by the same; those of other folds see the label."""
    rows, codes = make_rows(n_classes=n_classes)
    before = new_scores(hinge).fit_transform(rows, supervise(codes, FOLD, calibrate=as_they_are))
    for flipped in (7, 18, 33):
        other = codes.copy()
        other[flipped] = (other[flipped] + 1) % n_classes
        supervision = supervise(other, FOLD, calibrate=as_they_are)
        change = new_scores(hinge).fit_transform(rows, supervision) - before
        own = np.equal(FOLD, FOLD[flipped])
        np.testing.assert_allclose(change[own], np.tile(change[flipped], (own.sum(), 1)), atol=1e-5)
        assert np.ptp(change[~own], axis=0).max() > 1e-3


def test_scores_of_a_fold_are_those_of_a_model_without_it_moved_by_the_difference_of_the_means():
    rows, codes = make_rows()
    fit = []

    def keep(*args):
        fit.append(fit_classes(*args))
        return fit[0]

    scores = new_scores(keep).fit_transform(rows, supervise(codes, FOLD, calibrate=as_they_are))
    means = fit[0].centers
    np.testing.assert_allclose(scores, fit[0].held_out + means[0] - means[1 + FOLD], atol=1e-6)
    np.testing.assert_allclose(means[0], (2 * codes - 1).mean(), atol=1e-12)
    for one in range(5):
        np.testing.assert_allclose(means[1 + one], (2 * codes[np.not_equal(FOLD, one)] - 1).mean(), atol=1e-12)


def test_shares_of_classes_in_folds_are_not_told():
    """Features without information, folds of one class each: the scores of all folds have the same mean."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 4)).astype(np.float32)
    fold = np.arange(200) // 40
    codes = np.isin(fold, [1, 3]).astype(int)
    scores = new_scores().fit_transform(rows, supervise(codes, fold, calibrate=as_they_are))
    assert abs(scores[codes == 1].mean() - scores[codes == 0].mean()) < 0.1
    uncentred = fit_classes(rows, supervise(codes, fold).memberships, np.ones(200), fold).held_out
    assert uncentred[codes == 1].mean() < uncentred[codes == 0].mean() - 0.4


@pytest.mark.parametrize("best", [0, 1, 2])
def test_the_model_kept_is_that_of_the_least_loss(best):
    """Two of three are fitted to labels of chance."""
    rows, codes = make_rows()

    def of_chance(features, targets, weights, fold):
        rng = np.random.default_rng(1)
        return fit_ridge(features, rng.choice([-1.0, 1.0], size=targets.shape), weights, fold)

    fits = [of_chance] * 3
    fits[best] = fit_classes
    supervision = supervise(codes, FOLD)
    scores, alone = new_scores(*fits), new_scores()
    np.testing.assert_array_equal(scores.fit_transform(rows, supervision), alone.fit_transform(rows, supervision))
    np.testing.assert_array_equal(scores.coef_, alone.coef_)
    assert scores.calibration_.loss == alone.calibration_.loss < np.log(2) - 0.05
    assert ((scores.transform(rows)[:, 0] > 0) == codes).mean() > 0.8


@pytest.mark.parametrize("n_classes", [2, 3])
def test_other_rows_get_the_calibrated_scores_of_the_model_of_all_rows(n_classes):
    rows, codes = make_rows(n_classes=n_classes)
    scores = new_scores()
    scores.fit_transform(rows, supervise(codes, FOLD))
    new = make_rows(30, n_classes, seed=1)[0]
    expected = new.astype(np.float64) @ scores.coef_ + scores.intercept_
    expected = scores.calibration_.offset + scores.calibration_.slope * expected
    together = scores.transform(new)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, expected, rtol=1e-5, atol=1e-5)
    for row in range(30):
        np.testing.assert_array_equal(scores.transform(new[row : row + 1])[0], together[row])
    assert scores.coef_.shape == (4, together.shape[1]) and scores.feature_names() == ["a", "b", "c", "d"]


def test_an_output_of_one_fold_gets_the_logit_of_its_prior():
    """Against the others together, in training rows and in other ones: how frequent it is, and nothing else."""
    rows, codes = make_rows(n_classes=3)
    fold = FOLD.copy()
    fold[codes == 2] = 0
    scores = new_scores()
    new = make_rows(30, 3, seed=1)[0]
    for found in (scores.fit_transform(rows, supervise(codes, fold)), scores.transform(new)):
        against = found[:, 2] - logsumexp(found[:, :2], axis=1)
        np.testing.assert_allclose(against, logit(20 / 60), atol=1e-5)
        assert np.ptp(found[:, :2], axis=0).min() > 0.5


def test_a_single_output_of_one_fold_gets_the_logit_of_its_prior():
    rows, codes = make_rows()
    fold = np.where(codes == 1, 0, FOLD)
    scores = new_scores()
    weights = np.where(codes == 1, 3.0, 1.0)
    for found in (scores.fit_transform(rows, supervise(codes, fold, weights)), scores.transform(rows)):
        np.testing.assert_allclose(found, logit(0.75), atol=1e-6)


@pytest.mark.parametrize("of_classes", [False, True])
def test_weights_of_rows_and_of_classes_count(of_classes):
    """A class of weight 3 is one whose rows have weight 3; only proportions count."""
    rows, codes = make_rows()
    weights = np.where(codes == 1, 3.0, 1.0)
    plain, weighted, other = new_scores(), new_scores(), new_scores()
    expected = plain.fit_transform(rows, supervise(codes, FOLD, weights))
    if of_classes:
        found = weighted.fit_transform(rows, supervise(codes, FOLD, class_weight={0: 1.0, 1: 3.0}))
    else:
        found = weighted.fit_transform(rows, supervise(codes, FOLD, 0.001 * weights))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    unweighted = other.fit_transform(rows, supervise(codes, FOLD))
    assert np.abs(unweighted - expected).max() > 0.1


def test_rows_of_a_class_of_weight_zero_count_next_to_nothing():
    rows, codes = make_rows(n_classes=3)
    strange = rows.copy()
    strange[codes == 2] *= -7
    class_weight = {0: 1.0, 1: 1.0, 2: 0.0}
    found = []
    for given in (rows, strange):
        scores = new_scores()
        scores.fit_transform(given, supervise(codes, FOLD, class_weight=class_weight))
        found.append(scores.transform(rows))
        assert np.isfinite(found[-1]).all() and (found[-1][:, 2] < found[-1][:, :2].max(axis=1)).all()
    np.testing.assert_allclose(*found, atol=1e-3)


# Labels, each by itself


def supervise_labels(members, fold, calibrate=None):
    task, ones = Multilabel(), np.ones(len(members))
    targets = task.fit(members, None)
    calibrate = calibrate or (lambda scores: task.calibrate(scores, targets, ones))
    return Supervision(task.supervision_targets(targets), ones, ones, fold, calibrate, exclusive=False)


def make_labels(n=60, seed=0):
    """Four numbers a row, the first three of which say a little about a label each."""
    rng = np.random.default_rng(seed)
    members = (rng.random((n, 3)) < [0.5, 0.3, 0.4]).astype(np.float32)
    rows = rng.normal(size=(n, 4))
    rows[:, :3] += 1.5 * members
    return rows.astype(np.float32), members


def test_scores_of_a_label_are_those_of_the_label_alone():
    """Of models that choose no penalty for all labels together."""
    rows, members = make_labels()
    new, _ = make_labels(30, seed=1)
    together = new_scores(hinge)
    scores = together.fit_transform(rows, supervise_labels(members, FOLD))
    for i in range(3):
        alone = new_scores(hinge)
        supervision = supervise_labels(members[:, [i]], FOLD)
        np.testing.assert_allclose(scores[:, [i]], alone.fit_transform(rows, supervision), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(together.transform(new)[:, [i]], alone.transform(new), rtol=1e-5, atol=1e-5)
    assert np.abs(scores[:, 0] - scores[:, 1]).max() > 1


@pytest.mark.parametrize("others", [False, True])
def test_a_label_of_one_fold_gets_its_prior_log_odds(others):
    """Or a label that only rows of one fold lack. The other labels have no part in it, and lose nothing by it."""
    rows, members = make_labels()
    members[:, 2] = np.equal(FOLD, 1) & (np.arange(60) < 50)
    assert members[:, 2].sum() > 5
    if others:
        members[:, 2] = 1 - members[:, 2]
    scores, without = new_scores(hinge), new_scores(hinge)
    new = make_labels(30, seed=1)[0]
    found = scores.fit_transform(rows, supervise_labels(members, FOLD)), scores.transform(new)
    known = without.fit_transform(rows, supervise_labels(members[:, :2], FOLD)), without.transform(new)
    for ours, theirs in zip(found, known, strict=True):
        np.testing.assert_allclose(ours[:, 2], logit(members[:, 2].mean()), atol=1e-6)
        np.testing.assert_allclose(ours[:, :2], theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_label_of_no_row_or_of_every_row_counts_as_if_half_a_row_were_otherwise(value):
    rows, members = make_labels()
    members[:, 1] = value
    scores = new_scores()
    expected = logit(abs(value - 0.5 / 61))
    for found in (scores.fit_transform(rows, supervise_labels(members, FOLD)), scores.transform(rows[:5])):
        np.testing.assert_allclose(found[:, 1], expected, rtol=1e-6)


# Functions of numbers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_logarithm_of_a_sum_is_that_of_scipy(dtype):
    values = np.random.default_rng(0).normal(scale=20, size=(500, 4)).astype(dtype)
    values[:9] = values[:9, :1]
    values[9] = [900, -900, 900, 3]
    found = _log_sum_exp(values)
    np.testing.assert_allclose(found, logsumexp(values, axis=1, keepdims=True), rtol=4 * np.finfo(dtype).eps)
    assert found.dtype == dtype
    np.testing.assert_allclose(_log_sum_exp(values[:, :1]), values[:, :1])


def test_the_logarithm_of_the_logistic_function_is_that_of_scipy():
    values = np.concatenate([np.linspace(-800, 800, 999), [0.0, -1e-300, 1e300, -1e300]])
    np.testing.assert_allclose(_numeric.log_expit(values), log_expit(values), rtol=1e-14)
