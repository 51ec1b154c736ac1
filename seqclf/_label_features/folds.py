"""Folds for cross-fitting: a row's own fold is left out of everything that it is told of the targets."""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged

# Each model sees four fifths of the rows. With that of all rows there are six models of an output: a vector of eight
# numbers holds them.
N_FOLDS = 5
# The share of the rows that must be different for repetitions to be exceptions.
_MIN_DIFFERENT = 0.5


def cross_fitting_folds(
    steps: Ragged, strata: NDArray[np.int64], groups: NDArray[np.int64] | None, rng: np.random.RandomState
) -> NDArray[np.int64]:
    """A fold for each row, drawn at random: strata are spread evenly, and what belongs together is in one fold.

    With groups these are the rows of a group. Without, they are equal rows: a row that has its equal in another fold
    would be told the targets of its own. Where repeating is the rule, because most rows are repetitions or a stratum
    has fewer different rows than there are folds, new rows will be repetitions too, and equal rows are spread.

    Parameters
    ----------
    steps : Ragged
        The rows.
    strata : ndarray of shape (n_rows,)
        What each row belongs to, from 0.
    groups : ndarray of shape (n_rows,) or None
        The group of each row, from 0. One group alone is no group.
    rng : RandomState

    Returns
    -------
    ndarray of shape (n_rows,), int64
        From 0 to at most `N_FOLDS` - 1.
    """
    unit = groups if groups is not None and groups.any() else _contents(steps, strata)
    first, unit = np.unique(unit, return_index=True, return_inverse=True)[1:]
    order = rng.permutation(len(first))
    order = order[np.argsort(strata[first[order]], kind="stable")]
    fold = np.empty(len(first), dtype=np.int64)
    fold[order] = np.arange(len(first)) % N_FOLDS
    return fold[unit]


def _contents(steps: Ragged, strata: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for rows that are equal and stay together."""
    bytes_per_step = steps.values.nbytes // max(steps.n_steps, 1)
    data, ends = np.ascontiguousarray(steps.values).reshape(-1).view(np.uint8), steps.offsets * bytes_per_step
    digests = [blake2b(data[ends[row] : ends[row + 1]].data, digest_size=16).digest() for row in range(len(steps))]
    different, content = np.unique(np.array(digests, dtype="V16"), return_inverse=True)
    pairs = np.unique(np.stack([strata, content], axis=1), axis=0)
    alone = np.bincount(pairs[:, 0], minlength=strata.max(initial=-1) + 1)[strata] < N_FOLDS
    alone |= len(different) < _MIN_DIFFERENT * len(content)
    return np.where(alone, len(steps) + np.arange(len(steps)), content)
