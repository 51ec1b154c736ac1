"""Taking rows out of whatever container they come in: list, array, pandas or polars, without importing the latter."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def shorten(value: Any, limit: int = 60) -> str:
    """The repr of a value, cut in the middle where it is long: error messages stay readable."""
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0 and value.dtype.kind not in "mM":
        value = value.item()  # True, not array(True) or np.True_
    if isinstance(value, str | bytes) and len(value) > limit:
        value = value[:limit]  # the repr of a whole book would be made only to be cut
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else f"{text[: limit - 20]}...{text[-15:]}"


def is_missing(value: Any) -> bool:
    """None, NaN, NaT, and what pandas has for them."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def refuse_masked(X: Any, name: str) -> None:
    """Refuse a masked array, and a list that holds one: numpy would read the values under the mask."""
    if isinstance(X, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array: fill its masked values first, with filled(), or leave these steps out."
        )
    if isinstance(X, list | tuple) and any(issubclass(one, np.ma.MaskedArray) for one in set(map(type, X))):
        position = next(position for position, value in enumerate(X) if isinstance(value, np.ma.MaskedArray))
        raise TypeError(
            f"{name} holds a masked array at position {position}: fill its masked values first, with filled(), "
            "or leave them out."
        )


def unpack_rows(X: Any, name: str) -> list[Any] | NDArray[Any]:
    """One entry for each row: a list of items, or an array of two or more dimensions.

    Frames are never iterated (that would give their column names). A frame or array with a single column of
    objects or strings is that column; numbers keep their two dimensions. `name` is used in messages.
    """
    if isinstance(X, str | bytes):
        raise ValueError(f"{name} is a single {type(X).__name__}, {shorten(X)}: wrap it in a list, [{name}].")
    if type(X).__module__.startswith("scipy.sparse"):
        raise TypeError(
            f"Sparse data was passed for {name}, but dense data is required: "
            "a sequence keeps the order of its steps, a sparse matrix of counts does not."
        )
    refuse_masked(X, name)
    rows: list[Any] | NDArray[Any]
    if _is_frame(X):
        rows = _frame_rows(X, name)
    elif hasattr(X, "__array__"):
        rows = np.asarray(X)
    elif isinstance(X, Sequence):
        rows = list(X)
    else:
        raise TypeError(
            f"{name} is a {type(X).__name__}: expected a list, an array, a pandas or polars Series, "
            "or a frame, with one sequence in each row."
        )
    if isinstance(rows, np.ndarray):
        rows = _array_rows(rows, name, X)
    refuse_masked(rows, name)  # rows of an object array or a frame
    if len(rows) == 0:
        shape = getattr(rows, "shape", (0,))
        raise ValueError(f"Found array with 0 sample(s) (shape={shape}) while a minimum of 1 is required: {name}.")
    return rows


def _is_frame(X: Any) -> bool:
    # Only a library that is loaded can have made X, so nothing is imported here.
    return any(
        library in sys.modules and isinstance(X, getattr(sys.modules[library], "DataFrame", ()))
        for library in ("pandas", "polars")
    )


def _frame_rows(X: Any, name: str) -> NDArray[Any]:
    columns = list(X.columns)
    if len(columns) == 1:
        column = np.asarray(X.iloc[:, 0] if hasattr(X, "iloc") else X[:, 0])
        return column[:, None]
    array = X.to_numpy()
    text = _first_text_column(array)
    if text is not None:
        raise ValueError(
            f"{name} has {len(columns)} columns, {shorten(columns)}: pick the one that holds the sequences, "
            f"e.g. {name}[{columns[text]!r}]."
        )
    return array


def _first_text_column(array: NDArray[Any]) -> int | None:
    """The first column of a 2-D array whose first value, missing ones left out, is a text."""
    if array.dtype.kind in "UST":
        return 0
    if array.dtype.kind != "O":
        return None
    for place, column in enumerate(array.T):
        if isinstance(next((value for value in column if not is_missing(value)), None), str):
            return place
    return None


def _array_rows(array: NDArray[Any], name: str, X: Any) -> list[Any] | NDArray[Any]:
    if array.ndim == 0:
        raise TypeError(
            f"{name} is a {type(X).__name__} without rows, {shorten(array)}: expected one sequence in each row."
        )
    if array.dtype.kind in "OUST" and array.ndim == 2:
        if array.shape[1] == 1:
            array = array[:, 0]
        elif (text := _first_text_column(array)) is not None:
            raise ValueError(
                f"{name} has {array.shape[1]} columns: pick the one that holds the sequences, e.g. {name}[:, {text}]."
            )
    if array.ndim == 1:
        return array.tolist() if array.dtype.kind in "UST" else list(array)
    return array
