"""Folds for cross-fitting: a row's own fold is left out of everything that it is told of the targets."""

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._saved import Saved, State

# Each model sees four fifths of the rows. With that of all rows there are six models of an output: a vector of eight
# numbers holds them.
N_FOLDS = 5
# The share of the rows that must be different for repetitions to be exceptions.
_MIN_DIFFERENT = 0.5
# The share of the rows that must overlap with the next one for rows to be windows, and how many are looked at.
_MIN_OVERLAPPING = 0.5
_N_LOOKED_AT = 200
# Differences of numbers in float32 that are equal but for rounding, as a share of the largest number.
_ROUNDING = 1e-6


def cross_fitting_folds(
    steps: Ragged, strata: NDArray[np.int64], groups: NDArray[np.int64] | None, rng: np.random.RandomState
) -> NDArray[np.int64]:
    """A fold for each row, drawn at random: strata are spread evenly, and what belongs together is in one fold.

    With groups these are the rows of a group. Without, they are equal rows: a row that has its equal in another fold
    would be told the targets of its own. Where repeating is the rule, because most rows are repetitions or a stratum
    has fewer different rows than there are folds, new rows will be repetitions too, and equal rows are spread.

    Overlapping windows of one series are almost equal to their neighbours, and new windows will not be. So folds of
    windows are blocks of consecutive rows (Bergmeir & Benitez 2012), in each stratum apart.

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

    References
    ----------
    C. Bergmeir, J. M. Benitez, "On the use of cross-validation for time series predictor evaluation", Information
    Sciences 191 (2012).
    """
    if (groups is None or not groups.any()) and _are_windows(steps):
        return _blocks(strata)
    unit = groups if groups is not None and groups.any() else _contents(steps, strata)
    first, unit = np.unique(unit, return_index=True, return_inverse=True)[1:]
    order = rng.permutation(len(first))
    order = order[np.argsort(strata[first[order]], kind="stable")]
    fold = np.empty(len(first), dtype=np.int64)
    fold[order] = np.arange(len(first)) % N_FOLDS
    return fold[unit]


class StreamFolds:
    """Folds of the rows of a stream, which go by what a row holds: one that comes again, to the bit, is in its fold.

    Parameters
    ----------
    first : Ragged
        The rows of the first chunk. Where these are overlapping windows of one series, their folds are blocks, as in
        :func:`cross_fitting_folds`, and known by their rows.

    Attributes
    ----------
    of_first : ndarray of shape (n_rows,), int64
        The folds of the first chunk, from 0 without a gap.
    """

    def __init__(self, first: Ragged):
        self._known: tuple[NDArray[Any], NDArray[np.int64]] | None = None
        if _are_windows(first):
            self.of_first = _blocks(np.zeros(len(first), dtype=np.int64))
            digests, where = np.unique(np.array(_digests(first), dtype="V16"), return_index=True)
            self._known = digests, self.of_first[where]
        else:
            self._present, self.of_first = np.unique(_content_folds(first), return_inverse=True)

    def of(self, steps: Ragged) -> NDArray[np.int64]:
        """The folds of other rows, -1 for those that no row of the first chunk was in."""
        if self._known is None:
            keys, folds, values = self._present, np.arange(len(self._present)), _content_folds(steps)
        else:
            (keys, folds), values = self._known, np.array(_digests(steps), dtype="V16")
        places = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
        return np.where(keys[places] == values, folds[places], -1)

    def to_state(self) -> State:
        """What later chunks need."""
        if self._known is None:
            return {"present": self._present, "digests": None, "folds": None}
        digests, folds = self._known
        return {"present": None, "digests": digests.view(np.uint8).reshape(-1, 16), "folds": folds}

    @classmethod
    def from_state(cls, saved: Saved) -> "StreamFolds":
        """The same folds for later chunks."""
        folds = cls.__new__(cls)
        folds._known = None
        if saved.value("digests") is None:
            folds._present = saved.array("present", np.int64, (None,), low=0, high=N_FOLDS - 1)
            saved.require(
                len(folds._present) > 0 and bool((np.diff(folds._present) > 0).all()), "present does not rise"
            )
        else:
            digests = saved.array("digests", np.uint8, (None, 16)).view("V16")[:, 0]
            rises = len(digests) > 0 and np.array_equal(np.unique(digests), digests)
            saved.require(rises, "digests do not rise")
            folds._known = digests, saved.array("folds", np.int64, (len(digests),), low=0, high=N_FOLDS - 1)
        return folds


def _content_folds(steps: Ragged) -> NDArray[np.int64]:
    return np.array([int.from_bytes(digest[:8], "little") % N_FOLDS for digest in _digests(steps)], dtype=np.int64)


def _are_windows(steps: Ragged) -> bool:
    """Whether most rows of numbers share half of their steps, or more, with the next row, but for what is added to all.

    So steps are compared by how they differ from the step before.
    """
    n_rows, length = len(steps), int(steps.lengths.max(initial=0))
    if steps.values.dtype.kind != "f" or n_rows < 2 * N_FOLDS or length < 4 or (steps.lengths != length).any():
        return False
    rows = steps.values.reshape(n_rows, length, -1)
    some = np.unique(np.linspace(0, n_rows - 2, _N_LOOKED_AT).astype(np.int64))
    one, following = (np.diff(rows[which].astype(np.float64), axis=1) for which in (some, some + 1))
    near = _ROUNDING * np.abs(rows[some]).max(initial=0.0)
    varies = (np.abs(one) > near).any(axis=(1, 2))  # A constant row overlaps with any other.
    for shift in range(1, length // 2 + 1):
        starts_there = varies & (np.abs(one[:, shift] - following[:, 0]) <= near).all(axis=1)
        if starts_there.mean() >= _MIN_OVERLAPPING:
            apart = np.abs(one[:, shift:] - following[:, : length - 1 - shift])
            if (starts_there & (apart <= near).all(axis=(1, 2))).mean() >= _MIN_OVERLAPPING:
                return True
    return False


def _blocks(strata: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each stratum consecutive rows as folds."""
    order = np.argsort(strata, kind="stable")
    sizes = np.bincount(strata)
    rank = np.empty(len(strata), dtype=np.int64)
    rank[order] = np.arange(len(strata)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return rank * N_FOLDS // sizes[strata]


def _contents(steps: Ragged, strata: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for rows that are equal and stay together."""
    different, content = np.unique(np.array(_digests(steps), dtype="V16"), return_inverse=True)
    pairs = np.unique(np.stack([strata, content], axis=1), axis=0)
    alone = np.bincount(pairs[:, 0], minlength=strata.max(initial=-1) + 1)[strata] < N_FOLDS
    alone |= len(different) < _MIN_DIFFERENT * len(content)
    return np.where(alone, len(steps) + np.arange(len(steps)), content)


def _digests(steps: Ragged) -> list[bytes]:
    """16 bytes for the content of each row."""
    bytes_per_step = steps.values.nbytes // max(steps.n_steps, 1)
    data, ends = np.ascontiguousarray(steps.values).reshape(-1).view(np.uint8), steps.offsets * bytes_per_step
    return [blake2b(data[ends[row] : ends[row + 1]].data, digest_size=16).digest() for row in range(len(steps))]
