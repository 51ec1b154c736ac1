"""Frames of pandas, polars, arrow and others: their columns as arrays.

narwhals recognises frames without importing their libraries. It is imported only for objects that look like a frame or
Series. Without it, frames of pandas, polars and arrow are accessed by their own methods, which is enough for columns of
numbers and of texts.
"""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.numbers import as_floats, first_non_number, is_missing, raise_not_a_number, shorten

# Common types that are not frames.
_NOT_FRAMES = (list, tuple, np.ndarray, str, dict)
# Every frame class has at least one of the first attributes, and every Series class at least one of the second.
_FRAME_ATTRIBUTES = ("columns", "column_names", "__narwhals_dataframe__")
_SERIES_ATTRIBUTES = ("to_numpy", "__narwhals_series__")
_FRAMES = {("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "Table")}


def is_frame(X: Any) -> bool:
    """Whether X is a frame of any library."""
    if isinstance(X, _NOT_FRAMES) or not any(hasattr(type(X), name) for name in _FRAME_ATTRIBUTES):
        return False
    narwhals = _narwhals()
    if narwhals is None:
        return any((base.__module__.partition(".")[0], base.__name__) in _FRAMES for base in type(X).__mro__)
    return bool(narwhals.dependencies.is_into_dataframe(X))


def column_labels(X: Any, where: str) -> list[Any]:
    """The labels of the columns; duplicates are an error."""
    labels = list(X.column_names if hasattr(X, "column_names") else X.columns)
    duplicate = next((label for index, label in enumerate(labels) if label in labels[:index]), None)
    if duplicate is not None:
        raise ValueError(f"{where} has two columns named {duplicate!r}: rename or drop one of them.")
    return labels


def columns(X: Any, where: str) -> Iterator[tuple[Any, NDArray[Any]]]:
    """The label and the values of each column; if the values are lists or arrays, in an object array."""
    labels, narwhals = column_labels(X, where), _narwhals()
    if narwhals is None:
        natives = map(X.__getitem__, labels)
    else:
        natives = narwhals.from_native(X, eager_only=True).iter_columns()
    for label, column in zip(labels, natives, strict=True):
        values = column.to_numpy()
        if values.ndim > 1:  # polars makes a 2-D array of lists of equal length
            rows, values = values, np.empty(len(values), dtype=object)
            values[:] = list(rows)
        yield label, values


def channel_names(X: Any, where: str) -> tuple[str, ...] | None:
    """The labels of the columns as texts; None for the default labels of pandas, 0, 1, 2, ..."""
    labels = column_labels(X, where)
    return None if labels == list(range(len(labels))) else tuple(map(str, labels))


def frame_to_array(X: Any, where: str, row_name: str = "row") -> NDArray[Any]:
    """A numeric frame as an array (rows, columns); messages call a row of it `row_name`."""
    dtypes = None if _is_pandas(X) else _dtypes(X)
    if _is_pandas(X) or (dtypes is not None and all(map(_is_plain, dtypes))):
        array = np.asarray(X)
        if array.dtype.kind in "iufb":
            column_labels(X, where)
            return array
    numeric = []
    for label, values in columns(X, where):
        check_numeric_column(label, values, where, row_name)
        numeric.append(as_floats(values, f"Column {label!r} of {where}") if values.dtype.kind == "O" else values)
    return np.column_stack(numeric) if numeric else np.empty((len(X), 0))


def check_numeric_column(label: Any, values: NDArray[Any], where: str, row_name: str = "row") -> None:
    """Raise an error if a column holds text, dates or other values that are not numbers."""
    where = where[0].lower() + where[1:] if where.startswith("Row ") else where
    if values.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: column {label!r} of {where}. Pass real numbers.")
    index = first_non_number(values)
    if index is not None:
        row = int(index[0])
        raise_not_a_number(values[row], f"Column {label!r} of {where}", f"in {row_name} {row}", "Drop the column")


def _is_plain(dtype: Any) -> bool:
    return bool(dtype.is_numeric() or str(dtype) == "Boolean")


def _dtypes(X: Any) -> list[Any] | None:
    """The dtypes of the columns; None without narwhals."""
    narwhals = _narwhals()
    return None if narwhals is None else list(narwhals.from_native(X, eager_only=True).schema.values())


def _is_pandas(X: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(X, pandas.DataFrame)


def holds_structs(X: Any, name: str) -> bool:
    """Whether a frame or Series of polars or arrow contains structs."""
    dtypes: list[Any] = []
    if is_frame(X):
        column_labels(X, name)
        dtypes = _dtypes(X) or []
    elif not isinstance(X, _NOT_FRAMES) and any(hasattr(type(X), name) for name in _SERIES_ATTRIBUTES):
        narwhals = _narwhals()
        if narwhals is not None and narwhals.dependencies.is_into_series(X):
            dtypes = [narwhals.from_native(X, series_only=True).dtype]
    return any("Struct(" in str(dtype) for dtype in dtypes)


def advice_for_frames() -> str:
    """Advice to install narwhals, if it is missing, for an object that can't be converted without it."""
    if _narwhals() is not None:
        return ""
    return " Frames of libraries other than pandas, polars and arrow need the package narwhals: pip install narwhals."


def _narwhals() -> Any:
    """The package narwhals, or None if it is not installed."""
    try:
        import narwhals
        import narwhals.dependencies
    except ImportError:
        return None
    return narwhals


def is_nested(X: Any, name: str) -> bool:
    """Whether a frame has a column with a sequence in each cell."""
    return any(_holds_sequences(values) for _, values in columns(X, name))


def nested_columns(X: Any, name: str) -> list[tuple[Any, NDArray[Any]]]:
    """The label and the cells of each column of a nested frame; a column that does not hold series is an error."""
    all_columns = list(columns(X, name))
    nested = [label for label, values in all_columns if _holds_sequences(values)]
    for label, values in all_columns:
        if label not in nested:
            raise ValueError(
                f"Column {label!r} of {name} holds {shorten(values[0])} in row 0, but column {nested[0]!r} holds "
                f"series: each column must be a channel, with a series in every cell. Drop {label!r}."
            )
    return all_columns


def is_sequence(value: Any) -> bool:
    """Whether a cell holds several values: a list, an array or a Series. A text is a single value."""
    return hasattr(value, "__len__") and not isinstance(value, str | bytes | dict) and np.ndim(value) > 0


def _holds_sequences(values: NDArray[Any]) -> bool:
    if values.dtype.kind != "O":
        return False
    return is_sequence(next((value for value in values if not is_missing(value)), None))
