"""Indicator matrices: 1 where a row has a label, else 0."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.argument_errors import names_argument
from seqclf._validation.containers import as_array, is_sparse, shorten
from seqclf._warn import warn


@names_argument
def is_indicator(y: Any, name: str = "y") -> bool:
    """Whether y is a matrix of several columns, dense or sparse, with values 0 and 1 only."""
    if is_sparse(y):
        return y.ndim == 2 and y.shape[1] > 1
    if y is None or isinstance(y, str | bytes | dict) or not hasattr(y, "__len__"):
        return False
    array = as_array(y, name)
    return array.ndim == 2 and array.shape[1] > 1 and len(array) > 1 and first_non_binary(array) is None


@names_argument
def validate_indicator(y: Any, n_rows: int, *, name: str, rows_name: str) -> NDArray[np.int8]:
    """Validate an indicator matrix and return it as an int8 array (n_rows, n_labels).

    A y with exactly one 1 in each row can be a one-hot encoding of classes. A warning then says what to do.
    """
    array = y.toarray() if is_sparse(y) else as_array(y, name)
    expected = f"expected an indicator matrix of shape ({n_rows}, n_labels), 1 where a row of {rows_name} has a label"
    if array.ndim != 2:
        raise ValueError(f"{name} has the shape {array.shape}: {expected}, as in fit.")
    if len(array) != n_rows:
        raise ValueError(
            f"{name} has {len(array)} rows, but {rows_name} has {n_rows}: {expected}. "
            f"Found input variables with inconsistent numbers of samples: [{n_rows}, {len(array)}]."
        )
    wrong = first_non_binary(array)
    if wrong is not None:
        row, value = wrong
        raise ValueError(f"{name} holds {shorten(value)} in row {row}: {expected}, else 0.")
    indicator = array.astype(np.int8)
    if name == "y" and len(indicator) > 1 and (indicator.sum(axis=1) == 1).all():
        warn(
            f"{name} has exactly one 1 in each row. It is treated as an indicator matrix of independent labels, with a "
            f"probability for each. If each row has one class, pass the classes: {name}.argmax(axis=1)."
        )
    return indicator


def first_non_binary(array: NDArray[Any]) -> tuple[int, Any] | None:
    """The row and value of the first entry that is neither 0 nor 1; None if there is no such entry."""
    if array.dtype.kind == "O":
        wrong = ~np.frompyfunc(_is_0_or_1, 1, 1)(array).astype(bool)
    elif array.dtype.kind in "biuf":
        wrong = (array != 0) & (array != 1)
    else:
        wrong = np.ones(array.shape, dtype=bool)
    if not wrong.any():
        return None
    row, column = divmod(int(np.argmax(wrong)), array.shape[1])
    return row, array[row].tolist()[column]


def _is_0_or_1(value: Any) -> bool:
    return isinstance(value, int | float | np.number | np.bool_) and bool(value in (0, 1))
