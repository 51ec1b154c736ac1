"""Folds for cross-fitting: the features that a row gets from targets are fitted without the fold of the row."""

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._saved import Saved, State

# Each model is fitted to four fifths of the rows. Together with the model of all rows there are six models per output,
# which fit into a vector of eight floats.
N_FOLDS = 5
# Duplicates are exceptions if at least this fraction of the rows is distinct.
_MIN_DISTINCT = 0.5
# Rows are windows of one series if at least this fraction of them overlaps with the next row; a sample is examined.
_MIN_OVERLAPPING = 0.5
_N_SAMPLED = 200
# The number of steps of the first block that is compared.
_FIRST_COMPARED = 64
# The tolerance for values that are equal up to float32 rounding, as a fraction of the largest value.
_ROUNDING = 1e-6


def cross_fitting_folds(
    steps: Ragged, strata: NDArray[np.int64], groups: NDArray[np.int64] | None, rng: np.random.RandomState
) -> NDArray[np.int64]:
    """Assign a fold to each row at random: stratified, with rows that belong together in the same fold.

    With `groups`, the rows of a group belong together. Otherwise, equal rows do: a duplicate in another fold would leak
    the target of a row. If duplicates are common, because most rows are duplicates or a stratum has fewer distinct rows
    than there are folds, new rows will be duplicates too, and equal rows are distributed over the folds.

    Overlapping windows of one series are almost equal to their neighbours, but new windows will not be. The folds of
    windows are therefore blocks of consecutive rows (Bergmeir & Benitez 2012) within each stratum.

    Parameters
    ----------
    steps : Ragged
        The rows.
    strata : ndarray of shape (n_rows,)
        The stratum of each row, from 0.
    groups : ndarray of shape (n_rows,) or None
        The group of each row, from 0. A single group is the same as None.
    rng : RandomState

    Returns
    -------
    ndarray of shape (n_rows,), int64
        Folds from 0 to at most ``N_FOLDS - 1``.

    References
    ----------
    C. Bergmeir, J. M. Benitez, "On the use of cross-validation for time series predictor evaluation", Information
    Sciences 191 (2012).
    """
    if (groups is None or not groups.any()) and _are_overlapping_windows(steps):
        return _consecutive_folds(strata)
    unit = groups if groups is not None and groups.any() else _content_groups(steps, strata)
    first, unit = np.unique(unit, return_index=True, return_inverse=True)[1:]
    order = rng.permutation(len(first))
    order = order[np.argsort(strata[first[order]], kind="stable")]
    fold = np.empty(len(first), dtype=np.int64)
    fold[order] = np.arange(len(first)) % N_FOLDS
    return fold[unit]


class StreamFolds:
    """Folds of the rows of a stream, determined by content: identical rows are in the same fold in every chunk.

    Parameters
    ----------
    first : Ragged
        The rows of the first chunk. If they are overlapping windows of one series, their folds are blocks, as in
        :func:`cross_fitting_folds`, and the fold of each row is stored with its digest.

    Attributes
    ----------
    first_chunk_folds : ndarray of shape (n_rows,), int64
        The folds of the first chunk, from 0 without gaps.
    """

    def __init__(self, first: Ragged):
        # Digests in ascending order, and the fold of each.
        self._window_folds: tuple[NDArray[Any], NDArray[np.int64]] | None = None
        if _are_overlapping_windows(first):
            self.first_chunk_folds = _consecutive_folds(np.zeros(len(first), dtype=np.int64))
            digests, index = np.unique(np.array(_digests(first), dtype="V16"), return_index=True)
            self._window_folds = digests, self.first_chunk_folds[index]
        else:
            self._present, self.first_chunk_folds = np.unique(_content_folds(first), return_inverse=True)

    def of(self, steps: Ragged) -> NDArray[np.int64]:
        """The folds of other rows; -1 for folds that had no rows in the first chunk."""
        if self._window_folds is None:
            keys, folds, values = self._present, np.arange(len(self._present)), _content_folds(steps)
        else:
            (keys, folds), values = self._window_folds, np.array(_digests(steps), dtype="V16")
        positions = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
        return np.where(keys[positions] == values, folds[positions], -1)

    def to_state(self) -> State:
        """The state to save, which later chunks need."""
        if self._window_folds is None:
            return {"present": self._present, "digests": None, "folds": None}
        digests, folds = self._window_folds
        return {"present": None, "digests": digests.view(np.uint8).reshape(-1, 16), "folds": folds}

    @classmethod
    def from_state(cls, saved: Saved) -> "StreamFolds":
        """Restore the folds for later chunks."""
        folds = cls.__new__(cls)
        folds._window_folds = None
        if saved.value("digests") is None:
            folds._present = saved.array("present", np.int64, (None,), low=0, high=N_FOLDS - 1)
            saved.require(
                len(folds._present) > 0 and bool((np.diff(folds._present) > 0).all()),
                "present is not in ascending order",
            )
        else:
            digests = saved.array("digests", np.uint8, (None, 16)).view("V16")[:, 0]
            ascending = len(digests) > 0 and np.array_equal(np.unique(digests), digests)
            saved.require(ascending, "digests are not in ascending order")
            folds._window_folds = digests, saved.array("folds", np.int64, (len(digests),), low=0, high=N_FOLDS - 1)
        return folds


def _content_folds(steps: Ragged) -> NDArray[np.int64]:
    return np.array([int.from_bytes(digest[:8], "little") % N_FOLDS for digest in _digests(steps)], dtype=np.int64)


def _are_overlapping_windows(steps: Ragged) -> bool:
    """Whether most numeric rows share at least half of their steps with the next row, up to a constant.

    Differences between successive steps are compared, so that a constant offset does not matter.
    """
    n_rows, length = len(steps), int(steps.lengths.max(initial=0))
    if steps.values.dtype.kind != "f" or n_rows < 2 * N_FOLDS or length < 4 or (steps.lengths != length).any():
        return False
    rows = steps.values.reshape(n_rows, length, -1)
    sampled = np.unique(np.linspace(0, n_rows - 2, _N_SAMPLED).astype(np.int64))
    tolerance = _ROUNDING * max(np.abs(rows[row]).max(initial=0.0) for row in sampled)
    needed, n_shifts = _MIN_OVERLAPPING * len(sampled), length // 2
    n_possible = np.zeros(n_shifts, dtype=np.int64)
    varying = []
    for row in sampled:
        current, following = _differences(rows[row]), _differences(rows[row + 1])
        if (np.abs(current) > tolerance).any():  # A constant row would overlap with any constant row.
            varying.append(row)
            n_possible += _possible_shifts(current, following, n_shifts, tolerance)
    shifts = 1 + np.flatnonzero(n_possible >= needed)
    return any(_n_overlapping(rows, np.array(varying), shift, needed, tolerance) >= needed for shift in shifts.tolist())


def _differences(steps: NDArray[Any]) -> NDArray[np.float64]:
    """The differences between successive steps, (..., n_steps - 1, n_channels)."""
    return np.diff(steps.astype(np.float64), axis=-2)


def _possible_shifts(
    current: NDArray[np.float64], following: NDArray[np.float64], n_shifts: int, tolerance: float
) -> NDArray[np.bool_]:
    """Whether the next row can overlap after each shift from 1 on, by three of its differences.

    These are its first difference, the largest one that every overlap contains, and the counterpart of the largest such
    one of the current row. They rule out almost all shifts, so that the time is proportional to the length of a row.
    """
    largest = int(np.abs(following[: len(current) - n_shifts]).max(axis=1).argmax())
    possible = np.ones(n_shifts, dtype=bool)
    for position in (0, largest):
        shifted = current[position + 1 : position + 1 + n_shifts]
        possible &= (np.abs(shifted - following[position]) <= tolerance).all(axis=1)
    position = n_shifts + int(np.abs(current[n_shifts:]).max(axis=1).argmax())
    shifted = following[position - n_shifts : position][::-1]
    return possible & (np.abs(current[position] - shifted) <= tolerance).all(axis=1)


def _n_overlapping(rows: NDArray[Any], sampled: NDArray[np.int64], shift: int, needed: float, tolerance: float) -> int:
    """The number of sampled rows that overlap with the next one after this shift; below `needed`, an upper bound.

    Steps are compared in blocks of growing size, and only in the rows that have not differed yet.
    """
    start, size, n_steps = 0, _FIRST_COMPARED, rows.shape[1] - shift
    while start < n_steps - 1 and len(sampled) >= needed:
        stop = min(start + size, n_steps - 1)
        current = _differences(rows[sampled, shift + start : shift + stop + 1])
        following = _differences(rows[sampled + 1, start : stop + 1])
        sampled = sampled[(np.abs(current - following) <= tolerance).all(axis=(1, 2))]
        start, size = stop, 2 * size
    return len(sampled)


def _consecutive_folds(strata: NDArray[np.int64]) -> NDArray[np.int64]:
    """Split the rows of each stratum into folds of consecutive rows."""
    order = np.argsort(strata, kind="stable")
    sizes = np.bincount(strata)
    rank = np.empty(len(strata), dtype=np.int64)
    rank[order] = np.arange(len(strata)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return rank * N_FOLDS // sizes[strata]


def _content_groups(steps: Ragged, strata: NDArray[np.int64]) -> NDArray[np.int64]:
    """A group for each row: equal rows have the same one, unless duplicates are common."""
    distinct, content = np.unique(np.array(_digests(steps), dtype="V16"), return_inverse=True)
    pairs = np.unique(np.stack([strata, content], axis=1), axis=0)
    is_separate = np.bincount(pairs[:, 0], minlength=strata.max(initial=-1) + 1)[strata] < N_FOLDS
    is_separate |= len(distinct) < _MIN_DISTINCT * len(content)
    return np.where(is_separate, len(steps) + np.arange(len(steps)), content)


def _digests(steps: Ragged) -> list[bytes]:
    """A digest of 16 bytes of the content of each row."""
    bytes_per_step = steps.values.nbytes // max(steps.n_steps, 1)
    data, ends = np.ascontiguousarray(steps.values).reshape(-1).view(np.uint8), steps.offsets * bytes_per_step
    return [blake2b(data[ends[row] : ends[row + 1]].data, digest_size=16).digest() for row in range(len(steps))]
