"""Where the steps of a batch lie in memory: time-major, longest sequence first.

This is the layout of torch's ``PackedSequence``: all first steps, then all second steps, and so on, so that the
sequences that are still running at a step are always a prefix of the rows. It holds positions only, no values.
"""

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from seqclf._kernels.structures import Batch


class StepLayout:
    """The time-major layout of a batch of sequences, made from their lengths alone.

    Sequences of length 0 have no step, so they have no row either: ``order`` leaves them out.

    Parameters
    ----------
    lengths : array-like of shape (n_sequences,)
        Number of steps of each sequence, in any order.
    device : torch.device or str, default="cpu"
        Where the index tensors are wanted.

    Attributes
    ----------
    n_rows, n_times, n_steps : int
        Sequences with a step, steps of the longest of them, steps of all together.
    active : ndarray of shape (n_times,)
        How many rows are still running at each time; it never rises.
    starts : ndarray of shape (n_times + 1,)
        Position of the first row of each time.
    offsets : ndarray of shape (n_rows,)
        Where the sequence of each row begins, with the sequences end to end.
    is_sorted : bool
        Whether the sequences are the rows: longest first, none without a step.

    Examples
    --------
    Three sequences a, b, c of 1, 3 and 2 steps, end to end: ``a0 b0 b1 b2 c0 c1``.
    Time-major, longest first: ``b0 c0 a0 | b1 c1 | b2``.

    >>> layout = StepLayout([1, 3, 2])
    >>> layout.order.tolist(), layout.active.tolist()
    ([1, 2, 0], [3, 2, 1])
    >>> layout.gather.tolist()
    [1, 4, 0, 2, 5, 3]
    """

    def __init__(self, lengths, device="cpu"):
        lengths = np.asarray(lengths, dtype=np.int64)
        self.device = torch.device(device)
        self.n_sequences = len(lengths)
        order = np.argsort(-lengths, kind="stable")
        order = order[: np.count_nonzero(lengths)]
        self.offsets = (np.cumsum(lengths) - lengths)[order]
        self._order = order
        self.lengths = lengths[order]
        self.n_rows = len(order)
        self.is_sorted = self.n_rows == self.n_sequences and bool((order[1:] > order[:-1]).all())
        self.n_times = int(self.lengths[0]) if self.n_rows else 0
        self.n_steps = int(self.lengths.sum())
        self.active = self.n_rows - np.cumsum(np.bincount(self.lengths, minlength=1))[: self.n_times]
        self.starts = np.concatenate(([0], np.cumsum(self.active)))

    def _index(self, positions: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(positions)).to(self.device)

    @cached_property
    def structure(self) -> Batch:
        """What our kernels read of it. It lives no longer than the layout, whose memory it points to."""
        return Batch(self.n_rows, self.n_times, self.active.ctypes.data, self.starts.ctypes.data)

    @cached_property
    def _time(self) -> np.ndarray:
        return np.repeat(np.arange(self.n_times), self.active)

    @cached_property
    def _row(self) -> np.ndarray:
        return np.arange(self.n_steps) - np.repeat(self.starts[:-1], self.active)

    @cached_property
    def order(self) -> Tensor:
        """The sequence behind each row, shape (n_rows,)."""
        return self._index(self._order)

    @cached_property
    def gather(self) -> Tensor:
        """For each step here, its position in the sequences laid end to end, shape (n_steps,)."""
        return self._index(self.offsets[self._row] + self._time)

    @cached_property
    def row_of_step(self) -> Tensor:
        """The row that each step belongs to, shape (n_steps,)."""
        return self._index(self._row)

    @cached_property
    def last_step(self) -> Tensor:
        """The position of each row's last step, shape (n_rows,)."""
        return self._index(self.starts[self.lengths - 1] + np.arange(self.n_rows))

    @cached_property
    def reversed(self) -> Tensor:
        """For each step, the position of its mirror image within the row, shape (n_steps,); its own inverse."""
        mirrored_time = self.lengths[self._row] - 1 - self._time
        return self._index(self.starts[mirrored_time] + self._row)

    def windows(self, width: int) -> Tensor:
        """The positions of the `width` steps around each step, of its own row, shape (n_steps, width).

        Where the row has no such step stands ``n_steps``, one beyond the last position.
        """
        times = self._time[:, None] + np.arange(width) - (width - 1) // 2
        within = (times >= 0) & (times < self.lengths[self._row][:, None])
        positions = self.starts[np.where(within, times, 0)] + self._row[:, None]
        return self._index(np.where(within, positions, self.n_steps))

    @cached_property
    def row_lengths(self) -> Tensor:
        """The lengths of the rows, shape (n_rows,)."""
        return self._index(self.lengths)

    @cached_property
    def batch_sizes(self) -> Tensor:
        """``active`` as torch's packed operations want it: on the CPU, whatever the device."""
        return torch.from_numpy(np.ascontiguousarray(self.active))

    @cached_property
    def _grid(self) -> Tensor:
        return self._index(self._time * self.n_rows + self._row)

    @property
    def is_full(self) -> bool:
        """Whether all rows have the same length, so that the grid of ``pad`` has no hole."""
        return self.n_steps == self.n_times * self.n_rows

    def pad(self, values: Tensor, fill: float = 0.0) -> Tensor:
        """(n_steps, features) -> (n_times, n_rows, features), holes filled with ``fill``."""
        shape = (self.n_times, self.n_rows, values.shape[1])
        if self.is_full:
            return values.reshape(shape)
        grid = values.new_full((self.n_times * self.n_rows, values.shape[1]), fill)
        grid[self._grid] = values
        return grid.reshape(shape)

    def unpad(self, grid: Tensor) -> Tensor:
        """(n_times, n_rows, features) -> (n_steps, features): the inverse of ``pad``."""
        flat = grid.reshape(self.n_times * self.n_rows, grid.shape[2])
        return flat if self.is_full else flat.index_select(0, self._grid)
