"""Taking rows out of whatever container they come in: list, array, pandas or polars, without importing the latter."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def shorten(value: Any, limit: int = 60) -> str:
    """The repr of a value, cut in the middle where it is long: error messages stay readable."""
    if isinstance(value, str | bytes) and len(value) > limit:
        value = value[:limit]  # the repr of a whole book would be made only to be cut
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else f"{text[: limit - 20]}...{text[-15:]}"


def is_missing(value: Any) -> bool:
    """None, NaN, and what pandas has for them."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


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
    if isinstance(X, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: fill its masked values first, e.g. with {name}.filled().")
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
    if array.dtype == object and any(isinstance(value, str) for value in array[:1].ravel()):
        raise ValueError(
            f"{name} has {len(columns)} columns, {shorten(columns)}: pick the one that holds the sequences, "
            f"e.g. {name}[{columns[-1]!r}]."
        )
    return array


def _array_rows(array: NDArray[Any], name: str, X: Any) -> list[Any] | NDArray[Any]:
    if array.ndim == 0:
        raise TypeError(
            f"{name} is a {type(X).__name__} without rows, {shorten(X)}: expected one sequence in each row."
        )
    if array.dtype.kind in "OUST" and array.ndim == 2:
        if array.shape[1] == 1:
            array = array[:, 0]
        elif array.dtype.kind != "O" or any(isinstance(value, str) for value in array[:1].ravel()):
            raise ValueError(
                f"{name} has {array.shape[1]} columns of text: pick the one that holds the sequences, "
                f"e.g. {name}[:, 0]."
            )
    if array.ndim == 1:
        return array.tolist() if array.dtype.kind in "UST" else list(array)
    return array
