"""`Ragged`: sequences of unequal length as one flat array and their lengths, the form that the whole package uses.

It has no padding, so padding can never enter a computation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

Side = Literal["start", "end"]
# Spans of at least this mean length are copied one by one instead of gathered by position.
_MIN_COPIED_SPAN = 128


@dataclass(frozen=True, eq=False)
class Ragged:
    """Sequences of unequal length, concatenated.

    Parameters
    ----------
    values : ndarray of shape (n_steps,) or (n_steps, n_channels)
        The steps of all sequences, one sequence after the other: integer ids, or values of each channel.
    lengths : ndarray of shape (n_sequences,), dtype int64
        The number of steps of each sequence; 0 is allowed.

    Examples
    --------
    >>> from seqclf._data.ragged import Ragged
    >>> ragged = Ragged.from_items([[7, 8, 9], [], [5]])
    >>> ragged.values
    array([7, 8, 9, 5])
    >>> ragged.lengths
    array([3, 0, 1])
    >>> ragged.padded(value=0)
    array([[7, 8, 9],
           [0, 0, 0],
           [5, 0, 0]])
    """

    values: NDArray[Any]
    lengths: NDArray[np.int64]

    @classmethod
    def from_items(
        cls,
        items: Sequence[Any] | NDArray[Any],
        dtype: DTypeLike | None = None,
        n_channels: int | None = None,
    ) -> "Ragged":
        """Join a list (or object array) of 1-D or 2-D arrays.

        If all items are empty, `n_channels` determines the shape of the values, and `dtype` their type: by default
        float64 with channels, and int32 (ids) without.
        """
        arrays = [np.asarray(item) for item in items]
        lengths = np.fromiter(map(len, arrays), dtype=np.int64, count=len(arrays))
        # numpy makes a float array of an empty list, which would turn ids into floats.
        filled = [array for array in arrays if len(array)]
        if filled:
            # Arrays in column order, as of frames, would be joined in column order. Sums over steps would be rounded
            # differently, and the same data would not give the same result, bit for bit.
            values = np.ascontiguousarray(np.concatenate(filled))
            return cls(values if dtype is None else values.astype(dtype, copy=False), lengths)
        shape = (0,) if n_channels is None else (0, n_channels)
        if dtype is None:
            dtype = np.int32 if n_channels is None else np.float64
        return cls(np.empty(shape, dtype), lengths)

    @classmethod
    def from_array(cls, array: NDArray[Any]) -> "Ragged":
        """The rows of a (n_sequences, length) or (n_sequences, length, n_channels) array, including its padding."""
        n_sequences, length = array.shape[:2]
        flat = array.reshape(n_sequences * length, *array.shape[2:])
        return cls(flat, np.full(n_sequences, length, dtype=np.int64))

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """The start of each sequence in `values`, and at the end the number of steps: (n_sequences + 1,)."""
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self.lengths, dtype=np.int64)])

    @property
    def n_steps(self) -> int:
        """The total number of steps."""
        return len(self.values)

    @property
    def n_channels(self) -> int:
        """The number of channels; 0 for ids."""
        return self.values.shape[1] if self.values.ndim == 2 else 0

    def __getstate__(self) -> dict[str, Any]:
        """Without the cached `offsets`, so that a pickle does not depend on whether they were used."""
        return {"values": self.values, "lengths": self.lengths}

    def __len__(self) -> int:
        return len(self.lengths)

    def items(self) -> NDArray[np.object_]:
        """A 1-D object array with one view into `values` for each sequence."""
        items = np.empty(len(self), dtype=object)  # np.array(list) would make a 2-D array of items of equal length
        for row, (start, stop) in enumerate(pairwise(self.offsets.tolist())):
            items[row] = self.values[start:stop]
        return items

    def row_of(self, step: int) -> int:
        """The sequence that a position in `values` belongs to."""
        return int(np.searchsorted(self.offsets, step, side="right")) - 1

    def take(self, rows: Any) -> "Ragged":
        """The sequences at these positions (integers, a mask or a slice), in this order."""
        return self._spans(self.offsets[:-1][rows], self.lengths[rows])

    def part(self, start: int, stop: int) -> "Ragged":
        """The sequences from `start` to ``stop - 1``, as views of these."""
        return Ragged(self.values[self.offsets[start] : self.offsets[stop]], self.lengths[start:stop])

    def block_limits(self, max_steps: int, max_rows: int) -> Iterator[tuple[int, int]]:
        """The first sequence of each block, and the first one after it.

        Blocks are consecutive, and have at most `max_steps` steps and `max_rows` sequences, or a single sequence.
        """
        start = 0
        while start < len(self):
            stop = int(np.searchsorted(self.offsets, self.offsets[start] + max_steps, side="right")) - 1
            stop = min(max(stop, start + 1), start + max_rows)
            yield start, stop
            start = stop

    def positions(self, rows: Any) -> NDArray[np.int64]:
        """The positions in `values` of the steps of these sequences, in this order."""
        return _positions(self.offsets[:-1][rows], self.lengths[rows])

    def truncated(self, max_length: int | None, truncate: Side) -> "Ragged":
        """Truncate to `max_length`; `truncate` is the side that is cut off ("start" keeps the last steps)."""
        if max_length is None or not len(self) or self.lengths.max() <= max_length:
            return self
        lengths = np.minimum(self.lengths, max_length)
        starts = self.offsets[:-1] + (self.lengths - lengths if truncate == "start" else 0)
        return self._spans(starts, lengths)

    def stripped(self, is_padding: NDArray[np.bool_], sides: Sequence[Side] = ("start", "end")) -> "Ragged":
        """Remove the steps marked in `is_padding` (n_steps,) at the ends, but not between other steps."""
        if not is_padding.any():
            return self
        starts, stops = self.offsets[:-1], self.offsets[1:]
        # indices[first:last] are the steps of one sequence that are not padding
        indices = np.flatnonzero(~is_padding)
        first, last = np.searchsorted(indices, starts), np.searchsorted(indices, stops)
        filled = last > first
        if "end" in sides:
            stops = starts.copy()
            stops[filled] = indices[last[filled] - 1] + 1
        if "start" in sides:
            starts = np.where(filled, starts, stops)
            starts[filled] = indices[first[filled]]
        if np.array_equal(stops - starts, self.lengths):
            return self
        return self._spans(starts, stops - starts)

    def padded(
        self,
        length: int | None = None,
        *,
        value: float,
        padding: Side = "end",
    ) -> NDArray[Any]:
        """An array (n_sequences, length[, n_channels]), padded with `value` at the side `padding`.

        With a `length` of None, the length is that of the longest sequence. A sequence longer than `length` is an error
        (see `truncated`).
        """
        longest = int(self.lengths.max(initial=0))
        if length is None:
            length = longest
        if longest > length:
            raise ValueError(
                f"A sequence has {longest} steps, more than length={length}: raise length, or truncate the sequences."
            )
        out = np.full((len(self), length, *self.values.shape[1:]), value, dtype=self.values.dtype)
        steps, lengths = np.arange(length), self.lengths[:, None]
        out[steps < lengths if padding == "end" else steps >= length - lengths] = self.values
        return out

    def _spans(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> "Ragged":
        """Make each span of `values` a sequence: long spans are copied one by one, short ones gathered together."""
        if len(lengths) and lengths.sum() >= _MIN_COPIED_SPAN * len(lengths):
            stops = (starts + lengths).tolist()
            spans = [self.values[start:stop] for start, stop in zip(starts.tolist(), stops, strict=True)]
            return Ragged(np.concatenate(spans), lengths)
        return Ragged(self.values[_positions(starts, lengths)], lengths)


def _positions(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The positions of all steps of some spans."""
    offsets = np.cumsum(lengths) - lengths  # of each span in the result
    return np.repeat(starts - offsets, lengths) + np.arange(int(lengths.sum()))
