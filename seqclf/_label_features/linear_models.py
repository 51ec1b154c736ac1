"""Cross-fitted linear models of sparse features: for each output one model of all rows, and one without each fold.

A model with weights w and an intercept b minimises

    (|w|^2 + b^2) / 2 + sum of C_i loss(y_i, x_i w + b) over the rows i,

where the loss is the squared hinge max(0, 1 - y f)^2 with y = -1 or 1, or the squared error (y - f)^2. The intercept is
the weight of a feature that is 1 in every row. The dual problem has a variable a_i for each row, with w the sum of
a_i x_i and b the sum of a_i:

    maximise    sum of a_i y_i - s_i a_i^2 / 2 over the rows  -  (|w|^2 + b^2) / 2,    s_i = 1 / (2 C_i),

and the squared hinge requires a_i y_i >= 0. Coordinate descent visits one row after the other and moves its variable to
the optimum for fixed other variables (Hsieh et al. 2008, algorithm 1):

    a_i <- a_i - g / q,    g = x_i w + b - y_i + s_i a_i,    q = |x_i|^2 + 1 + s_i,

or to 0 if the result has the wrong sign. A move by d adds -d (g + q d / 2) to the objective. This gives the objective
at no extra cost, and a model is finished after an epoch that gains only a small fraction of it.

All models traverse the rows together, and each one skips the rows of its fold. They do not influence each other.

References
----------
C.-J. Hsieh, K.-W. Chang, C.-J. Lin, S. S. Keerthi, S. Sundararajan, "A dual coordinate descent method for large-scale
linear SVM", ICML 2008.
"""

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._label_features.sparse_linear import sparse_linear
from seqclf._label_features.sparse_rows import SparseRows
from seqclf._native import abi, library
from seqclf._native.threads import chosen_threads

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# With these, the held-out accuracy on twelve text data sets differed from that of converged models by 0.0004 on
# average.
MAX_EPOCHS = 30
TOLERANCE = 1e-3
# The largest number of float32 values in an array for the outputs that are fitted together, and in the weights of all
# threads together: 100 MB.
_MAX_CELLS = 25_000_000
# The number of models that one thread fits together, one in each lane of a vector.
_LANES = 16


class LinearModels(NamedTuple):
    """Linear models of `n_outputs` outputs.

    Parameters
    ----------
    held_out : ndarray of shape (n_rows, n_outputs), float32
        Out-of-fold decision values of the training rows.
    centers : ndarray of shape (1 + n_folds, n_outputs), float32
        The mean decision value of each model over the rows that it was fitted to, starting with the models of all rows.
    coef : ndarray of shape (n_features, n_outputs), float32
        The weights of the models of all rows.
    intercept : ndarray of shape (n_outputs,), float32
    """

    held_out: NDArray[np.float32]
    centers: NDArray[np.float32]
    coef: NDArray[np.float32]
    intercept: NDArray[np.float32]


def fit_linear_models(
    features: SparseRows,
    targets: "csr_array | NDArray[np.floating]",
    weights: NDArray[np.floating],
    fold: NDArray[np.int64],
    C: float,
    loss: Literal["squared_hinge", "squared_error"],
    max_epochs: int = MAX_EPOCHS,
    tolerance: float = TOLERANCE,
) -> LinearModels:
    """Fit the models of all outputs.

    Parameters
    ----------
    features : SparseRows of shape (n_rows, n_features)
    targets : csr_array or ndarray of shape (n_rows, n_outputs)
        Any values for the squared error. For the squared hinge 1 if a row belongs to the output, and 0 otherwise.
    weights : ndarray of shape (n_rows,)
        Positive; the C of a row is C times its weight.
    fold : ndarray of shape (n_rows,)
        The fold of each row, from 0.
    C : float
        Inverse regularisation strength.
    loss : {"squared_hinge", "squared_error"}
    max_epochs : int
        The largest number of passes over the rows.
    tolerance : float
        A model is finished after an epoch that gains no more than this fraction of its dual objective.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> features = SparseRows.from_dense([[1, 0], [0, 1]] * 10)
    >>> memberships = csr_array(np.array([[1], [0]] * 10))
    >>> models = fit_linear_models(features, memberships, np.ones(20), np.arange(20) // 2 % 5, 1.0, "squared_hinge")
    >>> models.held_out[:2] > 0
    array([[ True],
           [False]])
    >>> sparse_linear(features[[0, 1]], models.coef, models.intercept) > 0
    array([[ True],
           [False]])
    """
    (n_rows, n_features), n_outputs = features.shape, targets.shape[1]
    rng = np.random.RandomState(0)
    order = np.stack([rng.permutation(n_rows).astype(np.int32) for _ in range(max_epochs)])
    slack = (1 / (2 * C * np.asarray(weights, dtype=np.float64))).astype(np.float32)
    fit = _fit_compiled if library.is_wanted() else _fit_plain
    models = _empty(n_rows, int(fold.max(initial=0)) + 1, n_features, n_outputs)
    # A multiple of the lanes, so that the models fill whole vectors.
    n_together = max(_MAX_CELLS // max(n_rows, n_features, 1) // _LANES, 1) * _LANES
    for start in range(0, n_outputs, n_together):
        outputs = slice(start, start + n_together)
        problem = _Problem(features, _dense(targets[:, outputs], loss), slack, fold, loss, order, tolerance)
        for array, fitted in zip(models, fit(problem), strict=True):
            array[..., outputs] = fitted
    return models


def _empty(n_rows: int, n_folds: int, n_features: int, n_outputs: int) -> LinearModels:
    shapes = (n_rows, n_outputs), (1 + n_folds, n_outputs), (n_features, n_outputs), (n_outputs,)
    return LinearModels(*(np.empty(shape, dtype=np.float32) for shape in shapes))


@dataclass(frozen=True, eq=False)
class _Problem:
    """The data of outputs that are fitted together."""

    features: SparseRows
    targets: NDArray[np.float32]  # -1 or 1 for the squared hinge
    slack: NDArray[np.float32]  # s of each row
    fold: NDArray[np.int64]
    loss: str
    order: NDArray[np.int32]  # (max_epochs, n_rows): the order of the rows in each epoch
    tolerance: float

    @property
    def n_folds(self) -> int:
        return int(self.fold.max(initial=0)) + 1


def _dense(targets: "csr_array | NDArray[np.floating]", loss: str) -> NDArray[np.float32]:
    dense = np.asarray(targets if isinstance(targets, np.ndarray) else targets.toarray(), dtype=np.float32)
    return 2 * dense - 1 if loss == "squared_hinge" else dense


def _fit_plain(problem: _Problem) -> LinearModels:
    """Reference implementation of :func:`_fit_compiled`: one row after the other, for all models together."""
    features, n_versions, n_outputs = problem.features, problem.n_folds + 1, problem.targets.shape[1]
    # The models of an output are adjacent: first the model of all rows, then the models without each fold.
    output, version = (each.ravel() for each in np.indices((n_outputs, n_versions)))
    squares = np.bincount(features.row_of_entry(), features.values**2, minlength=len(features))
    norms = squares.astype(np.float32) + 1
    coef = np.zeros((features.shape[1], len(output)), dtype=np.float32)
    intercept, gained = np.zeros(len(output), dtype=np.float32), np.zeros(len(output))
    dual = np.zeros((len(norms), len(output)), dtype=np.float32)
    running = np.ones(len(output), dtype=bool)
    for epoch in problem.order:
        if not running.any():
            break
        gain = np.zeros(len(output))
        for row in epoch:
            entries = slice(features.offsets[row], features.offsets[row + 1])
            columns, values = features.columns[entries], features.values[entries]
            target, slack = problem.targets[row, output], problem.slack[row]
            gradient = values @ coef[columns] + intercept - target + slack * dual[row]
            curvature = norms[row] + slack
            new_dual = dual[row] - gradient / curvature
            if problem.loss == "squared_hinge":
                new_dual = np.where(new_dual * target > 0, new_dual, 0)
            change = np.where(running & (version != problem.fold[row] + 1), new_dual - dual[row], 0)
            gain -= change * (gradient + curvature * change / 2)
            dual[row] += change
            intercept += change
            coef[columns] += values[:, None] * change
        gained += gain
        running &= gain > problem.tolerance * gained
    held_out = np.empty_like(problem.targets)
    for fold in range(problem.n_folds):
        rows, models = problem.fold == fold, version == fold + 1
        held_out[rows] = sparse_linear(features[np.flatnonzero(rows)], coef[:, models], intercept[models])
    of_all = version == 0
    decisions = sparse_linear(features, coef, intercept).reshape(-1, n_outputs, n_versions)
    was_fitted = np.arange(n_versions) != problem.fold[:, None] + 1
    centers = np.einsum("rov,rv->vo", decisions, was_fitted) / np.maximum(was_fitted.sum(axis=0), 1)[:, None]
    return LinearModels(held_out, centers.astype(np.float32), coef[:, of_all], intercept[of_all])


def _fit_compiled(problem: _Problem) -> LinearModels:
    """Fit the models with the compiled library."""
    (n_rows, n_features), n_outputs = problem.features.shape, problem.targets.shape[1]
    models = _empty(n_rows, problem.n_folds, n_features, n_outputs)
    arrays = {
        "offsets": problem.features.offsets,
        "features": np.ascontiguousarray(problem.features.columns),
        "values": np.ascontiguousarray(problem.features.values),
        "targets": np.ascontiguousarray(problem.targets),
        "slack": problem.slack,
        "fold": np.ascontiguousarray(problem.fold, dtype=np.int64),
        "order": problem.order,
        **models._asdict(),
    }
    # Each thread has its own array of the weights of its models.
    max_threads = max(_MAX_CELLS // (_LANES * max(n_features, 1)), 1)
    call = abi.LinearModels(
        n_rows=n_rows,
        n_features=n_features,
        n_outputs=n_outputs,
        n_folds=problem.n_folds,
        hinge=problem.loss == "squared_hinge",
        max_epochs=len(problem.order),
        tolerance=problem.tolerance,
        n_threads=min(chosen_threads() or 1, max_threads),
        **{name: abi.address(values) for name, values in arrays.items()},
    )
    loaded, text = library.load()
    if loaded is None:
        raise RuntimeError(f"There are no compiled linear models: {text}.")
    loaded.seqclf_fit_linear_models(ctypes.byref(call))
    return models
