"""Taking rows out of whatever container they come in: list, array, Series or frame."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.frames import advice_for_frames, column_labels, columns, is_frame
from seqclf._validation.numbers import is_missing, shorten
from seqclf._validation.reading import names_its_input

__all__ = [
    "as_array",
    "is_missing",
    "is_sparse",
    "is_text",
    "plain",
    "refuse_masked",
    "shorten",
    "tensor_array",
    "unpack_rows",
]


def is_sparse(X: Any) -> bool:
    """Whether X is a sparse matrix or array of scipy; where scipy was not imported, it is not."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(X))


def plain(values: Any, name: str) -> Any:
    """Values in a list, tuple, array, Series or frame, whatever sequence or tensor they come in; others as they are.

    Masked arrays are refused in all of them.
    """
    if hasattr(values, "detach"):
        is_nested = getattr(values, "is_nested", False)
        values = list(map(tensor_array, values.unbind())) if is_nested else tensor_array(values)
    elif (
        isinstance(values, Sequence)
        and not isinstance(values, list | tuple | str | bytes | bytearray)
        and not hasattr(values, "__array__")
    ):
        values = list(values)
    refuse_masked(values, name)
    return values


def tensor_array(tensor: Any) -> NDArray[Any]:
    """A tensor as an array, whatever device it is on and whether or not it has a gradient."""
    tensor = tensor.detach().cpu()
    return np.asarray(tensor.float() if "bfloat16" in str(tensor.dtype) else tensor)


def is_masked(kind: type) -> bool:
    """Whether it is a type of masked arrays, of which there is none before `numpy.ma` is imported, which takes long."""
    masked = sys.modules.get("numpy.ma")
    return masked is not None and issubclass(kind, masked.MaskedArray)


def refuse_masked(X: Any, name: str) -> None:
    """Refuse a masked array, and a list or an object array that holds one: numpy would read what is under the mask."""
    if is_masked(type(X)):
        raise TypeError(f"{name} is a masked array: fill its masked values first, with filled(), or leave them out.")
    if isinstance(X, np.ndarray):
        X = X.ravel().tolist() if X.dtype.kind == "O" else ()
    if isinstance(X, list | tuple) and any(map(is_masked, set(map(type, X)))):
        position = next(position for position, value in enumerate(X) if is_masked(type(value)))
        raise TypeError(
            f"{name} holds a masked array at position {position}: fill its masked values first, with filled(), "
            "or leave them out."
        )


def as_array(values: Any, name: str) -> NDArray[Any]:
    """Values as an array; rows of unequal length become objects. `name` is what messages call them."""
    values = plain(values, name)
    if is_frame(values):
        has_array = hasattr(values, "to_numpy")
        array = values.to_numpy() if has_array else np.column_stack([cells for _, cells in columns(values, name)])
    else:
        try:
            array = np.asarray(values)
        except ValueError:
            array = np.empty(len(values), dtype=object)
            array[:] = values
    refuse_masked(array, name)
    return array


@names_its_input
def unpack_rows(X: Any, name: str) -> list[Any] | NDArray[Any]:
    """One entry for each row: a list of items, or an array of two or more dimensions.

    Frames are never iterated (that would give their column names). A frame or array with a single column of
    objects or strings is that column; numbers keep their two dimensions. `name` is used in messages.
    """
    if isinstance(X, str | bytes):
        raise ValueError(f"{name} is a single {type(X).__name__}, {shorten(X)}: wrap it in a list, [{name}].")
    if is_sparse(X):
        raise TypeError(
            f"Sparse data was passed for {name}, but dense data is required: "
            "a sequence keeps the order of its steps, a sparse matrix of counts does not."
        )
    X = plain(X, name)
    rows: list[Any] | NDArray[Any]
    if is_frame(X):
        rows = _frame_rows(X, name)
    elif hasattr(X, "__array__"):
        rows = np.asarray(X)
    elif isinstance(X, Sequence):
        rows = list(X)
    else:
        raise TypeError(
            f"{name} is a {type(X).__name__}: expected a list, an array, a pandas or polars Series, "
            f"or a frame, with one sequence in each row.{advice_for_frames()}"
        )
    if isinstance(rows, np.ndarray):
        rows = _array_rows(rows, name, X)
    refuse_masked(rows, name)  # rows of an object array or a frame
    if len(rows) == 0:
        shape = getattr(rows, "shape", (0,))
        raise ValueError(f"Found array with 0 sample(s) (shape={shape}) while a minimum of 1 is required: {name}.")
    return rows


def _frame_rows(X: Any, name: str) -> list[Any] | NDArray[Any]:
    labels, arrays = column_labels(X, name), [values for _, values in columns(X, name)]
    if len(arrays) == 1:
        return arrays[0][:, None]
    text = next((place for place, values in enumerate(arrays) if is_text(values)), None)
    if text is not None:
        raise ValueError(
            f"{name} has {len(labels)} columns, {shorten(labels)}: pick the one that holds the sequences, "
            f"e.g. {name}[{labels[text]!r}]."
        )
    if any(values.dtype.kind not in "iufb" for values in arrays):
        arrays = [values.astype(object) for values in arrays]  # numpy has no type for dates next to numbers
    return np.column_stack(arrays) if arrays else np.empty((len(X), 0))


def _first_text_column(array: NDArray[Any]) -> int | None:
    """The first column of a 2-D array whose first value, missing ones left out, is a text."""
    if array.dtype.kind in "UST":
        return 0
    if array.dtype.kind != "O":
        return None
    return next((place for place, values in enumerate(array.T) if is_text(values)), None)


def is_text(values: NDArray[Any]) -> bool:
    """Whether the first value of a column, missing ones left out, is a text."""
    if values.dtype.kind != "O":
        return values.dtype.kind in "UST"
    return isinstance(next((value for value in values if not is_missing(value)), None), str)


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
                f"{name} has {array.shape[1]} columns: pick the one that holds the sequences, e.g. {name}[:, {text}]. "
                f"If each row is a list of tokens: {name}.tolist()."
            )
    if array.ndim == 1:
        return array.tolist() if array.dtype.kind in "UST" else list(array)
    return array
