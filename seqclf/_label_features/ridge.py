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

# The penalties that may be tried, and the first one. They are multiplied by the number of features, which is
# the mean squared length of a row of Z: from a hundred thousandth of it, next to none, to a hundred times as much.
PENALTIES = 10.0 ** np.arange(-5, 3)
_FIRST = 4
# How many numbers are standardised at once, in float64: 32 MB.
_BLOCK = 2**22
# The number of BLAS's threads belongs to the process: two fits at once would put back each other's. While another one
# of its threads is inside a `threadpool_limits`, threadpoolctl changes nothing here, and the last bits may differ.
_blas = Lock()

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


def _renew_lock() -> None:
    """A forked process does not have the thread that may hold the lock."""
    global _blas
    _blas = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


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
    penalties : ndarray of shape (n_targets,), float64
        For a mean weight of 1.
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
    separately: bool = False,
) -> Ridge:
    """Fit a model of all rows, and one without each fold.

    The penalty is one of `PENALTIES`, by the smallest weighted squared error out of fold. It is looked for from the
    middle, as long as the error falls.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features), float32
    targets : ndarray of shape (n_rows, n_targets), float64
    weights : ndarray of shape (n_rows,), float64
        Above 0; only the proportions matter.
    fold : ndarray of shape (n_rows,), int64
        The fold of each row. Where there is only one, the model without it has no rows and predicts 0.
    separately : bool, default=False
        Whether each target has a penalty of its own; else all have one, by the sum of their errors.
    """
    weights = weights / weights.max()  # They may be so large that their sum is not finite.
    weights = weights / weights.mean()
    with _blas:
        blas = ThreadpoolController().select(user_api="blas").lib_controllers
        before = [library.num_threads for library in blas]
        try:
            with threadpool_limits(1, user_api="blas"):  # The order of BLAS's sums depends on its threads.
                return _fit(features, targets, weights, fold, separately)
        except BaseException:  # Ctrl-C may have come while the numbers were being set or put back.
            for library, n in zip(blas, before, strict=True):
                library.set_num_threads(n)
            raise


def _fit(
    features: NDArray[np.float32], targets: Floats, weights: Floats, fold: NDArray[np.int64], separately: bool
) -> Ridge:
    """The same for weights with a mean of 1, whatever BLAS's threads are."""
    data = _Standardized(features, weights)
    folds = [np.flatnonzero(fold == one) for one in np.unique(fold)]
    model = (_ByRows if len(features) <= features.shape[1] else _ByFeatures)(data, targets, folds)
    tried = np.asarray(data.n_varying * PENALTIES, dtype=np.float64)
    penalties = _penalties(model, tried, targets.shape[1], separately)
    oof, coef, intercept = _solutions(model, penalties)
    with np.errstate(over="ignore", invalid="ignore"):  # Whoever uses the model looks whether it is finite.
        coef = (coef * data.scale[:, None]).astype(np.float32)
        intercept = intercept - data.mean @ coef
    return Ridge(oof, _centers(targets, weights, fold), coef, intercept.astype(np.float32), penalties)


def _penalties(model: "_ByRows | _ByFeatures", tried: Floats, n_targets: int, separately: bool) -> Floats:
    """The penalty of each target."""
    errors = cache(model.errors_of)
    if not separately:
        return np.full(n_targets, _search(lambda penalty: float(errors(penalty).sum()), tried.tolist()))
    of_each = [_search(lambda penalty, i=i: float(errors(penalty)[i]), tried.tolist()) for i in range(n_targets)]  # type: ignore[misc]
    return np.array(of_each)


def _solutions(model: "_ByRows | _ByFeatures", penalties: Floats) -> tuple[Floats, Floats, Floats]:
    """For each target that with its penalty: predictions out of fold, coefficients, intercepts."""
    distinct, which = np.unique(penalties, return_inverse=True)
    oof, coef, intercept = model.solution(float(distinct[0]))
    for number in range(1, len(distinct)):
        ours = which == number
        for whole, part in zip((oof, coef, intercept), model.solution(float(distinct[number])), strict=True):
            whole[..., ours] = part[..., ours]
    return oof, coef, intercept


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
        self.n_varying = max(int(np.count_nonzero(varies)), 1)

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


def _search(error_of: Callable[[float], float], penalties: list[float]) -> float:
    """The penalty of the least error, which falls and then rises with the penalty; of equal ones the largest."""

    def rank(position: int) -> tuple[float, float]:
        return error_of(penalties[position]), -penalties[position]

    position, least = _FIRST, rank(_FIRST)
    for step in (1, -1):
        while 0 <= position + step < len(penalties) and (found := rank(position + step)) < least:
            position, least = position + step, found
        if position != _FIRST:
            break
    return penalties[position]


class _ByRows:
    """Models by the Gram matrix of the rows."""

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
    factor, _ = dpotrf(matrix.T, lower=1, overwrite_a=1)  # LAPACK wants columns; the matrix is symmetric.
    inverse, _ = dpotri(factor, lower=1, overwrite_c=1)
    lower = np.tril(inverse)
    return lower + np.tril(lower, -1).T


class _ByFeatures:
    """Models by the Gram matrices of the features and the intercept, one for each fold."""

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
    factor = cho_factor(gram.T, lower=True, overwrite_a=True)  # LAPACK wants columns; the matrix is symmetric.
    return cho_solve(factor, product)
