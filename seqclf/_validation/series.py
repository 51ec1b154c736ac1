"""Validation of numeric series: 2-D or 3-D arrays, or ragged lists. NaN is padding in a 3-D array, else an error."""

from collections.abc import Iterable
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._validation.argument_errors import argument_errors, names_argument
from seqclf._validation.channels import ONE_SERIES, ChannelMatcher, Row, SeriesForm
from seqclf._validation.containers import (
    check_not_masked,
    is_masked,
    is_missing,
    is_sparse,
    is_text,
    shorten,
    tensor_array,
    unpack_rows,
)
from seqclf._validation.frames import channel_names, column_labels, columns, frame_to_array, is_frame, is_nested
from seqclf._validation.numbers import as_floats, first_non_number, raise_not_a_number, text_advice
from seqclf._validation.series_input import NamedRow, SeriesInput, has_dims, open_series, transpose_by_dims

_STEP_TYPES = (list, tuple, np.ndarray)
_NAN_ADVICE = (
    "Fill it, as missing='interpolate' of the estimators does, or drop the step: NaN is padding only at the ends of a "
    "series in a 3-D array, in steps where every channel is NaN"
)
_TEXT = "text: TextTokenizer turns it into ids, and the estimators for texts accept it as it is"


@names_argument
def validate_series(
    X: Any,
    *,
    seen: SeriesForm | None = None,
    channels_first: bool = False,
    allow_nan: bool = False,
    name: str = "X",
    keep_float32: bool = False,
) -> tuple[Ragged, SeriesForm]:
    """Validate numeric series.

    Parameters
    ----------
    X : array of shape (n, steps, channels) or (n, steps), or list or object array of such rows
        Rows of a list can differ in length: (steps,) is one channel, (steps, channels) several. In a 3-D array steps
        that are NaN in every channel at either end of a row are padding. Frames name their channels.
    seen : SeriesForm, default=None
        The form of the series in fit; any other form is then an error.
    channels_first : bool, default=False
        Whether arrays are (n, channels, steps), and rows (channels, steps).
    allow_nan : bool, default=False
        Keep NaN that is not padding.
    name : str, default="X"
        The name of the input in messages.
    keep_float32 : bool, default=False
        Keep float32 values if all of X is float32.

    Returns
    -------
    series : Ragged
        float64 values of shape (n_steps, n_channels), without padding.
    form : SeriesForm
        Their form.

    Raises
    ------
    ValueError, TypeError
        For text, complex numbers, missing values that are not padding, infinity, and inconsistent channels.
    """
    opened = open_series(X, name, channels_first)
    rows = unpack_series(opened, name)
    matcher = ChannelMatcher(seen, channels_first, name)
    if isinstance(rows, np.ndarray):
        n_axes = rows.ndim - 1
        if n_axes > 2:
            raise ValueError(f"{name} has {rows.ndim} dimensions: expected (n, steps, channels) or (n, steps).")
        if n_axes == 1:
            matcher.check_not_one_series(rows.shape, is_frame(opened.rows))
        array = _to_numeric(rows, name, ("row", "step", "channel"))
        array = array[:, :, None] if n_axes == 1 else array.transpose(0, 2, 1) if opened.channels_first else array
        array, form = matcher.match_array(array, n_axes, opened.channel_names)
        series = Ragged.from_array(array)
    else:
        found = [_validate_row(row, position, name, opened.channels_first) for position, row in enumerate(rows)]
        items, form = matcher.match_rows(found)
        n_axes = 1
        series = Ragged.from_items(items, n_channels=form.n_channels)
    matcher.warn_of_swapped_axes(int(series.lengths.max()), form.n_channels)
    advice = None if allow_nan else f"{_NAN_ADVICE}{_table_advice(rows, name)}."
    return clean_series(series, name, keep_float32, n_axes == 2, advice), form


@names_argument
def is_table(X: Any, name: str = "X") -> bool:
    """Whether X is a table, scikit-learn's 2-D input, whose rows are series of equal length and one channel.

    2-D arrays, frames, and lists of equally long lists of numbers are tables. A 1-D object array, the output of
    transformers of sequences, and a list of arrays hold ragged series, also if their lengths are equal. A sparse
    matrix, a masked array and a 1-D array of numbers count as tables, so that they raise the errors of a table.
    """
    if is_sparse(X) or is_masked(type(X)):
        return True
    if is_frame(X):
        cells = [values for _, values in columns(X, name)]
        return len(cells) != 1 or not (is_nested(X, name) or is_text(cells[0]))
    if isinstance(X, list | tuple) and any(hasattr(row, "__array__") or isinstance(row, NamedRow) for row in X):
        return False
    try:
        array = np.asarray(X)
    except ValueError:  # Rows of unequal length.
        return False
    return array.ndim == 2 or (array.ndim == 1 and len(array) > 0 and array.dtype.kind in "iufbc")


def unpack_series(opened: SeriesInput, name: str) -> Any:
    """The rows as a list, or an array of two or more dimensions; frames of several columns must be numeric."""
    X = opened.rows
    if is_frame(X) and len(X) and len(column_labels(X, name)) > 1:
        return frame_to_array(X, name)
    return unpack_rows(X, name)


def check_no_nan(series: Ragged, name: str, advice: str, among: NDArray[np.int64] | slice = slice(None)) -> None:
    """Raise an error for NaN in the steps `among`."""
    missing = np.isnan(series.values[among])
    if missing.any():
        index, channel = np.argwhere(missing)[0]
        step = np.arange(series.n_steps)[among][index]
        raise ValueError(f"Input {name} contains NaN: {_location(series, step, channel)}. {advice}")


def _location(series: Ragged, step: int, channel: int) -> str:
    row = series.row_of(step)
    return f"row {row}, step {step - series.offsets[row]}, channel {channel}"


def _table_advice(rows: Any, name: str) -> str:
    return f"; if this NaN is padding, pass {name}[:, :, None]" if getattr(rows, "ndim", 0) == 2 else ""


def clean_series(series: Ragged, name: str, keep_float32: bool, padded: bool, advice: str | None) -> Ragged:
    """Convert values to float and check that none is infinite. For `padded` series, remove the padding.

    Padding is the steps at the ends that are NaN in every channel. Any other NaN is an error with this `advice`, but is
    allowed if `advice` is None.
    """
    values = series.values
    if not (keep_float32 and values.dtype == np.float32):
        values = values.astype(np.float64, copy=False)
    series = Ragged(values, series.lengths)
    if np.isfinite(values).all():
        return series
    infinite = np.isinf(values)
    if infinite.any():
        where = _location(series, *np.argwhere(infinite)[0])
        raise ValueError(f"Input {name} contains infinity: {where}. Expected finite numbers: replace or drop it.")
    steps = Ragged(np.arange(series.n_steps), series.lengths)
    if padded:
        steps = steps.stripped(np.isnan(values).all(axis=1))
    if advice is not None:
        check_no_nan(series, name, advice, among=steps.values)
    return Ragged(values[steps.values], steps.lengths)


def _validate_row(row: Any, position: int, name: str, channels_first: bool) -> Row:
    """Validate one series."""
    where = f"Row {position} of {name}"
    if isinstance(row, NamedRow):
        return Row(_to_numeric(row.values, where, ("step", "channel")), row.names)
    names = None
    if type(row) is not np.ndarray:
        if is_frame(row):
            names = channel_names(row, where)
            row, channels_first = frame_to_array(row, where, "step"), channels_first and names is None
        elif has_dims(row):
            row, is_ordered, names = transpose_by_dims(row, where, n_axes=2)
            channels_first = channels_first and not is_ordered
        elif hasattr(row, "detach"):
            row = tensor_array(row)
    array = _row_array(row, position, name)
    if array.ndim == 2 and channels_first:
        array = array.T
    array = _to_numeric(array, where, ("step", "channel"))
    if array.ndim not in (1, 2):
        raise ValueError(f"{where} has {array.ndim} dimensions: expected {ONE_SERIES}.")
    return Row(array[:, None] if array.ndim == 1 else array, names, array.ndim)


def _row_array(row: Any, position: int, name: str) -> NDArray[Any]:
    """A list or array-like as an array; an object array if it holds more than numbers."""
    where = f"Row {position} of {name}"
    is_array = hasattr(row, "__array__") and getattr(row, "ndim", 1) > 0  # numpy scalars have 0 dimensions
    if not (isinstance(row, list | tuple) or is_array):
        raise ValueError(f"{where} is {shorten(row)} ({type(row).__name__}): expected {ONE_SERIES}{_advice(row, name)}")
    check_not_masked(row, where)
    try:
        with argument_errors(where):
            array = np.asarray(row)
        check_not_masked(array, where)
        if array.dtype.kind == "O" and array.ndim == 1 and any(isinstance(step, _STEP_TYPES) for step in array):
            array = np.array(array.tolist())  # each step is an array, as from polars and Parquet files
    except ValueError as error:  # steps with unequal numbers of channels
        if not isinstance(row, Iterable):
            raise
        widths = {len(step) for step in row if isinstance(step, _STEP_TYPES)}
        missing = [step for step, value in enumerate(row) if is_missing(value)]
        if len(widths) == 1 and missing:
            empty = [np.nan] * widths.pop()
            return np.array([empty if is_missing(step) else step for step in row], dtype=object)
        if len(widths) < 2:
            problem = f"{where} is {shorten(row)}, with a step that is neither a number nor a list of channels"
            raise ValueError(f"{problem}: expected {ONE_SERIES}.") from error
        raise ValueError(
            f"{where} has steps with {sorted(widths)} channels: expected {ONE_SERIES}, the same channels in every step."
        ) from error
    return array


def _advice(row: Any, name: str) -> str:
    """Advice for a row that is not a series."""
    if isinstance(row, str | bytes):
        advice = text_advice(row)
        return f".{advice}" if advice else f", not {_TEXT}."
    return f". If it is one series, pass [{name}]." if isinstance(row, Number | np.number) else "."


def _to_numeric(array: NDArray[Any], where: str, axes: tuple[str, ...]) -> NDArray[Any]:
    """Convert the array to numbers; text, dates and complex numbers are errors."""
    if array.dtype.kind == "O":
        types = set(map(type, array.ravel()))
        if any(issubclass(kind, complex | np.complexfloating) for kind in types):
            array = array.astype(complex)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {where}. Pass real numbers.")
    if array.dtype.kind in "iufb":
        return array
    wrong = first_non_number(array)
    if wrong is None:
        return as_floats(array, where) if array.dtype.kind == "O" else array.astype(np.float64)
    position = "at " + ", ".join(f"{axis} {index}" for axis, index in zip(axes, wrong, strict=False))
    value = array[wrong]
    if isinstance(value, str | bytes) and not text_advice(value):
        raise ValueError(f"{where} holds {shorten(value)} {position}: expected {ONE_SERIES}, not {_TEXT}.")
    raise_not_a_number(value, where, position, "Drop it")
