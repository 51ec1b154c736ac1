"""`series_from_frame`: a frame with a row for each step becomes series."""

from collections.abc import Sequence
from typing import Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._validation.containers import shorten
from seqclf._validation.frames import column_labels, is_frame
from seqclf._validation.numbers import as_floats, first_no_number
from seqclf._validation.reading import reading

_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}


def series_from_frame(
    frame: Any,
    *,
    id: Any,
    time: Any = None,
    values: Any = None,
    time_as: Literal["delta"] | None = None,
) -> tuple[NDArray[np.object_], NDArray[Any]]:
    """Make series of a long frame, which has a row for each step.

    Parameters
    ----------
    frame : frame of pandas, polars or arrow
        One row for each step of each series, in any order.
    id : label
        The column that says which series a row belongs to. In pandas it may be a level of the index; so may `time`.
    time : label, default=None
        The column to sort the steps of each series by: numbers, dates, times or durations. None keeps their order.
    values : label or list of labels, default=None
        The columns that become channels, in this order. None takes all but `id` and `time`.
    time_as : {"delta"} or None, default=None
        "delta" adds a last channel, log(1 + time since the step before), for steps at irregular times. It is 0 at the
        first step. Dates and durations count in seconds.

    Returns
    -------
    X : ndarray of shape (n_series,), dtype object
        One float64 array (n_steps, n_channels) for each series. Missing values are NaN.
    ids : ndarray of shape (n_series,)
        The id of each series, in the order in which the frame first has them. Labels have to come in this order.

    Raises
    ------
    TypeError
        If `frame` is no frame.
    ValueError
        If a column is not there or not of numbers, or an id or a time is missing; the message names column or row.

    See Also
    --------
    RNNClassifier, RNNRegressor : Take X as it is.

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

    Labels that are kept by id are brought into the order of X:

    >>> labels = pd.Series({"a": "ill", "b": "well"})
    >>> labels.loc[ids].to_numpy()
    array(['well', 'ill'], dtype=object)
    """
    if time_as not in (None, "delta"):
        raise ValueError(f"time_as must be 'delta' or None. Got {shorten(time_as)} instead.")
    if time_as is not None and time is None:
        raise ValueError("time_as='delta' needs the column of the times: name it with time=.")
    with reading("frame"):
        columns = _open(frame, id, time)
        codes, ids = _number_ids(columns[id], id)
        channels = _channels(columns, _value_columns(list(columns), id, time, values))
        lengths = np.bincount(codes, minlength=len(ids)).astype(np.int64)
        if time is None:
            order = np.argsort(codes, kind="stable")
        else:
            times, seconds = _times(columns[time], time)
            order = _order(codes, times)
            if time_as == "delta":
                since = np.empty(len(codes))
                since[order] = _since_step_before(times[order], lengths, seconds)
                channels.append(np.log1p(since))
        return Ragged(np.column_stack(channels)[order], lengths).items(), ids


def _open(frame: Any, id: Any, time: Any) -> dict[Any, "nw.Series[Any]"]:
    """The columns by their labels, `id` and `time` among them; labels may be numbers, which narwhals takes for rows."""
    if not is_frame(frame):
        advice = ": collect() it first" if type(frame).__name__ == "LazyFrame" else ""
        raise TypeError(f"frame is a {type(frame).__name__}: expected a frame of pandas, polars or arrow{advice}.")
    labels = column_labels(frame, "frame")
    levels = list(getattr(getattr(frame, "index", None), "names", None) or ())
    in_index = [label for label in (id, time) if label is not None and label not in labels and label in levels]
    if in_index:
        frame = frame.reset_index(level=in_index)
        labels = column_labels(frame, "frame")
    for role, label in (("id", id), ("time", time)):
        if label not in labels and not (role == "time" and label is None):
            raise ValueError(f"{role}={shorten(label)} is no column of frame: its columns are {shorten(labels, 200)}.")
    if not len(frame):
        raise ValueError("frame has no rows: expected one for each step.")
    return dict(zip(labels, nw.from_native(frame, eager_only=True).iter_columns(), strict=True))


def _value_columns(labels: Sequence[Any], id: Any, time: Any, values: Any) -> list[Any]:
    """The labels of the columns that become channels."""
    if values is None:
        chosen = [label for label in labels if label not in (id, time)]
    else:
        chosen = [values] if values in labels or not isinstance(values, list | tuple) else list(values)
    for label in chosen:
        if label not in labels:
            raise ValueError(
                f"values has {shorten(label)}, which is no column of frame: its columns are {shorten(labels, 200)}."
            )
        if label == id or chosen.count(label) > 1:
            raise ValueError(f"values has {label!r}, {'the id' if label == id else 'twice'}: leave it out.")
    if not chosen:
        raise ValueError(f"frame has no column besides id and time, {shorten(list(labels))}: expected values too.")
    return chosen


def _number_ids(column: Any, label: Any) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The number of the id of each row, from 0 in the order in which ids are first met, and the ids."""
    _refuse_missing(column, "id", label)
    found = column.to_list()
    numbers = {one: number for number, one in enumerate(dict.fromkeys(found))}
    codes = np.fromiter(map(numbers.__getitem__, found), dtype=np.int64, count=len(found))
    _, first = np.unique(codes, return_index=True)
    if getattr(column.dtype, "time_zone", None) is not None:  # numpy has no time zones
        ids = np.empty(len(first), dtype=object)
        ids[:] = [found[row] for row in first]
        return codes, ids
    return codes, column.to_numpy()[first]


def _channels(columns: dict[Any, "nw.Series[Any]"], labels: list[Any]) -> list[NDArray[np.float64]]:
    """The columns as float64; an error names those that do not hold numbers."""
    arrays = [columns[label].to_numpy() for label in labels]
    wrong = {}
    for label, array in zip(labels, arrays, strict=True):
        place = first_no_number(array)
        if place is not None or array.dtype.kind == "c":
            wrong[label] = shorten(array[place or 0])
    if wrong:
        named = ", ".join(f"{label!r} (holds {value})" for label, value in wrong.items())
        good = [label for label in labels if label not in wrong]
        raise ValueError(
            f"These columns of frame hold no numbers: {named}. Turn them into numbers"
            + (f", or name the columns that become channels: values={shorten(good, 200)}." if good else ".")
        )
    return [
        as_floats(array, f"Column {label!r} of frame") if array.dtype.kind == "O" else array.astype(np.float64)
        for label, array in zip(labels, arrays, strict=True)
    ]


def _times(column: Any, label: Any) -> tuple[NDArray[Any], float]:
    """The times as numbers, and how many seconds one of their units has (1 for plain numbers)."""
    _refuse_missing(column, "time", label)
    dtype, values = column.dtype, column.to_numpy()
    if len(values) and first_no_number(values) is None:
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
            f"durations. Turn text into dates first, e.g. with pandas.to_datetime(frame[{label!r}])."
        ) from error


def _order(codes: NDArray[np.int64], times: NDArray[Any]) -> NDArray[np.int64]:
    """The positions of the rows, sorted by series and then by time; rows of one time stay in their order."""
    sorted_already = (codes[1:] > codes[:-1]) | ((codes[1:] == codes[:-1]) & (times[1:] >= times[:-1]))
    return np.arange(len(codes)) if sorted_already.all() else np.lexsort((times, codes))


def _since_step_before(times: NDArray[Any], lengths: NDArray[np.int64], unit: float) -> NDArray[np.float64]:
    """The time since the step before, 0 at the first step of each series."""
    since = np.zeros(len(times))
    # Differences of small integers overflow, and so do those of integers that are very far apart.
    is_exact = times.dtype.kind != "f" and int(times.max()) - int(times.min()) <= np.iinfo(np.int64).max
    wide = (times - times.min() if times.dtype == np.uint64 else times).astype(np.int64 if is_exact else np.float64)
    since[1:] = (wide[1:] - wide[:-1]) * unit
    since[np.cumsum(lengths) - lengths] = 0.0
    return since


def _refuse_missing(column: Any, role: str, label: Any) -> None:
    missing = column.is_null().to_numpy()
    if column.dtype.is_float():
        missing = missing | np.isnan(column.to_numpy())
    if missing.any():
        row = int(np.argmax(missing))
        raise ValueError(
            f"Row {row} of frame has no {role}: column {label!r} is missing there. Drop such rows, or fill them."
        )
