"""`series_from_frame`: convert a frame with one row for each step to series."""

from collections.abc import Sequence
from typing import Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._validation.argument_errors import argument_errors
from seqclf._validation.containers import shorten
from seqclf._validation.frames import column_labels, is_frame
from seqclf._validation.numbers import as_floats, first_non_number, type_of

_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}


def series_from_frame(
    frame: Any,
    *,
    id: Any,
    time: Any = None,
    values: Any = None,
    time_as: Literal["delta"] | None = None,
) -> tuple[NDArray[np.object_], NDArray[Any]]:
    """Convert a frame in long format, with one row for each step, to series.

    Parameters
    ----------
    frame : frame of pandas, polars or arrow
        One row for each step of each series, in any order.
    id : label
        The column that says which series a row belongs to. In pandas, `id` and `time` can be levels of the index.
    time : label, default=None
        The column by which the steps of each series are sorted: numbers, dates, times or durations. Rows with equal
        times keep their order. None keeps the order of all rows.
    values : label or list of labels, default=None
        The columns that become channels, in this order. None means all columns except `id` and `time`.
    time_as : {"delta"} or None, default=None
        "delta" adds a last channel, log(1 + time since the previous step), for irregular time steps. It is 0 at the
        first step. The unit of dates and durations is the second.

    Returns
    -------
    X : ndarray of shape (n_series,), dtype object
        One float64 array (n_steps, n_channels) for each series. Missing values are NaN.
    ids : ndarray of shape (n_series,)
        The id of each series, in order of first occurrence in the frame. The targets that you pass to `fit` must have
        this order.

    Raises
    ------
    TypeError
        If `frame` is not a frame.
    ValueError
        If a column does not exist or is not numeric, an id or a time is missing, or `time_as` is "delta" without
        `time`. The message names the column or row.

    See Also
    --------
    RNNClassifier, RNNRegressor, RNNTagger : Accept the returned X.

    Examples
    --------
    >>> import pandas as pd
    >>> from seqclf import series_from_frame
    >>> frame = pd.DataFrame(
    ...     {"who": ["b", "a", "b", "a", "b"], "second": [3, 1, 1, 2, 2], "x": [0.3, 1.0, 0.1, 2.0, 0.2]}
    ... )
    >>> X, ids = series_from_frame(frame, id="who", time="second")
    >>> ids
    array(['b', 'a'], dtype=object)
    >>> X[0]
    array([[0.1],
           [0.2],
           [0.3]])

    If labels are indexed by id, this puts them in the order of X:

    >>> labels = pd.Series({"a": "ill", "b": "well"})
    >>> labels.loc[ids].to_numpy()
    array(['well', 'ill'], dtype=object)
    """
    if time_as not in (None, "delta"):
        raise ValueError(f"time_as must be 'delta' or None. Got {shorten(time_as)} instead.")
    if time_as is not None and time is None:
        raise ValueError(
            "time_as='delta' needs a time column, but time is None: pass the label of the column as time=..."
        )
    with argument_errors("frame"):
        columns = _open(frame, id, time)
        series_of_row, ids = _index_ids(columns[id], id)
        channels = _channels(columns, _value_columns(list(columns), id, time, values))
        lengths = np.bincount(series_of_row, minlength=len(ids)).astype(np.int64)
        if time is None:
            order = np.argsort(series_of_row, kind="stable")
        else:
            times, seconds = _times(columns[time], time)
            order = _order(series_of_row, times)
            if time_as == "delta":
                since = np.empty(len(times))
                since[order] = _since_previous_step(times[order], lengths, seconds)
                channels.append(np.log1p(since))
        return Ragged(np.column_stack(channels)[order], lengths).items(), ids


def _open(frame: Any, id: Any, time: Any) -> dict[Any, "nw.Series[Any]"]:
    """All columns by label, including `id` and `time`; narwhals can't select columns by integer labels."""
    if not is_frame(frame):
        advice = " Pass frame.collect()." if type(frame).__name__ == "LazyFrame" else ""
        raise TypeError(f"frame is {type_of(frame)}: expected a frame of pandas, polars or arrow.{advice}")
    labels = column_labels(frame, "frame")
    levels = list(getattr(getattr(frame, "index", None), "names", None) or ())
    in_index = [label for label in (id, time) if label is not None and label not in labels and label in levels]
    if in_index:
        frame = frame.reset_index(level=in_index)
        labels = column_labels(frame, "frame")
    for role, label in (("id", id), ("time", time)):
        if label not in labels and not (role == "time" and label is None):
            raise ValueError(
                f"{role}={shorten(label)} is not a column of frame: its columns are {shorten(labels, 200)}."
            )
    if not len(frame):
        raise ValueError("frame has no rows: expected one row for each step.")
    return dict(zip(labels, nw.from_native(frame, eager_only=True).iter_columns(), strict=True))


def _value_columns(labels: Sequence[Any], id: Any, time: Any, values: Any) -> list[Any]:
    """The labels of the columns that become channels."""
    if values is None:
        selected = [label for label in labels if label not in (id, time)]
    else:
        selected = [values] if values in labels or not isinstance(values, list | tuple) else list(values)
    for label in selected:
        if label not in labels:
            raise ValueError(
                f"values names {shorten(label)}, which is not a column of frame: its columns are "
                f"{shorten(labels, 200)}."
            )
        if label == id or selected.count(label) > 1:
            raise ValueError(
                f"values names the column {label!r} of frame{', which is the id' if label == id else ' twice'}: "
                "remove it."
            )
    if not selected:
        raise ValueError(
            f"frame has no columns besides id and time, {shorten(list(labels))}: expected a column of values."
        )
    return selected


def _index_ids(column: Any, label: Any) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The index of the series of each row, from 0 in order of first occurrence, and the ids of the series."""
    _check_not_missing(column, "id", label)
    ids_of_rows = column.to_list()
    indices = {one: index for index, one in enumerate(dict.fromkeys(ids_of_rows))}
    series_of_row = np.fromiter(map(indices.__getitem__, ids_of_rows), dtype=np.int64, count=len(ids_of_rows))
    _, first = np.unique(series_of_row, return_index=True)
    if getattr(column.dtype, "time_zone", None) is not None:  # numpy has no time zones
        ids = np.empty(len(first), dtype=object)
        ids[:] = [ids_of_rows[row] for row in first]
        return series_of_row, ids
    return series_of_row, column.to_numpy()[first]


def _channels(columns: dict[Any, "nw.Series[Any]"], labels: list[Any]) -> list[NDArray[np.float64]]:
    """The columns as float64; an error names the columns that are not numeric."""
    arrays = [columns[label].to_numpy() for label in labels]
    wrong = {}
    for label, array in zip(labels, arrays, strict=True):
        index = first_non_number(array)
        if index is not None or array.dtype.kind == "c":
            wrong[label] = shorten(array[index or 0])
    if wrong:
        named = ", ".join(f"{label!r} (holds {value})" for label, value in wrong.items())
        good = [label for label in labels if label not in wrong]
        raise ValueError(
            f"These columns of frame are not numeric: {named}. Convert them to numbers"
            + (f", or select the columns that become channels: values={shorten(good, 200)}." if good else ".")
        )
    return [
        as_floats(array, f"Column {label!r} of frame") if array.dtype.kind == "O" else array.astype(np.float64)
        for label, array in zip(labels, arrays, strict=True)
    ]


def _times(column: Any, label: Any) -> tuple[NDArray[Any], float]:
    """The times as numbers, and their unit in seconds (1 for plain numbers)."""
    _check_not_missing(column, "time", label)
    dtype, values = column.dtype, column.to_numpy()
    if len(values) and first_non_number(values) is None:
        times = as_floats(values, f"time={label!r}") if values.dtype.kind in "Oc" else values
        if not np.isfinite(times).all():
            row = int(np.argmin(np.isfinite(times)))
            raise ValueError(
                f"time={label!r} holds {shorten(values[row])} in row {row} of frame: expected finite numbers."
            )
        return times, 1.0
    if dtype == nw.Date:
        column, dtype = column.cast(nw.Datetime("us")), nw.Datetime("us")
    if dtype in (nw.Datetime, nw.Duration):
        unit = dtype.time_unit if dtype.time_unit in _SECONDS else "ms"
        if dtype == nw.Datetime:
            return column.dt.timestamp(unit).to_numpy(), _SECONDS[unit]
        names = {"ns": "total_nanoseconds", "us": "total_microseconds", "ms": "total_milliseconds"}
        return getattr(column.dt, names[unit])().to_numpy(), _SECONDS[unit]
    try:
        kind = "m8[us]" if hasattr(values[0], "total_seconds") else "M8[us]"
        if any(isinstance(value, str | bytes) for value in values):
            raise ValueError("text")
        return np.array(list(values), dtype=kind).astype(np.int64), _SECONDS["us"]
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"time={label!r} holds {shorten(values[0]) if len(values) else dtype} in row 0: expected numbers, dates or "
            f"durations. Convert text to dates first, e.g. with pandas.to_datetime(frame[{label!r}])."
        ) from error


def _order(series_of_row: NDArray[np.int64], times: NDArray[Any]) -> NDArray[np.int64]:
    """The positions of the rows, sorted by series and then by time. The sort is stable."""
    current, previous = series_of_row[1:], series_of_row[:-1]
    is_sorted = (current > previous) | ((current == previous) & (times[1:] >= times[:-1]))
    return np.arange(len(series_of_row)) if is_sorted.all() else np.lexsort((times, series_of_row))


def _since_previous_step(times: NDArray[Any], lengths: NDArray[np.int64], unit: float) -> NDArray[np.float64]:
    """The time since the previous step, 0 at the first step of each series."""
    since = np.zeros(len(times))
    # Differences overflow in small integer types, and in int64 if the times are very far apart.
    is_exact = times.dtype.kind != "f" and int(times.max()) - int(times.min()) <= np.iinfo(np.int64).max
    wide = (times - times.min() if times.dtype == np.uint64 else times).astype(np.int64 if is_exact else np.float64)
    since[1:] = (wide[1:] - wide[:-1]) * unit
    since[np.cumsum(lengths) - lengths] = 0.0
    return since


def _check_not_missing(column: Any, role: str, label: Any) -> None:
    missing = column.is_null().to_numpy()
    if column.dtype.is_float():
        missing = missing | np.isnan(column.to_numpy())
    if missing.any():
        row = int(np.argmax(missing))
        raise ValueError(
            f"Row {row} of frame has no {role}: column {label!r} is missing there. Drop such rows, or fill them."
        )
