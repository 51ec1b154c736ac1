"""`SparseRows`: a sparse matrix in compressed row form."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqclf._data.ragged import Ragged


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows of float32 as entries; all other values are zero.

    Parameters
    ----------
    lengths : ndarray of shape (n_rows,), int64
        The number of entries of each row.
    columns : ndarray of shape (n_entries,), int32
        The column of each entry, in ascending order within a row.
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
    def from_dense(cls, values: ArrayLike) -> "SparseRows":
        """The entries of a matrix that are not zero."""
        dense = np.asarray(values, dtype=np.float32)
        rows, columns = dense.nonzero()
        lengths = np.bincount(rows, minlength=len(dense))
        return cls(lengths, columns.astype(np.int32), dense[rows, columns], dense.shape[1])

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """The index of the first entry of each row, followed by the number of entries: (n_rows + 1,)."""
        return Ragged(self.columns, self.lengths).offsets

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns."""
        return len(self.lengths), self.n_columns

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, rows: NDArray[np.int64]) -> "SparseRows":
        """The rows at these positions, in this order."""
        entries = Ragged(self.columns, self.lengths).positions(rows)
        return SparseRows(self.lengths[rows], self.columns[entries], self.values[entries], self.n_columns)

    def row_of_entry(self) -> NDArray[np.int64]:
        """The row of each entry."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def select(self, columns: ArrayLike) -> "SparseRows":
        """The matrix of these columns, which are in ascending order."""
        selected = np.asarray(columns, dtype=np.int64)
        new_column = np.full(self.n_columns, -1, dtype=np.int32)
        new_column[selected] = np.arange(len(selected))
        new_columns = new_column[self.columns]
        entries = np.flatnonzero(new_columns >= 0)
        lengths = np.diff(np.searchsorted(entries, self.offsets))
        return SparseRows(lengths, new_columns[entries], self.values[entries], len(selected))

    def toarray(self) -> NDArray[np.float32]:
        """The dense matrix."""
        dense = np.zeros(self.shape, dtype=np.float32)
        dense[self.row_of_entry(), self.columns] = self.values
        return dense


def stack_columns(matrices: Sequence[SparseRows]) -> SparseRows:
    """Concatenate matrices with the same number of rows horizontally."""
    lengths = np.stack([matrix.lengths for matrix in matrices], axis=1)
    source = np.repeat(np.tile(np.arange(len(matrices), dtype=np.int8), len(lengths)), lengths.ravel())
    columns = np.empty(len(source), dtype=np.int32)
    values = np.empty(len(source), dtype=np.float32)
    first_column = 0
    for i, matrix in enumerate(matrices):
        entries = source == i
        columns[entries], values[entries] = matrix.columns + np.int32(first_column), matrix.values
        first_column += matrix.n_columns
    return SparseRows(lengths.sum(axis=1), columns, values, first_column)
