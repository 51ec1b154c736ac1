"""Indicator matrices: 0s and 1s that say which labels each row has."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from seqclf._validation.containers import refuse_masked, shorten
from seqclf._validation.targets import as_array


def is_indicator(y: Any) -> bool:
    """Whether y is a matrix of several columns, dense or sparse, that holds 0 and 1 only."""
    if issparse(y):
        return y.ndim == 2 and y.shape[1] > 1
    if y is None or isinstance(y, str | bytes | dict) or not hasattr(y, "__len__"):
        return False
    array = as_array(y)
    return array.ndim == 2 and array.shape[1] > 1 and len(array) > 1 and _row_of_other(array) is None


def check_indicator(y: Any, n_rows: int, *, name: str, rows_name: str) -> NDArray[np.int8]:
    """The matrix as an array (n_rows, n_labels) of 0 and 1.

    A matrix of y with exactly one 1 in each row may be a one-hot encoding of classes; a warning says what to do then.
    """
    refuse_masked(y, name)
    array = y.toarray() if issparse(y) else as_array(y)
    expected = f"expected an indicator matrix of shape ({n_rows}, n_labels), 1 where a row of {rows_name} has a label"
    if array.ndim != 2:
        raise ValueError(f"{name} has the shape {array.shape}: {expected}, as in fit.")
    if len(array) != n_rows:
        raise ValueError(
            f"{name} has {len(array)} rows, but {rows_name} has {n_rows}: {expected}. "
            f"Found input variables with inconsistent numbers of samples: [{n_rows}, {len(array)}]"
        )
    row = _row_of_other(array)
    if row is not None:
        other = next(value for value in array[row].tolist() if not _is_0_or_1(value))
        raise ValueError(f"{name} holds {shorten(other)} in row {row}: {expected}, and 0 where it has not.")
    indicator = array.astype(np.int8)
    if name == "y" and len(indicator) > 1 and (indicator.sum(axis=1) == 1).all():
        warnings.warn(
            f"{name} has exactly one 1 in each row. It is read as an indicator of several labels a row, with a "
            f"probability for each. If each row has one class, hand in the classes: {name}.argmax(axis=1).",
            UserWarning,
            stacklevel=2,
        )
    return indicator


def _row_of_other(array: NDArray[Any]) -> int | None:
    """The first row that holds anything but 0 and 1."""
    if array.dtype.kind == "O":
        wrong = np.array([not all(map(_is_0_or_1, row)) for row in array.tolist()], dtype=bool)
    elif array.dtype.kind in "biuf":
        wrong = ((array != 0) & (array != 1)).any(axis=1)
    else:
        return 0
    return int(np.argmax(wrong)) if wrong.any() else None


def _is_0_or_1(value: Any) -> bool:
    return isinstance(value, int | float | np.number | np.bool_) and bool(value in (0, 1))
