"""Imputation of missing values in series, from other values of the same channel in the same series."""

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged


def fill_missing(series: Ragged, method: str) -> Ragged:
    """Fill NaN from the same channel of the same series. A channel that is all NaN in a series stays NaN.

    Parameters
    ----------
    series : Ragged
        float64 values of shape (n_steps, n_channels).
    method : {"interpolate", "forward"}
        "interpolate" interpolates linearly between the neighbouring values, "forward" repeats the last value. At the
        start of a series both use the next value, at its end the last one.
    """
    values = series.values
    if not np.isnan(values).any():
        return series
    filled = [_filled(column, series, method) for column in values.T]
    return Ragged(np.ascontiguousarray(np.column_stack(filled)), series.lengths)


def _filled(column: NDArray[np.float64], series: Ragged, method: str) -> NDArray[np.float64]:
    observed, missing = np.flatnonzero(~np.isnan(column)), np.flatnonzero(np.isnan(column))
    if not len(observed) or not len(missing):
        return column
    row = np.searchsorted(series.offsets, missing, side="right") - 1
    after = np.searchsorted(observed, missing)
    left, right = observed[np.maximum(after - 1, 0)], observed[np.minimum(after, len(observed) - 1)]
    has_left = (after > 0) & (left >= series.offsets[row])
    has_right = (after < len(observed)) & (right < series.offsets[row + 1])
    filled = np.where(has_left, column[left], np.where(has_right, column[right], np.nan))
    if method == "interpolate":
        inside = has_left & has_right
        start, stop, step = left[inside], right[inside], missing[inside]
        fraction = (step - start) / (stop - start)
        filled[inside] = column[start] * (1 - fraction) + column[stop] * fraction
    column = column.copy()
    column[missing] = filled
    return column
