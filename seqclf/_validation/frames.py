"""Frames of pandas, polars, arrow and others: their columns as arrays. narwhals tells them apart and imports none.

narwhals is imported only for what looks like a frame or Series. Without it, frames of pandas, polars and arrow are read
by their own methods, which is enough for columns of numbers and of texts.
"""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.numbers import as_floats, first_no_number, is_missing, refuse_no_number, shorten

# What rows usually are, and the attributes of which the class of any frame, or Series, has one.
_NO_FRAMES = (list, tuple, np.ndarray, str, dict)
_OF_FRAMES = ("columns", "column_names", "__narwhals_dataframe__")
_OF_SERIES = ("to_numpy", "__narwhals_series__")
_FRAMES = {("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "Table")}


def is_frame(X: Any) -> bool:
    """Whether X is a frame of any library."""
    if isinstance(X, _NO_FRAMES) or not any(hasattr(type(X), name) for name in _OF_FRAMES):
        return False
    narwhals = _narwhals()
    if narwhals is None:
        return any((one.__module__.partition(".")[0], one.__name__) in _FRAMES for one in type(X).__mro__)
    return bool(narwhals.dependencies.is_into_dataframe(X))


def column_labels(X: Any, where: str) -> list[Any]:
    """The labels of the columns, which must differ."""
    labels = list(X.column_names if hasattr(X, "column_names") else X.columns)
    twice = next((label for place, label in enumerate(labels) if label in labels[:place]), None)
    if twice is not None:
        raise ValueError(f"{where} has two columns called {twice!r}: rename one of them, or leave it out.")
    return labels


def columns(X: Any, where: str) -> Iterator[tuple[Any, NDArray[Any]]]:
    """Label and values of each column; values that are lists or arrays come as an array of objects."""
    labels, narwhals = column_labels(X, where), _narwhals()
    if narwhals is None:
        natives = map(X.__getitem__, labels)
    else:
        natives = narwhals.from_native(X, eager_only=True).iter_columns()
    for label, column in zip(labels, natives, strict=True):
        values = column.to_numpy()
        if values.ndim > 1:  # polars makes one array of lists that have one length
            rows, values = values, np.empty(len(values), dtype=object)
            values[:] = list(rows)
        yield label, values


def channel_names(X: Any, where: str) -> tuple[str, ...] | None:
    """The labels of the columns as text; None where they only count the columns, as pandas does by itself."""
    labels = column_labels(X, where)
    return None if labels == list(range(len(labels))) else tuple(map(str, labels))


def numbers_of(X: Any, where: str, row_name: str = "row") -> NDArray[Any]:
    """A frame of numbers as an array (rows, columns); `row_name` is what messages call a row of it."""
    dtypes = None if _is_of_pandas(X) else _dtypes(X)
    if _is_of_pandas(X) or (dtypes is not None and all(map(_is_plain, dtypes))):
        array = np.asarray(X)
        if array.dtype.kind in "iufb":
            column_labels(X, where)
            return array
    numeric = []
    for label, values in columns(X, where):
        refuse_column(label, values, where, row_name)
        numeric.append(as_floats(values, f"Column {label!r} of {where}") if values.dtype.kind == "O" else values)
    return np.column_stack(numeric) if numeric else np.empty((len(X), 0))


def refuse_column(label: Any, values: NDArray[Any], where: str, row_name: str = "row") -> None:
    """Raise an error where a column holds text, dates, or something else that is no number."""
    where = where[0].lower() + where[1:] if where.startswith("Row ") else where
    if values.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: column {label!r} of {where}.")
    wrong = first_no_number(values)
    if wrong is not None:
        place = int(wrong[0])
        refuse_no_number(
            values[place], f"Column {label!r} of {where}", f"in {row_name} {place}", "Leave the column out"
        )


def _is_plain(dtype: Any) -> bool:
    return bool(dtype.is_numeric() or str(dtype) == "Boolean")


def _dtypes(X: Any) -> list[Any] | None:
    """What narwhals says that columns are; None without it."""
    narwhals = _narwhals()
    return None if narwhals is None else list(narwhals.from_native(X, eager_only=True).schema.values())


def _is_of_pandas(X: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(X, pandas.DataFrame)


def holds_structs(X: Any, name: str) -> bool:
    """Whether a frame or Series of polars or arrow has structs in it, whose fields have names."""
    dtypes: list[Any] = []
    if is_frame(X):
        column_labels(X, name)
        dtypes = _dtypes(X) or []
    elif not isinstance(X, _NO_FRAMES) and any(hasattr(type(X), name) for name in _OF_SERIES):
        narwhals = _narwhals()
        if narwhals is not None and narwhals.dependencies.is_into_series(X):
            dtypes = [narwhals.from_native(X, series_only=True).dtype]
    return any("Struct(" in str(dtype) for dtype in dtypes)


def advice_for_frames() -> str:
    """What to say of something that can't be read, where narwhals might read it."""
    if _narwhals() is not None:
        return ""
    return " Frames of other libraries than pandas, polars and arrow need the package narwhals: pip install narwhals."


def _narwhals() -> Any:
    """The package narwhals, or None where it is not installed."""
    try:
        import narwhals
        import narwhals.dependencies
    except ImportError:
        return None
    return narwhals


def is_nested(X: Any, name: str) -> bool:
    """Whether a frame has a column that holds a sequence in each cell."""
    return any(_holds_sequences(values) for _, values in columns(X, name))


def nested_columns(X: Any, name: str) -> list[tuple[Any, NDArray[Any]]]:
    """Label and cells of each column of a nested frame; an error where a column holds something else than series."""
    named = list(columns(X, name))
    nested = [label for label, values in named if _holds_sequences(values)]
    for label, values in named:
        if label not in nested:
            raise ValueError(
                f"Column {label!r} of {name} holds {shorten(values[0])} in row 0, but column {nested[0]!r} holds "
                f"series: each column must be a channel, with a series in every cell. Leave {label!r} out."
            )
    return named


def is_sequence(value: Any) -> bool:
    """Whether a cell holds several values: a list, an array, a Series; a text is one value."""
    return hasattr(value, "__len__") and not isinstance(value, str | bytes | dict) and np.ndim(value) > 0


def _holds_sequences(values: NDArray[Any]) -> bool:
    if values.dtype.kind != "O":
        return False
    return is_sequence(next((value for value in values if not is_missing(value)), None))
