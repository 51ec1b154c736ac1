"""Folds for cross-fitting: a row's own fold is left out of everything that it is told of the targets."""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from seqclf._data.ragged import Ragged

N_FOLDS = 5


def cross_fitting_folds(
    steps: Ragged, strata: NDArray[np.int64], groups: NDArray[np.int64] | None, rng: np.random.RandomState
) -> NDArray[np.int64]:
    """A fold for each row, drawn at random: strata are spread evenly, equal rows and rows of a group are in one fold.

    A row that has its equal in another fold would be told the targets of its own. Equal rows are spread all the same
    where a stratum has fewer different rows than there are folds: new rows will be equal to them too, and a fold would
    be missed that holds all there is to know. So are the rows of a group where there is only one.

    Parameters
    ----------
    steps : Ragged
        The rows.
    strata : ndarray of shape (n_rows,)
        What each row belongs to, from 0.
    groups : ndarray of shape (n_rows,) or None
        The group of each row, from 0.
    rng : RandomState

    Returns
    -------
    ndarray of shape (n_rows,), int64
        From 0 to at most `N_FOLDS` - 1.
    """
    unit = _contents(steps, strata)
    if groups is not None and groups.any():
        unit = _united(unit, groups)
    first, unit = np.unique(unit, return_index=True, return_inverse=True)[1:]
    if len(first) == 1:
        first = unit = np.arange(len(strata))
    order = rng.permutation(len(first))
    order = order[np.argsort(strata[first[order]], kind="stable")]
    fold = np.empty(len(first), dtype=np.int64)
    fold[order] = np.arange(len(first)) % N_FOLDS
    return fold[unit]


def _contents(steps: Ragged, strata: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for equal rows; rows of a stratum that has few different ones have each their own."""
    bytes_per_step = steps.values.nbytes // max(steps.n_steps, 1)
    data, ends = np.ascontiguousarray(steps.values).reshape(-1).view(np.uint8), steps.offsets * bytes_per_step
    digests = [blake2b(data[ends[row] : ends[row + 1]].data, digest_size=16).digest() for row in range(len(steps))]
    content = np.unique(np.array(digests, dtype="V16"), return_inverse=True)[1] if digests else np.empty(0, np.int64)
    pairs = np.unique(np.stack([strata, content], axis=1), axis=0)
    alone = np.bincount(pairs[:, 0], minlength=strata.max(initial=-1) + 1)[strata] < N_FOLDS
    return np.where(alone, len(steps) + np.arange(len(steps)), content)


def _united(unit: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Units and groups that share a row are one."""
    unit = np.unique(unit, return_inverse=True)[1]
    n_units, n_nodes = int(unit.max()) + 1, int(unit.max()) + int(groups.max()) + 2
    shared = coo_array((np.ones(len(unit)), (unit, n_units + groups)), shape=(n_nodes, n_nodes))
    return connected_components(shared, directed=False)[1][unit].astype(np.int64)
