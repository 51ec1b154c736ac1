"""Linear models of fixed features, fitted before the network: the last layer of the network adds to their scores.

This is the wide half of a wide and deep network (Cheng et al. 2016), fitted first. Training rows get out-of-fold scores
(stacked generalisation, Wolpert 1992), so that the network reads the same kind of scores in training as in prediction.
In prediction, rows get the scores of a model of all training rows.

The training rows of different folds belong to each output in different proportions. This shifts all scores of a fold
model slightly, away from the targets of its held-out fold. The scores of a fold are therefore shifted back by the
difference between the mean scores of the fold model and of the model of all rows, each over the rows that the model was
fitted to.

A `Calibration`, fitted to the scores of training rows, turns scores into estimates of the outputs.

References
----------
D. H. Wolpert, "Stacked generalization", Neural Networks 5 (1992).
H.-T. Cheng et al., "Wide & deep learning for recommender systems", DLRS 2016.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seqclf._label_features.linear import linear
from seqclf._label_features.sparse_linear import sparse_linear
from seqclf._label_features.sparse_rows import SparseRows
from seqclf._label_features.supervision import Calibration, Supervision
from seqclf._numeric import log_expit
from seqclf._saved import Saved, State

# The smallest weight of a row, as a fraction of the largest: with smaller ones the equations can't be solved.
_MIN_WEIGHT = 1e-6
# The number of points at which a derivative is averaged over a line.
_N_NODES = 64


class Features(Protocol):
    """The features that linear models are fitted to; the type of `rows` depends on the features."""

    def fit_transform(self, rows: Any) -> Any:
        """Fit to training rows, without their targets, and return their features."""

    def transform(self, rows: Any) -> Any:
        """The features of other rows."""

    def blocks(self, rows: Any) -> Iterator[Any]:
        """Split the rows into blocks whose features fit into memory."""

    def names(self) -> list[str]:
        """The name of each feature."""

    @property
    def n_features_out(self) -> int:
        """The number of features."""

    def to_state(self) -> State:
        """The state to save."""


class CrossFitted(Protocol):
    """Fitted linear models."""

    @property
    def held_out(self) -> NDArray[np.floating]:
        """Out-of-fold scores of the training rows, (n_rows, n_outputs)."""

    @property
    def centers(self) -> NDArray[np.floating]:
        """The mean score of each model over the rows that it was fitted to, (1 + n_folds, n_outputs).

        The models of all rows come first.
        """

    @property
    def coef(self) -> NDArray[np.float32]:
        """The weights of the models of all rows, (n_features, n_outputs)."""

    @property
    def intercept(self) -> NDArray[np.float32]:
        """The intercepts of the models of all rows, (n_outputs,)."""


class Fit(Protocol):
    """Fits linear models: for each output one to all rows, and one without each fold."""

    def __call__(
        self, features: Any, targets: Any, weights: NDArray[np.float64], fold: NDArray[np.int64]
    ) -> CrossFitted:
        """Fit to targets in the form of `Supervision.targets`, (n_rows, n_outputs)."""


class LinearScores:
    """Estimates of the outputs by linear models.

    Parameters
    ----------
    features : Features
        The features that the models are fitted to.
    fits : sequence of Fit
        The ways to fit; the one whose estimates have the lowest out-of-fold loss is used.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features, n_outputs), float32
        The weights of the features in the scores, in the order of `feature_names`.
    intercept_ : ndarray of shape (n_outputs,), float32
        The scores of a row without features.
    calibration_ : Calibration
        The estimates are ``offset + slope * scores``, for numeric targets clipped to the range of the training targets.
    is_learnable_ : ndarray of shape (n_outputs,), bool
        Whether the models inform about an output; the estimates of others are derived from their frequencies.
    fold_models_ : list of (coef, intercept)
        The models fitted without each fold; empty unless ``keep_folds=True``.
    """

    coef_: NDArray[np.float32]
    intercept_: NDArray[np.float32]
    calibration_: Calibration
    is_learnable_: NDArray[np.bool_]

    def __init__(self, features: Features, fits: Sequence[Fit]):
        self.features, self._fits = features, fits
        self.fold_models_: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []

    def feature_names(self) -> list[str]:
        """The name of each feature, in the order of `coef_`."""
        return self.features.names()

    def fit_transform(self, rows: Any, supervision: Supervision, keep_folds: bool = False) -> NDArray[np.float32]:
        """Fit the models, and return out-of-fold estimates for the training rows.

        With `keep_folds` a model without each fold is retained for `transform`.
        """
        from scipy.special import logit

        weights = supervision.loss_weights / supervision.loss_weights.max()
        weights = np.maximum(weights, _MIN_WEIGHT)
        weights /= weights.mean()
        features = self.features.fit_transform(rows)
        fold, self.is_learnable_, self._exclusive = supervision.fold, supervision.is_learnable, supervision.exclusive
        frequencies = weights @ supervision.targets / weights.sum()
        # If no row belongs to an output, or all rows do, half a row is treated as different.
        half_row = 0.5 / (len(weights) + 1)
        self._priors = logit(np.clip(frequencies[~self.is_learnable_], half_row, 1 - half_row))
        min_loss = np.inf
        for fit in self._fits:
            models = fit(features, supervision.targets, weights, fold)
            scores = models.held_out + (models.centers[0] - models.centers[1 + fold])
            scores[:, ~self.is_learnable_] = 0
            calibration = supervision.calibrate(scores)
            if calibration.loss < min_loss and np.isfinite(models.coef).all() and np.isfinite(models.intercept).all():
                min_loss, self.calibration_, best_scores, best_fit = calibration.loss, calibration, scores, fit
                # Only these fields are retained, not the arrays with one entry per row.
                self.coef_, self.intercept_, center = models.coef, models.intercept, models.centers[0]
        if not np.isfinite(min_loss):
            raise ValueError(
                "The linear model of wide=True is not finite: X holds numbers that are too large or too small for "
                "float32. Use scale=True, scale them yourself, or set wide=False."
            )
        self.fold_models_ = []
        if keep_folds:
            self.fold_models_ = _models_without_folds(best_fit, features, supervision.targets, weights, fold, center)
        return self._estimates(best_scores)

    def transform(self, rows: Any, fold: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Estimates for other rows.

        With `fold`, each row gets the estimates of the models fitted without its fold, if these were retained; -1 means
        no fold.
        """
        estimates, start = [np.empty((0, len(self.intercept_)), dtype=np.float32)], 0
        for block in self.features.blocks(rows):
            features = self.features.transform(block)
            stop = start + features.shape[0]
            estimates.append(self._estimates(self._scores(features, None if fold is None else fold[start:stop])))
            start = stop
        return np.concatenate(estimates)

    def mean_slopes(self, scores: NDArray[np.floating], output: int) -> NDArray[np.float64]:
        """The mean derivative of one estimate by each score, (n_outputs,), for a row with `scores` of this shape.

        The mean is over the straight line from the scores of a row without features. So the sum of these slopes times
        the differences of the scores is the difference of the estimates.
        """
        start, slopes = self.intercept_.astype(np.float64), np.zeros(len(scores))
        if self.is_learnable_[output]:
            first, last = self.calibration_.estimates(np.stack([start, scores]))[:, output]
            difference = scores[output] - start[output]
            slopes[output] = (last - first) / difference if difference else 0.0
        elif self._exclusive and self.is_learnable_.any():  # a log-sum-exp of the other estimates
            nodes, weights = np.polynomial.legendre.leggauss(_N_NODES)
            line = start + (1 + nodes[:, None]) / 2 * (scores - start)
            estimates = np.where(self.is_learnable_, self.calibration_.estimates(line), -np.inf)
            fractions = np.exp(estimates - _log_sum_exp(estimates))
            slopes += self.calibration_.slope * (weights / 2 @ fractions)
        return slopes

    def to_state(self) -> State:
        """The state to save: everything that `transform` needs without `fold`."""
        return {
            "features": self.features.to_state(),
            "coef": self.coef_,
            "intercept": self.intercept_,
            "calibration": self.calibration_.to_state(),
            "known": self.is_learnable_,
            "priors": self._priors,
            "exclusive": self._exclusive,
        }

    @classmethod
    def from_state(cls, saved: Saved, restore_features: Callable[[Saved], Features]) -> "LinearScores":
        """Restore the scores; `restore_features` restores the features from their state."""
        scores = cls(saved.part("features", restore_features), fits=())
        scores.coef_ = saved.array("coef", np.float32, (scores.features.n_features_out, None))
        n_outputs = scores.coef_.shape[1]
        scores.intercept_ = saved.array("intercept", np.float32, (n_outputs,))
        saved.require(n_outputs > 0, "there are no outputs")
        scores.calibration_ = saved.part("calibration", lambda state: Calibration.from_state(state, n_outputs))
        scores.is_learnable_, scores._exclusive = saved.array("known", bool, (n_outputs,)), saved.boolean("exclusive")
        scores._priors = saved.array("priors", np.float64, (int(np.count_nonzero(~scores.is_learnable_)),))
        return scores

    def _scores(self, features: Any, fold: NDArray[np.int64] | None) -> NDArray[np.floating]:
        if fold is None or not self.fold_models_:
            return compute_scores(features, self.coef_, self.intercept_)
        scores = np.empty((features.shape[0], len(self.intercept_)))
        for version in np.unique(fold):
            rows = np.flatnonzero(fold == version)
            coef, intercept = (self.coef_, self.intercept_) if version < 0 else self.fold_models_[version]
            scores[rows] = compute_scores(features[rows], coef, intercept)
        return scores

    def _estimates(self, scores: NDArray[np.floating]) -> NDArray[np.float32]:
        estimates = self.calibration_.estimates(scores)
        unlearnable = ~self.is_learnable_
        if unlearnable.any():
            # The only information about these outputs is their frequency.
            learnable = estimates[:, self.is_learnable_] if self._exclusive else np.empty((len(scores), 0))
            if learnable.shape[1]:
                estimates[:, unlearnable] = self._priors + _log_sum_exp(learnable)
            else:  # The frequencies of several exclusive outputs add up to 1 already.
                estimates[:, unlearnable] = (
                    log_expit(self._priors) if self._exclusive and len(unlearnable) > 1 else self._priors
                )
        with np.errstate(over="ignore"):  # Callers check that the estimates are finite.
            return estimates.astype(np.float32)


def compute_scores(
    features: SparseRows | NDArray[np.float32], coef: NDArray[np.float32], intercept: NDArray[np.float32]
) -> NDArray[np.floating]:
    """``features @ coef + intercept``, (n_rows, n_outputs); the scores of a row do not depend on the other rows."""
    if isinstance(features, SparseRows):
        return sparse_linear(features, coef, intercept)
    return linear(features, coef, intercept)


def _log_sum_exp(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """The log-sum-exp of each row, (n_rows, 1), computed as in scipy: the largest values are left out of the sum."""
    largest = values.max(axis=1, keepdims=True)
    is_largest = values == largest
    n_largest = is_largest.sum(axis=1, keepdims=True, dtype=values.dtype)
    smaller = np.exp(np.where(is_largest, -np.inf, values) - largest).sum(axis=1, keepdims=True)
    logarithms: NDArray[np.floating] = np.log1p(smaller / n_largest) + np.log(n_largest) + largest
    return logarithms


def _models_without_folds(
    fit: Fit,
    features: Any,
    targets: Any,
    weights: NDArray[np.float64],
    fold: NDArray[np.int64],
    center: NDArray[np.floating],
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """For each fold the weights and intercepts of models of the other rows.

    The intercepts are shifted so that the mean score is `center`, the mean score of the models of all rows.
    """
    models = []
    for held_out in range(int(fold.max()) + 1):
        rows = np.flatnonzero(fold != held_out)
        if len(rows):
            inner_fold = np.unique(fold[rows], return_inverse=True)[1]
            model = fit(features[rows], targets[rows], weights[rows], inner_fold)
            models.append((model.coef, (model.intercept + (center - model.centers[0])).astype(np.float32)))
        else:
            models.append((np.zeros((features.shape[1], len(center)), dtype=np.float32), center.astype(np.float32)))
    return models
