"""Holes in series: values that are missing inside a channel, filled from its other values in the same series."""

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged


def fill_holes(series: Ragged, way: str) -> Ragged:
    """Fill NaN from the same channel of the same series. A channel without any value in a series stays NaN.

    Parameters
    ----------
    series : Ragged
        Values float64 of shape (n_steps, n_channels).
    way : {"interpolate", "forward"}
        "interpolate" draws a line between the neighbours of a hole, "forward" repeats the last value. Holes at the
        start get the next value; at the end both ways repeat the last one.
    """
    values = series.values
    if not np.isnan(values).any():
        return series
    filled = [_filled(column, series, way) for column in values.T]
    return Ragged(np.column_stack(filled), series.lengths)


def _filled(column: NDArray[np.float64], series: Ragged, way: str) -> NDArray[np.float64]:
    known, holes = np.flatnonzero(~np.isnan(column)), np.flatnonzero(np.isnan(column))
    if not len(known) or not len(holes):
        return column
    row = np.searchsorted(series.offsets, holes, side="right") - 1
    after = np.searchsorted(known, holes)
    left, right = known[np.maximum(after - 1, 0)], known[np.minimum(after, len(known) - 1)]
    has_left = (after > 0) & (left >= series.offsets[row])
    has_right = (after < len(known)) & (right < series.offsets[row + 1])
    filled = np.where(has_left, column[left], np.where(has_right, column[right], np.nan))
    if way == "interpolate":
        inside = has_left & has_right
        start, stop, hole = left[inside], right[inside], holes[inside]
        share = (hole - start) / (stop - start)
        filled[inside] = column[start] * (1 - share) + column[stop] * share
    column = column.copy()
    column[holes] = filled
    return column
