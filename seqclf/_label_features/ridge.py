"""Ridge regression on dense features, with a prediction for each training row by a model that has not seen its fold.

The features are standardised by their weighted mean and standard deviation over all rows, and the intercept is not
penalised. With Z the standardised features and y the targets, both times the square roots of the weights w, the
coefficients c and the intercept b minimise |y - sqrt(w) b - Z c|^2 + penalty |c|^2.

With fewer rows than features this is solved with the rows' Gram matrix Z Z'. There H, which makes fitted values of
targets, is given by

    I - H = penalty (Z Z' + penalty I)^-1 - sqrt(w) sqrt(w)' / sum(w),

and the errors of a fold F of a model fitted without it follow from it, e_F = ((I - H)_FF)^-1 (y - H y)_F. It is the
formula of leave-one-out (Allen 1974) for several rows at once. With more rows than features the features' Gram matrix
is used: a fold's is subtracted from that of all rows. Memory and time grow with the number of folds there, so folds
should be few.

References
----------
D. M. Allen, "The relationship between variable selection and data augmentation and a method for prediction",
Technometrics 16 (1974).
"""

from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve
from scipy.linalg.lapack import dpotrf, dpotri
from threadpoolctl import threadpool_limits

from seqclf._label_features.linear import linear

# The penalties that are tried, the largest first, for each feature: a row of Z has a squared length of their number.
PENALTIES = 10.0 ** np.arange(2, -6, -1)
# How many numbers are standardised at once, in float64.
_BLOCK = 2**22
# The number of BLAS's threads belongs to the process: two fits at once would put back each other's.
_BLAS = Lock()

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ridge:
    """A ridge model, and what it says of its training rows out of fold.

    Parameters
    ----------
    held_out : ndarray of shape (n_rows, n_targets), float64
        The prediction for each training row by the model fitted without its fold.
    centers : ndarray of shape (1 + n_folds, n_targets), float64
        The mean prediction of each model over the rows that it was fitted on: of the model of all rows first.
    coef : ndarray of shape (n_features, n_targets), float32
        For the features as they are, not standardised; 0 for those of no variance.
    intercept : ndarray of shape (n_targets,), float32
    penalty : float
        For a mean weight of 1.
    """

    held_out: Floats
    centers: Floats
    coef: NDArray[np.float32]
    intercept: NDArray[np.float32]
    penalty: float

    def decide(self, features: NDArray[np.float32]) -> Floats:
        """The predictions for any rows, (n_rows, n_targets); each row gives the same bits alone and with others."""
        return linear(features, self.coef, self.intercept)


def fit_ridge(features: NDArray[np.float32], targets: Floats, weights: Floats, fold: NDArray[np.int64]) -> Ridge:
    """Fit a model of all rows, and one without each fold; the penalty is that of the smallest error out of fold.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features), float32
    targets : ndarray of shape (n_rows, n_targets), float64
    weights : ndarray of shape (n_rows,), float64
        Above 0; only the proportions matter.
    fold : ndarray of shape (n_rows,), int64
        The fold of each row. Where there is only one, the model without it has no rows and predicts 0.
    """
    weights = weights / weights.max()  # They may be so large that their sum is not finite.
    weights = weights / weights.mean()
    with _BLAS, threadpool_limits(1, user_api="blas"):  # The order of BLAS's sums depends on its threads.
        data = _Standardized(features, weights)
        folds = [np.flatnonzero(fold == one) for one in np.unique(fold)]
        solve_by = _solve_by_rows if len(features) <= features.shape[1] else _solve_by_features
        oof, coef, intercept, penalty = solve_by(data, targets, folds)
        coef = (coef * data.scale[:, None]).astype(np.float32)
        intercept = intercept - data.mean @ coef
    return Ridge(oof, _centers(targets, weights, fold), coef, intercept.astype(np.float32), penalty)


def _centers(targets: Floats, weights: Floats, fold: Rows) -> Floats:
    """The weighted means of targets, of all rows and without each fold; with an intercept predictions have the same."""
    used = np.concatenate([np.ones((1, len(fold))), fold != np.arange(fold.max() + 1)[:, None]]) * weights
    totals = used.sum(axis=1, keepdims=True)
    return np.divide(used @ targets, totals, out=np.zeros((len(used), targets.shape[1])), where=totals > 0)


class _Standardized:
    """The matrix Z of the module's first lines, made block by block."""

    def __init__(self, features: NDArray[np.float32], weights: Floats) -> None:
        self.features, self.root = features, np.sqrt(weights)
        blocks = _blocks(*features.shape)
        self.mean = sum((weights[rows] @ features[rows] for rows in blocks), np.zeros(features.shape[1]))
        self.mean /= weights.sum()
        squares = sum(
            (weights[rows] @ (features[rows] - self.mean) ** 2 for rows in blocks), np.zeros(features.shape[1])
        )
        varies = (features.min(axis=0) < features.max(axis=0)) & (squares > 0)
        self.scale = np.divide(np.sqrt(weights.sum()), np.sqrt(squares), out=np.zeros_like(squares), where=varies)

    @property
    def penalties(self) -> list[float]:
        """The penalties to try, the largest first."""
        n_varying = max(int(np.count_nonzero(self.scale)), 1)
        return [n_varying * penalty for penalty in PENALTIES.tolist()]

    def rows(self, rows: Rows) -> Floats:
        """Some rows of Z, and behind its columns that of the intercept."""
        values = np.empty((len(rows), len(self.mean) + 1))
        values[:, :-1] = (self.features[rows] - self.mean) * self.scale
        values[:, -1] = 1
        values *= self.root[rows, None]
        return values

    def columns(self, columns: slice) -> Floats:
        """Some columns of Z."""
        return (self.features[:, columns] - self.mean[columns]) * self.scale[columns] * self.root[:, None]


def _blocks(n: int, width: int) -> list[slice]:
    """Spans of n rows of that width, or of columns of that height."""
    at_once = max(_BLOCK // max(width, 1), 1)
    return [slice(start, start + at_once) for start in range(0, n, at_once)]


Solution = tuple[Floats, Floats, Floats, float]


def _solve_by_rows(data: _Standardized, targets: Floats, folds: list[Rows]) -> Solution:
    """Predictions out of fold, coefficients of Z, intercept and penalty, with the Gram matrix of the rows."""
    n_rows, n_features = data.features.shape
    blocks = _blocks(n_features, n_rows)
    gram = np.zeros((n_rows, n_rows))
    for block in blocks:
        values = data.columns(block)
        gram += values @ values.T
    root = data.root[:, None]
    unit = root / np.linalg.norm(root)
    y = root * targets
    intercept = (root.T @ y / (root.T @ root))[0]
    least = np.inf
    for penalty in data.penalties:
        inverse = _inverse(gram + penalty * np.eye(n_rows))
        to_residuals = penalty * inverse - unit * unit.T
        residuals = to_residuals @ y
        errors = y.copy()
        for rows in folds if len(folds) > 1 else []:
            errors[rows] = solve(to_residuals[np.ix_(rows, rows)], residuals[rows], assume_a="pos")
        if (error := (errors**2).sum()) < least:
            least, best, oof = error, penalty, targets - errors / root
            dual = inverse @ (y - root * intercept)
    coef = np.concatenate([data.columns(block).T @ dual for block in blocks])
    return oof, coef, intercept, best


def _inverse(matrix: Floats) -> Floats:
    """The inverse of a positive definite matrix, which is overwritten."""
    factor, _ = dpotrf(matrix, lower=1, overwrite_a=1)
    inverse, _ = dpotri(factor, lower=1, overwrite_c=1)
    lower = np.tril(inverse)
    return lower + np.tril(lower, -1).T


def _solve_by_features(data: _Standardized, targets: Floats, folds: list[Rows]) -> Solution:
    """The same with the Gram matrices of the features and the intercept."""
    width = data.features.shape[1] + 1
    grams = np.zeros((len(folds), width, width))
    products = np.zeros((len(folds), width, targets.shape[1]))
    squares = np.zeros(len(folds))
    for i, rows in enumerate(folds):
        for block in _blocks(len(rows), width):
            values, y = data.rows(rows[block]), targets[rows[block]] * data.root[rows[block], None]
            grams[i] += values.T @ values
            products[i] += values.T @ y
            squares[i] += (y**2).sum()
    gram, product = grams.sum(axis=0), products.sum(axis=0)
    least = np.inf
    for penalty in data.penalties:
        coefs, error = [], 0.0
        for theirs, their_product, square in zip(grams, products, squares, strict=True):
            several = len(folds) > 1
            coef = _coefficients(gram - theirs, product - their_product, penalty) if several else 0 * product
            error += square + (coef * (theirs @ coef - 2 * their_product)).sum()
            coefs.append(coef)
        if error < least:
            least, best, best_coefs = error, penalty, coefs
    oof = np.empty_like(targets)
    for rows, coef in zip(folds, best_coefs, strict=True):
        for block in _blocks(len(rows), width):
            oof[rows[block]] = data.rows(rows[block]) @ coef / data.root[rows[block], None]
    coef = _coefficients(gram, product, best)
    return oof, coef[:-1], coef[-1], best


def _coefficients(gram: Floats, product: Floats, penalty: float) -> Floats:
    """The coefficients of the features, and of the intercept, which is not penalised; `gram` is overwritten."""
    gram.flat[: -1 : len(gram) + 1] += penalty
    return cho_solve(cho_factor(gram, lower=True, overwrite_a=True), product)
