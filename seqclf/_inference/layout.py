"""`BatchLayout`: the memory layout of a batch, time-major and with the longest sequence first.

This is the layout of torch's ``PackedSequence``: all first steps, then all second steps, and so on, so that the
sequences that have not ended at a step are always a prefix of the rows. The layout has only positions, no values.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqclf._native import abi

Positions = NDArray[np.int64]


class BatchLayout:
    """Time-major layout of a batch of sequences, computed from their lengths.

    Sequences of length 0 have no row: ``sequence_of_row`` does not contain them.

    Parameters
    ----------
    lengths : array-like of shape (n_sequences,)
        Number of steps of each sequence, in any order.
    starts : array-like of shape (n_sequences,), default=None
        Position of each sequence's first step in the data; None: the data consists of the sequences, concatenated.

    Attributes
    ----------
    n_rows, max_length, n_steps : int
        Number of non-empty sequences, length of the longest, and total number of steps.
    sequence_of_row : ndarray of shape (n_rows,)
        The index of each row's sequence.
    lengths : ndarray of shape (n_rows,)
        The lengths of the rows.
    batch_sizes : ndarray of shape (max_length,)
        Number of rows that have a step at each time; it never increases.
    time_offsets : ndarray of shape (max_length + 1,)
        Position of the first step of each time.
    data_offsets : ndarray of shape (n_rows,)
        Position in the data of each row's first step.
    is_sorted : bool
        Whether the rows are the sequences in their given order: longest first, none empty.
    is_whole : bool
        Whether the data consists of the sequences, concatenated.

    Examples
    --------
    Three sequences a, b, c of 1, 3 and 2 steps, concatenated: ``a0 b0 b1 b2 c0 c1``.
    Time-major, longest first: ``b0 c0 a0 | b1 c1 | b2``.

    >>> layout = BatchLayout([1, 3, 2])
    >>> layout.sequence_of_row.tolist(), layout.batch_sizes.tolist()
    ([1, 2, 0], [3, 2, 1])
    >>> layout.data_positions.tolist()
    [1, 4, 0, 2, 5, 3]
    """

    def __init__(self, lengths: ArrayLike, starts: ArrayLike | None = None):
        lengths = np.asarray(lengths, dtype=np.int64)
        self._ends = lengths.cumsum()
        self.is_whole = starts is None
        starts = self._ends - lengths if starts is None else np.asarray(starts, dtype=np.int64)
        if starts.shape != lengths.shape:
            raise ValueError(f"There are {len(starts)} starts, but {len(lengths)} lengths.")
        self.n_sequences = len(lengths)
        # ndarray methods, not np.* wrappers: this runs once per batch, and a batch takes only a few milliseconds.
        order = (-lengths).argsort(kind="stable")
        self.n_rows = int(np.count_nonzero(lengths))
        self.sequence_of_row = order = order[: self.n_rows]
        self.data_offsets, self.lengths = starts[order], lengths[order]
        self.is_sorted = self.n_rows == self.n_sequences and not np.count_nonzero(order[1:] < order[:-1])
        self.max_length = int(self.lengths[0]) if self.n_rows else 0
        self.batch_sizes = self.n_rows - np.bincount(self.lengths, minlength=1).cumsum()[: self.max_length]
        self.time_offsets = np.zeros(self.max_length + 1, dtype=np.int64)
        self.batch_sizes.cumsum(out=self.time_offsets[1:])
        self.n_steps = int(self.time_offsets[-1])

    def check(self, n_values: int) -> None:
        """Raise ValueError if the sequences do not match data of `n_values` steps: all of it, or parts inside it."""
        if self.is_whole:
            if n_values != self.n_steps:
                raise ValueError(f"There are {n_values} steps of values, but the lengths add up to {self.n_steps}.")
        elif self.n_rows and not 0 <= self._reach[0] <= self._reach[1] <= n_values:
            first, end = self._reach
            raise ValueError(f"There are {n_values} steps of values, but the sequences extend from {first} to {end}.")

    @cached_property
    def _reach(self) -> tuple[int, int]:
        return int(self.data_offsets.min()), int((self.data_offsets + self.lengths).max())

    def sort_rows(self, values: NDArray[Any]) -> NDArray[Any]:
        """Reorder per-sequence values, (n_sequences,), to per-row values, (n_rows,)."""
        return values if self.is_sorted else values[self.sequence_of_row]

    @cached_property
    def as_c_struct(self) -> abi.Batch:
        """The layout as a C struct, with pointers into the memory of this object."""
        return abi.Batch(self.n_rows, self.max_length, abi.address(self.batch_sizes), abi.address(self.time_offsets))

    @cached_property
    def time(self) -> Positions:
        """The time of each step, shape (n_steps,)."""
        return np.repeat(np.arange(self.max_length), self.batch_sizes)

    @cached_property
    def row(self) -> Positions:
        """The row of each step, shape (n_steps,)."""
        return np.arange(self.n_steps) - np.repeat(self.time_offsets[:-1], self.batch_sizes)

    @cached_property
    def data_positions(self) -> Positions:
        """The position in the data of each step of the layout, shape (n_steps,)."""
        return self.data_offsets[self.row] + self.time

    @cached_property
    def positions_end_to_end(self) -> Positions:
        """The position in the layout of each step of the sequences in their given order, shape (n_steps,)."""
        starts = self._ends[self.sequence_of_row] - self.lengths
        positions = np.empty(self.n_steps, dtype=np.int64)
        positions[starts[self.row] + self.time] = np.arange(self.n_steps)
        return positions

    @cached_property
    def last_positions(self) -> Positions:
        """The position of each row's last step, shape (n_rows,)."""
        return self.time_offsets[self.lengths - 1] + np.arange(self.n_rows)

    @cached_property
    def mirrored_positions(self) -> Positions:
        """The positions that reverse each row in time, shape (n_steps,); a permutation that is its own inverse."""
        mirrored_time = self.lengths[self.row] - 1 - self.time
        return self.time_offsets[mirrored_time] + self.row

    def window_positions(self, width: int) -> Positions:
        """The positions of the `width` steps around each step in its row, shape (n_steps, width).

        Steps beyond the ends of the row get the position ``n_steps``, one after the last.
        """
        times = self.time[:, None] + np.arange(width) - (width - 1) // 2
        within = (times >= 0) & (times < self.lengths[self.row][:, None])
        positions = self.time_offsets[np.where(within, times, 0)] + self.row[:, None]
        return np.where(within, positions, self.n_steps)
