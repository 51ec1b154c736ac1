"""Frames of pandas, polars, arrow and others: their columns as arrays. narwhals tells them apart and imports none."""

from collections.abc import Iterator
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.dependencies import is_into_dataframe, is_into_series, is_pandas_dataframe
from numpy.typing import NDArray

from seqclf._validation.numbers import as_floats, first_no_number, is_missing, refuse_no_number, shorten


def is_frame(X: Any) -> bool:
    """Whether X is a frame of any library."""
    return not isinstance(X, list | tuple | np.ndarray) and is_into_dataframe(X)  # the latter is slow for many rows


def column_labels(X: Any, where: str) -> list[Any]:
    """The labels of the columns, which must differ."""
    labels = list(X.column_names if hasattr(X, "column_names") else X.columns)
    twice = next((label for place, label in enumerate(labels) if label in labels[:place]), None)
    if twice is not None:
        raise ValueError(f"{where} has two columns called {twice!r}: rename one of them, or leave it out.")
    return labels


def columns(X: Any, where: str) -> Iterator[tuple[Any, NDArray[Any]]]:
    """Label and values of each column; values that are lists or arrays come as an array of objects."""
    labels = column_labels(X, where)
    for label, column in zip(labels, nw.from_native(X, eager_only=True).iter_columns(), strict=True):
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
    if is_pandas_dataframe(X) or all(map(_is_plain, nw.from_native(X, eager_only=True).schema.values())):
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
    return bool(dtype.is_numeric() or dtype == nw.Boolean)


def holds_structs(X: Any, name: str) -> bool:
    """Whether a frame or Series of polars or arrow has structs in it, whose fields have names."""
    if is_into_dataframe(X):
        column_labels(X, name)
        dtypes = list(nw.from_native(X, eager_only=True).schema.values())
    else:
        dtypes = [nw.from_native(X, series_only=True).dtype] if is_into_series(X) else []
    return any("Struct(" in str(dtype) for dtype in dtypes)


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
