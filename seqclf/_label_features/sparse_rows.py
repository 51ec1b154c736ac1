"""`SparseRows`: rows of numbers of which most are zero, by their columns and values."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqclf._data.ragged import Ragged


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows of float32 by their entries: what is not one of them is zero.

    Parameters
    ----------
    lengths : ndarray of shape (n_rows,), int64
        How many entries each row has.
    columns : ndarray of shape (n_entries,), int32
        The column of each entry; those of a row rise.
    values : ndarray of shape (n_entries,), float32
    n_columns : int

    Examples
    --------
    >>> rows = SparseRows.from_dense([[0, 3, 1], [0, 0, 0], [2, 0, 0]])
    >>> rows.lengths, rows.columns, rows.values
    (array([2, 0, 1]), array([1, 2, 0], dtype=int32), array([3., 1., 2.], dtype=float32))
    >>> rows.select([1, 2]).toarray()
    array([[3., 1.],
           [0., 0.],
           [0., 0.]], dtype=float32)
    """

    lengths: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: NDArray[np.float32]
    n_columns: int

    @classmethod
    def from_dense(cls, numbers: ArrayLike) -> "SparseRows":
        """The entries of a matrix that are not zero."""
        dense = np.asarray(numbers, dtype=np.float32)
        rows, columns = dense.nonzero()
        lengths = np.bincount(rows, minlength=len(dense))
        return cls(lengths, columns.astype(np.int32), dense[rows, columns], dense.shape[1])

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where the entries of each row begin, and at the very end their number: (n_rows + 1,)."""
        return Ragged(self.columns, self.lengths).offsets

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return len(self.lengths), self.n_columns

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, rows: NDArray[np.int64]) -> "SparseRows":
        """The rows at these positions, in this order."""
        places = Ragged(self.columns, self.lengths).positions(rows)
        return SparseRows(self.lengths[rows], self.columns[places], self.values[places], self.n_columns)

    def row_of_entry(self) -> NDArray[np.int64]:
        """The row of each entry."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def select(self, columns: ArrayLike) -> "SparseRows":
        """Some columns, in rising order."""
        chosen = np.asarray(columns, dtype=np.int64)
        column = np.full(self.n_columns, -1, dtype=np.int32)
        column[chosen] = np.arange(len(chosen))
        found = column[self.columns]
        kept = np.flatnonzero(found >= 0)
        lengths = np.diff(np.searchsorted(kept, self.offsets))
        return SparseRows(lengths, found[kept], self.values[kept], len(chosen))

    def toarray(self) -> NDArray[np.float32]:
        """The matrix, zeros and all."""
        dense = np.zeros(self.shape, dtype=np.float32)
        dense[self.row_of_entry(), self.columns] = self.values
        return dense


def side_by_side(parts: Sequence[SparseRows]) -> SparseRows:
    """The same rows in several parts as one: the columns of the first part come first."""
    lengths = np.stack([part.lengths for part in parts], axis=1)
    of_part = np.repeat(np.tile(np.arange(len(parts), dtype=np.int8), len(lengths)), lengths.ravel())
    columns = np.empty(len(of_part), dtype=np.int32)
    values = np.empty(len(of_part), dtype=np.float32)
    first = 0
    for number, part in enumerate(parts):
        ours = of_part == number
        columns[ours], values[ours] = part.columns + np.int32(first), part.values
        first += part.n_columns
    return SparseRows(lengths.sum(axis=1), columns, values, first)
