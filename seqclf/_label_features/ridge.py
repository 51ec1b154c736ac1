"""Ridge regression on dense features, with out-of-fold predictions for the training rows.

The features are standardised by their weighted mean and standard deviation over all rows, and the intercept is not
penalised. With Z the standardised features and y the targets, both times the square roots of the weights w, the
coefficients c and the intercept b minimise |y - sqrt(w) b - Z c|^2 + penalty |c|^2.

With fewer rows than features, the Gram matrix of the rows, Z Z', is used. The hat matrix H, which maps targets to
fitted values, is given by

    I - H = penalty (Z Z' + penalty I)^-1 - sqrt(w) sqrt(w)' / sum(w),

and the errors of the model without a fold F on that fold are e_F = ((I - H)_FF)^-1 (y - H y)_F. This is the formula of
leave-one-out (Allen 1974) for several rows at once. With more rows than features, the Gram matrix of the features is
used: that of a fold is subtracted from that of all rows. This takes memory and time for each fold, so there should be
few folds.

References
----------
D. M. Allen, "The relationship between variable selection and data augmentation and a method for prediction",
Technometrics 16 (1974).
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve
from scipy.linalg.lapack import dpotrf, dpotri
from threadpoolctl import ThreadpoolController, threadpool_limits

# The candidate penalties, and the index of the first one to try. Each penalty is multiplied by the number of features,
# which is the mean squared length of a row of Z.
PENALTIES = 10.0 ** np.arange(-5, 3)
_FIRST_TRIED = 4
# The number of values standardised at once, in float64: 32 MB.
_BLOCK_SIZE = 2**22
# The number of BLAS threads is a setting of the process: without a lock, two concurrent fits would restore each other's
# value. While another thread is inside a `threadpool_limits`, threadpoolctl changes nothing here, and the last bits can
# differ.
_blas_lock = Lock()

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


def _renew_lock() -> None:
    """Replace the lock in a forked process, which does not have the thread that could hold it."""
    global _blas_lock
    _blas_lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


@dataclass(frozen=True, eq=False)
class Ridge:
    """A ridge model, and its out-of-fold predictions.

    Parameters
    ----------
    held_out : ndarray of shape (n_rows, n_targets), float64
        The prediction for each training row by the model fitted without its fold.
    centers : ndarray of shape (1 + n_folds, n_targets), float64
        The mean prediction of each model over the rows that it was fitted to, starting with the model of all rows.
    coef : ndarray of shape (n_features, n_targets), float32
        The coefficients of the original, not the standardised, features; 0 for constant features.
    intercept : ndarray of shape (n_targets,), float32
    penalties : ndarray of shape (n_targets,), float64
        The penalty of each target, if the weights are scaled to a mean of 1.
    """

    held_out: Floats
    centers: Floats
    coef: NDArray[np.float32]
    intercept: NDArray[np.float32]
    penalties: Floats


def fit_ridge(
    features: NDArray[np.float32],
    targets: Floats,
    weights: Floats,
    fold: NDArray[np.int64],
    penalty_per_target: bool = False,
) -> Ridge:
    """Fit a model of all rows, and one without each fold.

    The penalty is the one of `PENALTIES` with the smallest weighted squared error out of fold. The search starts in the
    middle, and stops when the error no longer falls.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features), float32
    targets : ndarray of shape (n_rows, n_targets), float64
    weights : ndarray of shape (n_rows,), float64
        Positive; only the proportions matter.
    fold : ndarray of shape (n_rows,), int64
        The fold of each row. If there is only one, the model without it has no rows and predicts 0.
    penalty_per_target : bool, default=False
        Whether to choose the penalty separately for each target, instead of by the sum of the errors of all targets.
    """
    weights = weights / weights.max()  # The sum of huge weights may be infinite.
    weights = weights / weights.mean()
    with _blas_lock:
        blas = ThreadpoolController().select(user_api="blas").lib_controllers
        n_threads = [library.num_threads for library in blas]
        try:
            with threadpool_limits(1, user_api="blas"):  # The order of sums in BLAS depends on the number of threads.
                return _fit(features, targets, weights, fold, penalty_per_target)
        except BaseException:  # Ctrl-C can interrupt threadpool_limits while it sets or restores the numbers.
            for library, n in zip(blas, n_threads, strict=True):
                library.set_num_threads(n)
            raise


def _fit(
    features: NDArray[np.float32], targets: Floats, weights: Floats, fold: NDArray[np.int64], penalty_per_target: bool
) -> Ridge:
    """`fit_ridge` for weights with a mean of 1, with the current number of BLAS threads."""
    data = _Standardized(features, weights)
    folds = [np.flatnonzero(fold == held_out) for held_out in np.unique(fold)]
    model = (_ByRows if len(features) <= features.shape[1] else _ByFeatures)(data, targets, folds)
    candidates = np.asarray(data.n_varying * PENALTIES, dtype=np.float64)
    penalties = _choose_penalties(model, candidates, targets.shape[1], penalty_per_target)
    oof, coef, intercept = _solutions(model, penalties)
    with np.errstate(over="ignore", invalid="ignore"):  # Callers check that the model is finite.
        coef = (coef * data.scale[:, None]).astype(np.float32)
        intercept = intercept - data.mean @ coef
    return Ridge(oof, _centers(targets, weights, fold), coef, intercept.astype(np.float32), penalties)


def _choose_penalties(
    model: "_ByRows | _ByFeatures", candidates: Floats, n_targets: int, penalty_per_target: bool
) -> Floats:
    """The penalty of each target."""
    errors, penalties = cache(model.errors_of), candidates.tolist()
    if not penalty_per_target:
        return np.full(n_targets, _search(lambda penalty: float(errors(penalty).sum()), penalties))
    best = [_search(lambda penalty, i=i: float(errors(penalty)[i]), penalties) for i in range(n_targets)]  # type: ignore[misc]
    return np.array(best)


def _solutions(model: "_ByRows | _ByFeatures", penalties: Floats) -> tuple[Floats, Floats, Floats]:
    """Out-of-fold predictions, coefficients and intercepts, for each target with its penalty."""
    distinct, index = np.unique(penalties, return_inverse=True)
    oof, coef, intercept = model.solution(float(distinct[0]))
    for i in range(1, len(distinct)):
        columns = index == i
        for result, solution in zip((oof, coef, intercept), model.solution(float(distinct[i])), strict=True):
            result[..., columns] = solution[..., columns]
    return oof, coef, intercept


def _centers(targets: Floats, weights: Floats, fold: Rows) -> Floats:
    """The weighted means of targets, over all rows and without each fold: the mean predictions, given an intercept."""
    used = np.concatenate([np.ones((1, len(fold))), fold != np.arange(fold.max() + 1)[:, None]]) * weights
    totals = used.sum(axis=1, keepdims=True)
    return np.divide(used @ targets, totals, out=np.zeros((len(used), targets.shape[1])), where=totals > 0)


class _Standardized:
    """The matrix Z of the module docstring, computed block by block."""

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
        self.n_varying = max(int(np.count_nonzero(varies)), 1)

    def rows(self, rows: Rows) -> Floats:
        """Some rows of Z, followed by the column of the intercept."""
        values = np.empty((len(rows), len(self.mean) + 1))
        values[:, :-1] = (self.features[rows] - self.mean) * self.scale
        values[:, -1] = 1
        values *= self.root[rows, None]
        return values

    def columns(self, columns: slice) -> Floats:
        """Some columns of Z."""
        return (self.features[:, columns] - self.mean[columns]) * self.scale[columns] * self.root[:, None]


def _blocks(n: int, width: int) -> list[slice]:
    """Slices of `n` rows of width `width`, or of `n` columns of that height."""
    length = max(_BLOCK_SIZE // max(width, 1), 1)
    return [slice(start, start + length) for start in range(0, n, length)]


def _search(error_of: Callable[[float], float], penalties: list[float]) -> float:
    """The penalty of the smallest error, assuming one local minimum; the largest such penalty in case of ties."""

    def rank(index: int) -> tuple[float, float]:
        return error_of(penalties[index]), -penalties[index]

    best, best_rank = _FIRST_TRIED, rank(_FIRST_TRIED)
    for direction in (1, -1):
        while 0 <= best + direction < len(penalties) and (found := rank(best + direction)) < best_rank:
            best, best_rank = best + direction, found
        if best != _FIRST_TRIED:
            break
    return penalties[best]


class _ByRows:
    """Models from the Gram matrix of the rows."""

    def __init__(self, data: _Standardized, targets: Floats, folds: list[Rows]) -> None:
        self.data, self.targets, self.folds = data, targets, folds
        self.columns = _blocks(data.features.shape[1], len(targets))
        self.gram = np.zeros((len(targets), len(targets)))
        for block in self.columns:
            values = data.columns(block)
            self.gram += values @ values.T
        self.root = data.root[:, None]
        self.y = self.root * targets
        self.penalty, self.inverse, self.errors = np.nan, self.gram, self.y

    def errors_of(self, penalty: float) -> Floats:
        """The squared error of each target out of fold."""
        self.penalty, self.inverse = penalty, _inverse(self.gram + penalty * np.eye(len(self.gram)))
        to_residuals = penalty * self.inverse - self.root * self.root.T / (self.root**2).sum()
        residuals = to_residuals @ self.y
        self.errors = self.y.copy()
        for rows in self.folds if len(self.folds) > 1 else []:
            self.errors[rows] = solve(to_residuals[np.ix_(rows, rows)], residuals[rows], assume_a="pos")
        squares: Floats = (self.errors**2).sum(axis=0)
        return squares

    def solution(self, penalty: float) -> tuple[Floats, Floats, Floats]:
        """Predictions out of fold, coefficients for the columns of Z, and intercept."""
        if penalty != self.penalty:
            self.errors_of(penalty)
        intercept = (self.root * self.y).sum(axis=0) / (self.root**2).sum()
        dual = self.inverse @ (self.y - self.root * intercept)
        coef = np.concatenate([self.data.columns(block).T @ dual for block in self.columns])
        return self.targets - self.errors / self.root, coef, intercept


def _inverse(matrix: Floats) -> Floats:
    """The inverse of a positive definite matrix, which is overwritten."""
    factor, _ = dpotrf(matrix.T, lower=1, overwrite_a=1)  # LAPACK expects column-major order; the matrix is symmetric.
    inverse, _ = dpotri(factor, lower=1, overwrite_c=1)
    lower = np.tril(inverse)
    return lower + np.tril(lower, -1).T


class _ByFeatures:
    """Models from the Gram matrices of the features and the intercept, one for each fold."""

    def __init__(self, data: _Standardized, targets: Floats, folds: list[Rows]) -> None:
        self.data, self.folds = data, folds
        self.width = data.features.shape[1] + 1
        self.grams = np.zeros((len(folds), self.width, self.width))
        self.products = np.zeros((len(folds), self.width, targets.shape[1]))
        self.squares = np.zeros((len(folds), targets.shape[1]))
        for i, fold in enumerate(folds):
            for block in _blocks(len(fold), self.width):
                values, y = data.rows(fold[block]), targets[fold[block]] * data.root[fold[block], None]
                self.grams[i] += values.T @ values
                self.products[i] += values.T @ y
                self.squares[i] += (y**2).sum(axis=0)
        self.gram, self.product = self.grams.sum(axis=0), self.products.sum(axis=0)

    def errors_of(self, penalty: float) -> Floats:
        """The squared error of each target out of fold."""
        errors = np.zeros(self.product.shape[1])
        for i, coef in enumerate(self._without_folds(penalty)):
            errors += self.squares[i] + (coef * (self.grams[i] @ coef - 2 * self.products[i])).sum(axis=0)
        return errors

    def solution(self, penalty: float) -> tuple[Floats, Floats, Floats]:
        """Predictions out of fold, coefficients for the columns of Z, and intercept."""
        oof = np.empty((len(self.data.features), self.product.shape[1]))
        for fold, coef in zip(self.folds, self._without_folds(penalty), strict=True):
            for block in _blocks(len(fold), self.width):
                oof[fold[block]] = self.data.rows(fold[block]) @ coef / self.data.root[fold[block], None]
        coef = _solve(self.gram.copy(), self.product, penalty)
        return oof, coef[:-1], coef[-1]

    def _without_folds(self, penalty: float) -> Iterator[Floats]:
        """The coefficients of the model without each fold."""
        for gram, product in zip(self.grams, self.products, strict=True):
            if len(self.folds) == 1:
                yield 0 * product
            else:
                yield _solve(self.gram - gram, self.product - product, penalty)


def _solve(gram: Floats, product: Floats, penalty: float) -> Floats:
    """The coefficients of the features, and of the intercept, which is not penalised; `gram` is overwritten."""
    gram.flat[: -1 : len(gram) + 1] += penalty
    # LAPACK expects column-major order; the matrix is symmetric.
    factor = cho_factor(gram.T, lower=True, overwrite_a=True)
    return cho_solve(factor, product)
