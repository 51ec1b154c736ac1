"""Where the steps of a batch lie in memory: time-major, longest sequence first.

This is the layout of torch's ``PackedSequence``: all first steps, then all second steps, and so on, so that the
sequences that are still running at a step are always a prefix of the rows. It holds positions only, no values.
"""

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from seqclf._native import abi


class StepLayout:
    """The time-major layout of a batch of sequences, made from their lengths alone.

    Sequences of length 0 have no step, so they have no row either: ``order`` leaves them out.

    Parameters
    ----------
    lengths : array-like of shape (n_sequences,)
        Number of steps of each sequence, in any order.
    device : torch.device or str, default="cpu"
        Where the index tensors are wanted.
    starts : array-like of shape (n_sequences,), default=None
        Where each sequence begins in the data that the batch is read from; None: they lie end to end, and nothing else
        does.

    Attributes
    ----------
    n_rows, max_length, n_steps : int
        Number of sequences with a step, of steps of the longest one, and of steps of all together.
    batch_sizes : ndarray of shape (max_length,)
        How many rows are still running at each time; it never rises.
    time_offsets : ndarray of shape (max_length + 1,)
        Position of the first row of each time.
    data_offsets : ndarray of shape (n_rows,)
        Where the sequence of each row begins in the data.
    is_sorted : bool
        Whether the sequences are the rows: longest first, none without a step.
    is_whole : bool
        Whether the sequences are all of the data, end to end.

    Examples
    --------
    Three sequences a, b, c of 1, 3 and 2 steps, end to end: ``a0 b0 b1 b2 c0 c1``.
    Time-major, longest first: ``b0 c0 a0 | b1 c1 | b2``.

    >>> layout = StepLayout([1, 3, 2])
    >>> layout.order.tolist(), layout.batch_sizes.tolist()
    ([1, 2, 0], [3, 2, 1])
    >>> layout.gather.tolist()
    [1, 4, 0, 2, 5, 3]
    """

    def __init__(self, lengths, device="cpu", starts=None):
        lengths = np.asarray(lengths, dtype=np.int64)
        self.is_whole = starts is None
        starts = np.cumsum(lengths) - lengths if starts is None else np.asarray(starts, dtype=np.int64)
        if starts.shape != lengths.shape:
            raise ValueError(f"There are {len(starts)} starts, but {len(lengths)} lengths.")
        self.device = torch.device(device)
        self.n_sequences = len(lengths)
        # ndarray methods, not np.* wrappers: this runs once for each batch, which takes a few milliseconds.
        order = (-lengths).argsort(kind="stable")
        self.n_rows = np.count_nonzero(lengths)
        self._order = order = order[: self.n_rows]
        self.data_offsets, self.lengths = starts[order], lengths[order]
        self.is_sorted = self.n_rows == self.n_sequences and not np.count_nonzero(order[1:] < order[:-1])
        self.max_length = int(self.lengths[0]) if self.n_rows else 0
        self.batch_sizes = self.n_rows - np.bincount(self.lengths, minlength=1).cumsum()[: self.max_length]
        self.time_offsets = np.zeros(self.max_length + 1, dtype=np.int64)
        self.batch_sizes.cumsum(out=self.time_offsets[1:])
        self.n_steps = int(self.time_offsets[-1])

    def _index(self, positions: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(positions)).to(self.device)

    def check(self, n_values: int) -> None:
        """Refuse data of so many steps if there are sequences beyond its ends, or more or less of it than all."""
        if self.is_whole:
            if n_values != self.n_steps:
                raise ValueError(f"There are {n_values} steps of values, but the lengths add up to {self.n_steps}.")
        elif self.n_rows and not 0 <= self._reach[0] <= self._reach[1] <= n_values:
            first, end = self._reach
            raise ValueError(f"There are {n_values} steps of values, but the sequences reach from {first} to {end}.")

    @cached_property
    def _reach(self) -> tuple[int, int]:
        return int(self.data_offsets.min()), int((self.data_offsets + self.lengths).max())

    def sort_rows(self, values: np.ndarray) -> np.ndarray:
        """Reorder values of sequences (n_sequences,) to those of the rows (n_rows,)."""
        return values if self.is_sorted else values[self._order]

    @cached_property
    def as_c_struct(self) -> abi.Batch:
        """The layout as the compiled library reads it. It points into the layout's memory."""
        addresses = (torch.from_numpy(positions).data_ptr() for positions in (self.batch_sizes, self.time_offsets))
        return abi.Batch(self.n_rows, self.max_length, *addresses)

    @cached_property
    def _time(self) -> np.ndarray:
        return np.repeat(np.arange(self.max_length), self.batch_sizes)

    @cached_property
    def _row(self) -> np.ndarray:
        return np.arange(self.n_steps) - np.repeat(self.time_offsets[:-1], self.batch_sizes)

    @cached_property
    def order(self) -> Tensor:
        """The sequence behind each row, shape (n_rows,)."""
        return self._index(self._order)

    @cached_property
    def gather(self) -> Tensor:
        """For each step here, its position in the data, shape (n_steps,)."""
        return self._index(self.data_offsets[self._row] + self._time)

    @cached_property
    def row_of_step(self) -> Tensor:
        """The row that each step belongs to, shape (n_steps,)."""
        return self._index(self._row)

    @cached_property
    def last_step(self) -> Tensor:
        """The position of each row's last step, shape (n_rows,)."""
        return self._index(self.time_offsets[self.lengths - 1] + np.arange(self.n_rows))

    @cached_property
    def reversed(self) -> Tensor:
        """For each step, the position of its mirror image within the row, shape (n_steps,); its own inverse."""
        mirrored_time = self.lengths[self._row] - 1 - self._time
        return self._index(self.time_offsets[mirrored_time] + self._row)

    def windows(self, width: int) -> Tensor:
        """The positions of the `width` steps around each step, of its own row, shape (n_steps, width).

        A step that the row does not have is ``n_steps``, one beyond the last position.
        """
        times = self._time[:, None] + np.arange(width) - (width - 1) // 2
        within = (times >= 0) & (times < self.lengths[self._row][:, None])
        positions = self.time_offsets[np.where(within, times, 0)] + self._row[:, None]
        return self._index(np.where(within, positions, self.n_steps))

    @cached_property
    def row_lengths(self) -> Tensor:
        """The lengths of the rows, shape (n_rows,)."""
        return self._index(self.lengths)

    @cached_property
    def _grid(self) -> Tensor:
        return self._index(self._time * self.n_rows + self._row)

    @property
    def is_full(self) -> bool:
        """Whether all rows have the same length, so that the grid of ``pad`` has no hole."""
        return self.n_steps == self.max_length * self.n_rows

    def pad(self, values: Tensor, fill: float = 0.0) -> Tensor:
        """(n_steps, features) -> (max_length, n_rows, features), holes filled with ``fill``."""
        shape = (self.max_length, self.n_rows, values.shape[1])
        if self.is_full:
            return values.reshape(shape)
        grid = values.new_full((self.max_length * self.n_rows, values.shape[1]), fill)
        grid[self._grid] = values
        return grid.reshape(shape)

    def unpad(self, grid: Tensor) -> Tensor:
        """(max_length, n_rows, features) -> (n_steps, features): the inverse of ``pad``."""
        flat = grid.reshape(self.max_length * self.n_rows, grid.shape[2])
        return flat if self.is_full else flat.index_select(0, self._grid)
