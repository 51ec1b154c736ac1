"""Linear models of fixed features, fitted before the network: their scores are where the last layer starts from.

This is the wide half of a wide and deep network (Cheng et al. 2016), fitted first. A training row gets its scores from
models that have not seen the row (stacked generalisation, Wolpert 1992), so that what the network reads in training is
what it reads in prediction; rows to predict get those of a model of all training rows.

The models of different folds have seen different shares of each output, which moves all their scores a little, away
from the targets of the fold that they have not seen. So the scores of a fold are moved back: by the difference between
the mean scores of its model and of the model of all rows, each over the rows that the model was fitted on.

Scores become estimates of the outputs by a `Calibration`, learned from the scores of training rows.

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

# The share of the largest weight that a row counts at least: with less, equations can't be solved.
_SMALLEST_WEIGHT = 1e-6


class Features(Protocol):
    """What linear models are fitted to; `rows` are of any one kind."""

    def fit_transform(self, rows: Any) -> Any:
        """Learn the features from training rows, without their targets; gives those of the same rows."""

    def transform(self, rows: Any) -> Any:
        """The features of other rows."""

    def blocks(self, rows: Any) -> Iterator[Any]:
        """The rows in parts, whose features fit into memory."""

    def names(self) -> list[str]:
        """What each feature is."""

    @property
    def n_features_out(self) -> int:
        """How many features there are."""

    def to_state(self) -> State:
        """What is saved."""


class CrossFitted(Protocol):
    """Fitted linear models."""

    @property
    def held_out(self) -> NDArray[np.floating]:
        """Scores of the training rows by the models that have not seen their fold, (n_rows, n_outputs)."""

    @property
    def centers(self) -> NDArray[np.floating]:
        """The mean score of each model over the rows that it was fitted on, (1 + n_folds, n_outputs): of all first."""

    @property
    def coef(self) -> NDArray[np.float32]:
        """The weights of the models of all rows, (n_features, n_outputs)."""

    @property
    def intercept(self) -> NDArray[np.float32]:
        """Their intercepts, (n_outputs,)."""


class Fit(Protocol):
    """Fits linear models: for each output one to all rows, and one without each fold."""

    def __call__(
        self, features: Any, targets: Any, weights: NDArray[np.float64], fold: NDArray[np.int64]
    ) -> CrossFitted:
        """Targets are those of a :class:`Supervision`, (n_rows, n_outputs)."""


class LinearScores:
    """Estimates of the outputs by linear models.

    Parameters
    ----------
    features : Features
        What the models are fitted to.
    fits : sequence of Fit
        How: the one is kept whose estimates have the least loss out of fold.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features, n_outputs), float32
        The weights of the features in scores; `feature_names` names them.
    intercept_ : ndarray of shape (n_outputs,), float32
        What a row without features scores.
    calibration_ : Calibration
        The estimates are ``offset + slope * scores``; of numbers, none leaves the range of the targets in fit.
    """

    coef_: NDArray[np.float32]
    intercept_: NDArray[np.float32]
    calibration_: Calibration

    def __init__(self, features: Features, fits: Sequence[Fit]):
        self.features, self._fits = features, fits
        self.without_fold_: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []

    def feature_names(self) -> list[str]:
        """What each feature is, in the order of `coef_`."""
        return self.features.names()

    def fit_transform(self, rows: Any, supervision: Supervision, keep_folds: bool = False) -> NDArray[np.float32]:
        """Fit the models; gives estimates for the training rows, each by models that have not seen its fold.

        With `keep_folds` a model without each fold is kept for `transform`.
        """
        from scipy.special import logit

        weights = supervision.loss_weights / supervision.loss_weights.max()
        weights = np.maximum(weights, _SMALLEST_WEIGHT)
        weights /= weights.mean()
        features = self.features.fit_transform(rows)
        fold, self._known, self._exclusive = supervision.fold, supervision.spread, supervision.exclusive
        shares = weights @ supervision.targets / weights.sum()
        # Where no row belongs to an output, or each does, it is as if half a row were otherwise.
        half_a_row = 0.5 / (len(weights) + 1)
        self._priors = logit(np.clip(shares[~self._known], half_a_row, 1 - half_a_row))
        least = np.inf
        for fit in self._fits:
            models = fit(features, supervision.targets, weights, fold)
            scores = models.held_out + (models.centers[0] - models.centers[1 + fold])
            scores[:, ~self._known] = 0
            calibration = supervision.calibrate(scores)
            if calibration.loss < least and np.isfinite(models.coef).all() and np.isfinite(models.intercept).all():
                least, self.calibration_, best, best_fit = calibration.loss, calibration, scores, fit
                # Nothing is kept of single rows.
                self.coef_, self.intercept_, center = models.coef, models.intercept, models.centers[0]
        if not np.isfinite(least):
            raise ValueError(
                "The linear model of wide=True is not finite: X holds numbers that are too large or too small for "
                "float32. Use scale=True, scale them yourself, or set wide=False."
            )
        self.without_fold_ = []
        if keep_folds:
            self.without_fold_ = _models_without_folds(best_fit, features, supervision.targets, weights, fold, center)
        return self._estimates(best)

    def transform(self, rows: Any, fold: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Estimates for other rows; with `fold` by models that were fitted without it, where these were kept.

        A fold of -1 is none.
        """
        parts, start = [np.empty((0, len(self.intercept_)), dtype=np.float32)], 0
        for part in self.features.blocks(rows):
            features = self.features.transform(part)
            stop = start + features.shape[0]
            parts.append(self._estimates(self._scores(features, None if fold is None else fold[start:stop])))
            start = stop
        return np.concatenate(parts)

    def to_state(self) -> State:
        """What is saved: what rows that were not fitted need."""
        return {
            "features": self.features.to_state(),
            "coef": self.coef_,
            "intercept": self.intercept_,
            "calibration": self.calibration_.to_state(),
            "known": self._known,
            "priors": self._priors,
            "exclusive": self._exclusive,
        }

    @classmethod
    def from_state(cls, saved: Saved, read: Callable[[Saved], Features]) -> "LinearScores":
        """The same estimates; `read` makes the features of their state."""
        scores = cls(saved.part("features", read), fits=())
        scores.coef_ = saved.array("coef", np.float32, (scores.features.n_features_out, None))
        n_outputs = scores.coef_.shape[1]
        scores.intercept_ = saved.array("intercept", np.float32, (n_outputs,))
        saved.require(n_outputs > 0, "there are no outputs")
        scores.calibration_ = saved.part("calibration", lambda part: Calibration.from_state(part, n_outputs))
        scores._known, scores._exclusive = saved.array("known", bool, (n_outputs,)), saved.boolean("exclusive")
        scores._priors = saved.array("priors", np.float64, (int(np.count_nonzero(~scores._known)),))
        return scores

    def _scores(self, features: Any, fold: NDArray[np.int64] | None) -> NDArray[np.floating]:
        if fold is None or not self.without_fold_:
            return scores_of(features, self.coef_, self.intercept_)
        scores = np.empty((features.shape[0], len(self.intercept_)))
        for one in np.unique(fold):
            rows = np.flatnonzero(fold == one)
            coef, intercept = (self.coef_, self.intercept_) if one < 0 else self.without_fold_[one]
            scores[rows] = scores_of(features[rows], coef, intercept)
        return scores

    def _estimates(self, scores: NDArray[np.floating]) -> NDArray[np.float32]:
        estimates = self.calibration_.estimates(scores)
        unknown = ~self._known
        if unknown.any():
            # Of these nothing is known but how frequent they are.
            others = estimates[:, self._known] if self._exclusive else np.empty((len(scores), 0))
            if others.shape[1]:
                estimates[:, unknown] = self._priors + _log_sum_exp(others)
            else:  # Shares of several outputs that exclude each other add up to 1 as they are.
                estimates[:, unknown] = (
                    log_expit(self._priors) if self._exclusive and len(unknown) > 1 else self._priors
                )
        with np.errstate(over="ignore"):  # Callers check that they are finite.
            return estimates.astype(np.float32)


def scores_of(
    features: SparseRows | NDArray[np.float32], coef: NDArray[np.float32], intercept: NDArray[np.float32]
) -> NDArray[np.floating]:
    """What models say of rows, (n_rows, n_outputs); scores of a row do not depend on the other rows."""
    if isinstance(features, SparseRows):
        return sparse_linear(features, coef, intercept)
    return linear(features, coef, intercept)


def _log_sum_exp(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """The logarithm of the sum over each row, (n_rows, 1); as scipy computes it, without the largest number first."""
    most = values.max(axis=1, keepdims=True)
    is_most = values == most
    n_most = is_most.sum(axis=1, keepdims=True, dtype=values.dtype)
    others = np.exp(np.where(is_most, -np.inf, values) - most).sum(axis=1, keepdims=True)
    logarithms: NDArray[np.floating] = np.log1p(others / n_most) + np.log(n_most) + most
    return logarithms


def _models_without_folds(
    fit: Fit,
    features: Any,
    targets: Any,
    weights: NDArray[np.float64],
    fold: NDArray[np.int64],
    center: NDArray[np.floating],
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """For each fold the weights and intercepts of models of the other rows, moved to the `center` of those of all."""
    models = []
    for one in range(int(fold.max()) + 1):
        kept = np.flatnonzero(fold != one)
        if len(kept):
            others = np.unique(fold[kept], return_inverse=True)[1]
            model = fit(features[kept], targets[kept], weights[kept], others)
            models.append((model.coef, (model.intercept + (center - model.centers[0])).astype(np.float32)))
        else:
            models.append((np.zeros((features.shape[1], len(center)), dtype=np.float32), center.astype(np.float32)))
    return models
