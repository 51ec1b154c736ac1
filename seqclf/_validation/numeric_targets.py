"""Validation of numeric targets, one or several for each row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.argument_errors import names_argument
from seqclf._validation.containers import as_array, is_sparse, shorten
from seqclf._validation.numbers import as_floats, first_non_number, raise_not_a_number


@names_argument
def validate_numeric_targets(y: Any, n_rows: int, *, name: str = "y", rows_name: str = "X") -> NDArray[np.float64]:
    """Validate the targets and return them as an array of finite numbers, (n_rows,) or (n_rows, n_targets)."""
    expected = f"expected a number for each row of {rows_name}, ({n_rows},), or several, ({n_rows}, n_targets)"
    if y is None:
        raise ValueError(f"The estimator requires {name} to be passed, but the target {name} is None.")
    if is_sparse(y):
        raise TypeError(f"{name} is a sparse matrix: {expected}. Convert it with {name}.toarray().")
    if isinstance(y, str | bytes | dict):
        raise ValueError(f"{name} is {shorten(y)}: {expected}.")
    array = as_array(y, name)
    if array.ndim == 0:
        raise ValueError(f"{name} is {shorten(y)}: {expected}.")
    if array.dtype.kind in "US" and isinstance(y, list | tuple):
        array = np.array(y, dtype=object)  # numpy has converted numbers to texts
    _check_numeric(array, name)
    if array.ndim not in (1, 2) or 0 in array.shape[1:]:
        raise ValueError(f"{name} has the shape {array.shape}: {expected}.")
    if len(array) != n_rows:
        raise ValueError(
            f"{name} has {len(array)} rows, but {rows_name} has {n_rows}: {expected}. "
            f"Found input variables with inconsistent numbers of samples: [{n_rows}, {len(array)}]."
        )
    targets = as_floats(array, name) if array.dtype.kind == "O" else array.astype(np.float64)
    wrong = ~np.isfinite(targets)
    if wrong.any():
        index = tuple(map(int, np.argwhere(wrong)[0]))
        # The message starts with scikit-learn's words, which users search for.
        problem = "NaN" if np.isnan(targets[index]) else "infinity"
        raise ValueError(
            f"Input {name} contains {problem}: the target {_location(index)} is {shorten(array[index])}. "
            "Drop the rows without a target."
        )
    return targets


def _check_numeric(array: NDArray[Any], name: str) -> None:
    """Raise an error for text, dates, complex numbers, rows of unequal length and other objects."""
    index = first_non_number(array)
    if index is not None:
        value = array[index]
        if isinstance(value, list | tuple | set | frozenset | np.ndarray):
            raise ValueError(
                f"Row {index[0]} of {name} holds {len(value)} values, {shorten(value)}: expected one number for each "
                "row, or the same number of them in every row."
            )
        raise_not_a_number(
            value, name, f"as the target {_location(index)}", "Pass a number for each row", in_series=False
        )
    if array.dtype.kind in "cO":
        for index, value in np.ndenumerate(array):
            if isinstance(value, complex | np.complexfloating):
                raise ValueError(
                    f"Complex data not supported: {name} holds {shorten(value)}, the target {_location(index)}. "
                    "Pass real numbers."
                )


def _location(index: tuple[int, ...]) -> str:
    return f"of row {index[0]}" + (f", column {index[1]}" if len(index) > 1 else "")
