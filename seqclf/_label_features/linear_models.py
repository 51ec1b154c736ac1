"""Linear models of sparse features, cross-fitted: for each output one of all rows, and one without each fold.

A model with weights w and an intercept b minimises

    (|w|^2 + b^2) / 2 + sum of C_i loss(y_i, x_i w + b) over the rows i,

where the loss is the squared hinge max(0, 1 - y f)^2 with y = -1 or 1, or the squared error (y - f)^2. The intercept is
the weight of a feature that is 1 in every row. The dual problem has a variable a_i for each row, where w is the sum of
the a_i x_i and b that of the a_i:

    maximise    sum of a_i y_i - s_i a_i^2 / 2 over the rows  -  (|w|^2 + b^2) / 2,    s_i = 1 / (2 C_i),

and the squared hinge demands a_i y_i >= 0. Coordinate descent takes one row after the other and moves its variable to
its best value while the others are fixed (Hsieh et al. 2008, algorithm 1):

    a_i <- a_i - g / q,    g = x_i w + b - y_i + s_i a_i,    q = |x_i|^2 + 1 + s_i,

or to 0 where the result has the wrong sign. A move by d adds -d (g + q d / 2) to the objective. So the objective is
known at no cost, and a model is finished after an epoch that gains only a small share of it.

All models go through the rows together, and each one skips the rows of its fold. They do not influence each other.

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

# On twelve sets of texts the held-out accuracy then differed from that of converged models by 0.0004 on average.
MAX_EPOCHS = 30
TOLERANCE = 1e-3
# The largest number of cells of an array for the outputs that are fitted together, and of the tables of weights of all
# threads together: 100 MB.
_MAX_CELLS = 25_000_000
# The models that one thread fits together, one in each lane of a vector.
_LANES = 16


class CrossFitted(NamedTuple):
    """Linear models of `n_outputs` outputs.

    Parameters
    ----------
    held_out : ndarray of shape (n_rows, n_outputs), float32
        The decision values of the training rows, each by the model that has not seen the fold of the row.
    centers : ndarray of shape (1 + n_folds, n_outputs), float32
        The mean decision value of each model over the rows that it was fitted on: of the models of all rows first.
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
) -> CrossFitted:
    """Fit the models of all outputs.

    Parameters
    ----------
    features : SparseRows of shape (n_rows, n_features)
    targets : csr_array or ndarray of shape (n_rows, n_outputs)
        Numbers for the squared error. For the squared hinge 1 where a row belongs to the output, and 0 elsewhere.
    weights : ndarray of shape (n_rows,)
        The C of a row is C times its weight, which is above 0.
    fold : ndarray of shape (n_rows,)
        The fold of each row, from 0.
    C : float
        A large C fits closely.
    loss : {"squared_hinge", "squared_error"}
    max_epochs : int
        The largest number of times that each row is used.
    tolerance : float
        A model is finished after an epoch that gains no more than this share of its dual objective.

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
    found = _empty(n_rows, int(fold.max(initial=0)) + 1, n_features, n_outputs)
    # A multiple of the lanes, so that the models fill whole vectors.
    step = max(_MAX_CELLS // max(n_rows, n_features, 1) // _LANES, 1) * _LANES
    for start in range(0, n_outputs, step):
        some = slice(start, start + step)
        part = _Problem(features, _dense(targets[:, some], loss), slack, fold, loss, order, tolerance)
        for whole, ours in zip(found, fit(part), strict=True):
            whole[..., some] = ours
    return found


def _empty(n_rows: int, n_folds: int, n_features: int, n_outputs: int) -> CrossFitted:
    shapes = (n_rows, n_outputs), (1 + n_folds, n_outputs), (n_features, n_outputs), (n_outputs,)
    return CrossFitted(*(np.empty(shape, dtype=np.float32) for shape in shapes))


@dataclass(frozen=True, eq=False)
class _Problem:
    """Outputs that are fitted together."""

    features: SparseRows
    targets: NDArray[np.float32]  # for the squared hinge -1 or 1
    slack: NDArray[np.float32]  # s of each row
    fold: NDArray[np.int64]
    loss: str
    order: NDArray[np.int32]  # (max_epochs, n_rows): the order of the rows in each epoch
    tolerance: float

    @property
    def n_folds(self) -> int:
        return int(self.fold.max(initial=0)) + 1


def _dense(targets: "csr_array | NDArray[np.floating]", loss: str) -> NDArray[np.float32]:
    numbers = np.asarray(targets if isinstance(targets, np.ndarray) else targets.toarray(), dtype=np.float32)
    return 2 * numbers - 1 if loss == "squared_hinge" else numbers


def _fit_plain(problem: _Problem) -> CrossFitted:
    """The definition of :func:`_fit_compiled`: one row after the other, for all models together."""
    features, n_versions, n_outputs = problem.features, problem.n_folds + 1, problem.targets.shape[1]
    # The models of an output are neighbours: that of all rows, then those without each fold.
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
            moved = dual[row] - gradient / curvature
            if problem.loss == "squared_hinge":
                moved = np.where(moved * target > 0, moved, 0)
            change = np.where(running & (version != problem.fold[row] + 1), moved - dual[row], 0)
            gain -= change * (gradient + curvature * change / 2)
            dual[row] += change
            intercept += change
            coef[columns] += values[:, None] * change
        gained += gain
        running &= gain > problem.tolerance * gained
    held_out = np.empty_like(problem.targets)
    for one in range(problem.n_folds):
        rows, models = problem.fold == one, version == one + 1
        held_out[rows] = sparse_linear(features[np.flatnonzero(rows)], coef[:, models], intercept[models])
    of_all = version == 0
    decisions = sparse_linear(features, coef, intercept).reshape(-1, n_outputs, n_versions)
    fitted = np.arange(n_versions) != problem.fold[:, None] + 1
    centers = np.einsum("rov,rv->vo", decisions, fitted) / np.maximum(fitted.sum(axis=0), 1)[:, None]
    return CrossFitted(held_out, centers.astype(np.float32), coef[:, of_all], intercept[of_all])


def _fit_compiled(problem: _Problem) -> CrossFitted:
    """The same by the compiled library."""
    (n_rows, n_features), n_outputs = problem.features.shape, problem.targets.shape[1]
    found = _empty(n_rows, problem.n_folds, n_features, n_outputs)
    arrays = {
        "offsets": problem.features.offsets,
        "features": np.ascontiguousarray(problem.features.columns),
        "values": np.ascontiguousarray(problem.features.values),
        "targets": np.ascontiguousarray(problem.targets),
        "slack": problem.slack,
        "fold": np.ascontiguousarray(problem.fold, dtype=np.int64),
        "order": problem.order,
        **found._asdict(),
    }
    # Each thread has a table of the weights of its models.
    most_threads = max(_MAX_CELLS // (_LANES * max(n_features, 1)), 1)
    call = abi.LinearModels(
        n_rows=n_rows,
        n_features=n_features,
        n_outputs=n_outputs,
        n_folds=problem.n_folds,
        hinge=problem.loss == "squared_hinge",
        max_epochs=len(problem.order),
        tolerance=problem.tolerance,
        n_threads=min(chosen_threads() or 1, most_threads),
        **{name: abi.address(values) for name, values in arrays.items()},
    )
    loaded, text = library.load()
    if loaded is None:
        raise RuntimeError(f"There are no compiled linear models: {text}.")
    loaded.seqclf_fit_linear_models(ctypes.byref(call))
    return found
