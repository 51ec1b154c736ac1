"""Targets that are numbers, one or several for each row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.containers import as_array, is_sparse, shorten
from seqclf._validation.numbers import as_floats, first_no_number, refuse_no_number
from seqclf._validation.reading import names_its_input


@names_its_input
def check_numbers(y: Any, n_rows: int, *, name: str = "y", rows_name: str = "X") -> NDArray[np.float64]:
    """The targets as an array (n_rows,) or (n_rows, n_targets): finite numbers."""
    expected = f"expected a number for each row of {rows_name}, ({n_rows},), or several, ({n_rows}, n_targets)"
    if y is None:
        raise ValueError(f"The estimator requires {name} to be passed, but the target {name} is None.")
    if is_sparse(y):
        raise TypeError(f"{name} is a sparse matrix: {expected}. Make it dense, with {name}.toarray().")
    if isinstance(y, str | bytes | dict):
        raise ValueError(f"{name} is {shorten(y)}: {expected}.")
    array = as_array(y, name)
    if array.ndim == 0:
        raise ValueError(f"{name} is {shorten(y)}: {expected}.")
    if array.dtype.kind in "US" and isinstance(y, list | tuple):
        array = np.array(y, dtype=object)  # numpy has turned the numbers next to a text into texts.
    _refuse_no_numbers(array, name)
    if array.ndim not in (1, 2) or 0 in array.shape[1:]:
        raise ValueError(f"{name} has the shape {array.shape}: {expected}.")
    if len(array) != n_rows:
        raise ValueError(
            f"{name} has {len(array)} rows, but {rows_name} has {n_rows}: {expected}. "
            f"Found input variables with inconsistent numbers of samples: [{n_rows}, {len(array)}]"
        )
    numbers = as_floats(array, name) if array.dtype.kind == "O" else array.astype(np.float64)
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        place = tuple(map(int, np.argwhere(wrong)[0]))
        # scikit-learn's words come first: its users search for them.
        what = "NaN" if np.isnan(numbers[place]) else "infinity"
        raise ValueError(
            f"Input {name} contains {what}: the target {_place(place)} is {shorten(array[place])}. "
            "Drop the rows without a target."
        )
    return numbers


def _refuse_no_numbers(array: NDArray[Any], name: str) -> None:
    """Refuse text, dates, complex numbers, rows of several lengths and other objects."""
    place = first_no_number(array)
    if place is not None:
        value = array[place]
        if isinstance(value, list | tuple | set | frozenset | np.ndarray):
            raise ValueError(
                f"Row {place[0]} of {name} holds {len(value)} values, {shorten(value)}: expected one number for each "
                "row, or the same number of them in every row."
            )
        refuse_no_number(value, name, f"as the target {_place(place)}", "Give each row a number", in_series=False)
    if array.dtype.kind in "cO":
        for at, value in np.ndenumerate(array):
            if isinstance(value, complex | np.complexfloating):
                raise ValueError(f"Complex data not supported: {name} holds {shorten(value)}, the target {_place(at)}.")


def _place(place: tuple[int, ...]) -> str:
    return f"of row {place[0]}" + (f", column {place[1]}" if len(place) > 1 else "")
