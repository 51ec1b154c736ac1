"""Take rows from any container: list, array, tensor, Series or frame."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.argument_errors import names_argument
from seqclf._validation.frames import advice_for_frames, column_labels, columns, is_frame
from seqclf._validation.numbers import is_missing, shorten, type_of

__all__ = [
    "as_array",
    "check_not_masked",
    "is_missing",
    "is_sparse",
    "is_text",
    "shorten",
    "tensor_array",
    "to_plain_container",
    "unpack_rows",
]


def is_sparse(X: Any) -> bool:
    """Whether X is a sparse matrix or array of scipy. This does not import scipy."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(X))


def to_plain_container(values: Any, name: str) -> Any:
    """Convert a tensor to an array and any other sequence to a list; return everything else unchanged.

    Masked arrays are an error, also inside a list or an object array.
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
    check_not_masked(values, name)
    return values


def tensor_array(tensor: Any) -> NDArray[Any]:
    """A tensor as an array, from any device and with or without a gradient."""
    tensor = tensor.detach().cpu()
    return np.asarray(tensor.float() if "bfloat16" in str(tensor.dtype) else tensor)


def is_masked(kind: type) -> bool:
    """Whether this is a type of masked arrays. This does not import `numpy.ma`, which is slow."""
    masked = sys.modules.get("numpy.ma")
    return masked is not None and issubclass(kind, masked.MaskedArray)


def check_not_masked(X: Any, name: str) -> None:
    """Raise an error for a masked array, also inside a list or object array: numpy would use the masked values."""
    if is_masked(type(X)):
        raise TypeError(f"{name} is a masked array: fill its masked values first, with filled(), or remove them.")
    if isinstance(X, np.ndarray):
        X = X.ravel().tolist() if X.dtype.kind == "O" else ()
    if isinstance(X, list | tuple) and any(map(is_masked, set(map(type, X)))):
        position = next(position for position, value in enumerate(X) if is_masked(type(value)))
        raise TypeError(
            f"{name} holds a masked array at position {position}: fill its masked values first, with filled(), "
            "or remove them."
        )


def as_array(values: Any, name: str) -> NDArray[Any]:
    """Values as an array; rows of unequal length become an object array. `name` is their name in messages."""
    values = to_plain_container(values, name)
    if is_frame(values):
        has_array = hasattr(values, "to_numpy")
        array = values.to_numpy() if has_array else np.column_stack([cells for _, cells in columns(values, name)])
    else:
        try:
            array = np.asarray(values)
        except ValueError:
            array = np.empty(len(values), dtype=object)
            array[:] = values
    check_not_masked(array, name)
    return array


@names_argument
def unpack_rows(X: Any, name: str) -> list[Any] | NDArray[Any]:
    """The rows of X: a list of items, or an array of two or more dimensions.

    A frame or array with a single column of objects or strings becomes the list of its cells; numbers keep their two
    dimensions. `name` is the name of X in messages.
    """
    if isinstance(X, str | bytes):
        raise ValueError(f"{name} is a single {type(X).__name__}, {shorten(X)}: wrap it in a list, [{name}].")
    if is_sparse(X):
        raise TypeError(
            f"Sparse data was passed for {name}, but dense data is required: "
            "a sparse matrix of counts has lost the order of the steps. Pass the sequences themselves."
        )
    X = to_plain_container(X, name)
    rows: list[Any] | NDArray[Any]
    if is_frame(X):
        rows = _frame_rows(X, name)
    elif hasattr(X, "__array__"):
        rows = np.asarray(X)
    elif isinstance(X, Sequence):
        rows = list(X)
    else:
        raise TypeError(
            f"{name} is {type_of(X)}: expected a list, an array, a pandas or polars Series, "
            f"or a frame, with one sequence in each row.{advice_for_frames()}"
        )
    if isinstance(rows, np.ndarray):
        rows = _array_rows(rows, name, X)
    check_not_masked(rows, name)  # rows of an object array or a frame
    if len(rows) == 0:
        shape = getattr(rows, "shape", (0,))
        raise ValueError(f"Found array with 0 sample(s) (shape={shape}) while a minimum of 1 is required: {name}.")
    return rows


def _frame_rows(X: Any, name: str) -> list[Any] | NDArray[Any]:
    labels, arrays = column_labels(X, name), [values for _, values in columns(X, name)]
    if len(arrays) == 1:
        return arrays[0][:, None]
    text_column = next((index for index, values in enumerate(arrays) if is_text(values)), None)
    if text_column is not None:
        raise ValueError(
            f"{name} has {len(labels)} columns, {shorten(labels)}: pick the one that holds the sequences, "
            f"e.g. {name}[{labels[text_column]!r}]."
        )
    if any(values.dtype.kind not in "iufb" for values in arrays):
        arrays = [values.astype(object) for values in arrays]  # numpy has no common dtype for dates and numbers
    return np.column_stack(arrays) if arrays else np.empty((len(X), 0))


def _first_text_column(array: NDArray[Any]) -> int | None:
    """The first column of a 2-D array whose first non-missing value is a text."""
    if array.dtype.kind in "UST":
        return 0
    if array.dtype.kind != "O":
        return None
    return next((index for index, values in enumerate(array.T) if is_text(values)), None)


def is_text(values: NDArray[Any]) -> bool:
    """Whether the first non-missing value of a column is a text."""
    if values.dtype.kind != "O":
        return values.dtype.kind in "UST"
    return isinstance(next((value for value in values if not is_missing(value)), None), str)


def _array_rows(array: NDArray[Any], name: str, X: Any) -> list[Any] | NDArray[Any]:
    if array.ndim == 0:
        raise TypeError(f"{name} is {type_of(X)} without rows, {shorten(array)}: expected one sequence in each row.")
    if array.dtype.kind in "OUST" and array.ndim == 2:
        if array.shape[1] == 1:
            array = array[:, 0]
        elif (text_column := _first_text_column(array)) is not None:
            raise ValueError(
                f"{name} has {array.shape[1]} columns: pick the one that holds the sequences, e.g. "
                f"{name}[:, {text_column}]. If each row is a list of tokens, pass {name}.tolist()."
            )
    if array.ndim == 1:
        return array.tolist() if array.dtype.kind in "UST" else list(array)
    return array
