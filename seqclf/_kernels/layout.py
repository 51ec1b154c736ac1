"""`StepLayout`: the memory layout of a batch, with its positions also as tensors."""

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from seqclf._inference.layout import BatchLayout


class StepLayout(BatchLayout):
    """Time-major layout of a batch of sequences, for tensors.

    Parameters
    ----------
    lengths : array-like of shape (n_sequences,)
        Number of steps of each sequence, in any order.
    device : torch.device or str, default="cpu"
        Device of the index tensors.
    starts : array-like of shape (n_sequences,), default=None
        As in `BatchLayout`.

    Examples
    --------
    >>> layout = StepLayout([1, 3, 2])
    >>> layout.order
    tensor([1, 2, 0])
    >>> layout.gather
    tensor([1, 4, 0, 2, 5, 3])
    """

    def __init__(self, lengths, device="cpu", starts=None):
        super().__init__(lengths, starts)
        self.device = torch.device(device)

    def _index(self, positions: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(positions)).to(self.device)

    @cached_property
    def order(self) -> Tensor:
        """The index of each row's sequence, shape (n_rows,)."""
        return self._index(self.sequence_of_row)

    @cached_property
    def gather(self) -> Tensor:
        """The position in the data of each step of the layout, shape (n_steps,)."""
        return self._index(self.data_positions)

    @cached_property
    def steps_in_order(self) -> Tensor:
        """The position in the layout of each step of the sequences in their given order, shape (n_steps,)."""
        return self._index(self.positions_end_to_end)

    @cached_property
    def row_of_step(self) -> Tensor:
        """The row of each step, shape (n_steps,)."""
        return self._index(self.row)

    @cached_property
    def last_step(self) -> Tensor:
        """The position of each row's last step, shape (n_rows,)."""
        return self._index(self.last_positions)

    @cached_property
    def reversed(self) -> Tensor:
        """The positions that reverse each row in time, shape (n_steps,); a permutation that is its own inverse."""
        return self._index(self.mirrored_positions)

    @cached_property
    def row_lengths(self) -> Tensor:
        """The lengths of the rows, shape (n_rows,)."""
        return self._index(self.lengths)

    @cached_property
    def _grid(self) -> Tensor:
        return self._index(self.time * self.n_rows + self.row)

    @property
    def is_full(self) -> bool:
        """Whether all rows have the same length, so that ``pad`` adds no padding."""
        return self.n_steps == self.max_length * self.n_rows

    def pad(self, values: Tensor, fill: float = 0.0) -> Tensor:
        """(n_steps, features) -> (max_length, n_rows, features), padded with ``fill``."""
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
