"""Numeric series from 2-D or 3-D arrays or ragged lists: NaN pads a 3-D array, and is else refused by row and step."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._validation.containers import is_missing, refuse_masked, shorten, unpack_rows

_STEP_TYPES = (list, tuple, np.ndarray)
_ONE_SERIES = "a series of numbers, of shape (steps,) or (steps, channels)"
_NO_PADDING = (
    "Fill it in, or leave the step out: NaN is padding only at the ends of a series in a 3-D array, "
    "in steps where every channel is NaN."
)
_TEXT = "text: TextTokenizer turns it into ids, and RNNTextClassifier takes it as it is"


def read_series(X: Any, *, n_channels: int | None = None, name: str = "X", keep_float32: bool = False) -> Ragged:
    """Check numeric series.

    Parameters
    ----------
    X : array of shape (n, steps, channels) or (n, steps), or list or object array of such rows
        Rows of a list may differ in length: (steps,) is one channel, (steps, channels) several. In a 3-D array steps
        that are NaN in every channel at either end of a row are padding.
    n_channels : int, default=None
        The number of channels seen in fit; any other is then an error.
    name : str, default="X"
        How messages call the input.
    keep_float32 : bool, default=False
        Leave values float32 where all of X is float32.

    Returns
    -------
    Ragged
        Values float64 of shape (n_steps, n_channels), without padding.

    Raises
    ------
    ValueError, TypeError
        For text, complex numbers, missing values that are no padding, infinity, and channels that differ.
    """
    rows = unpack_rows(X, name)
    if isinstance(rows, np.ndarray):
        if rows.ndim > 3:
            raise ValueError(f"{name} has {rows.ndim} dimensions: expected (n, steps, channels) or (n, steps).")
        array = _as_numbers(rows, name, name)
        if array.ndim == 2:
            array = array[:, :, None]
        _check_channels(array.shape[2], n_channels, 0, name, "in fit it was")
        return _clean_series(Ragged.from_array(array), name, keep_float32, padded=rows.ndim == 3)
    items, known_from = [], "in fit it was"
    for position, row in enumerate(rows):
        item = _read_row(row, position, name)
        items.append(item)
        if item.shape == (0, 1):  # an empty list does not say how many channels it has
            continue
        _check_channels(item.shape[1], n_channels, position, name, known_from)
        if n_channels is None:
            n_channels, known_from = item.shape[1], f"in row {position} it is"
    return _clean_series(Ragged.from_items(items, n_channels=n_channels or 1), name, keep_float32, padded=False)


def _clean_series(series: Ragged, name: str, keep_float32: bool, padded: bool) -> Ragged:
    """Float values, all of them finite; `padded` series lose the steps at their ends that are NaN in every channel."""
    values = series.values
    if not (keep_float32 and values.dtype == np.float32):
        values = values.astype(np.float64, copy=False)
    if np.isfinite(values).all():
        return Ragged(values, series.lengths)
    kept = Ragged(np.arange(series.n_steps), series.lengths)
    if padded:
        kept = kept.stripped(np.isnan(values).all(axis=1))
    wrong = ~np.isfinite(values[kept.values])
    if wrong.any():
        place, channel = np.argwhere(wrong)[0]
        step = kept.values[place]
        row = series.row_of(step)
        where = f"row {row}, step {step - series.offsets[row]}, channel {channel}"
        if np.isnan(values[step, channel]):
            raise ValueError(f"Input {name} contains NaN: {where}. {_NO_PADDING}")
        raise ValueError(f"Input {name} contains infinity: {where}. Expected finite numbers.")
    return Ragged(values[kept.values], kept.lengths)


def _check_channels(found: int, expected: int | None, position: int, name: str, known_from: str) -> None:
    if found == 0:
        raise ValueError(f"Row {position} of {name} has 0 channels: expected {_ONE_SERIES}, at least one channel.")
    if expected is not None and found != expected:
        raise ValueError(
            f"Row {position} of {name} has {found} channel(s), but {known_from} {expected}: "
            "all series must have the same channels."
        )


def _read_row(row: Any, position: int, name: str) -> NDArray[Any]:
    """One series as an array (steps, channels)."""
    where = f"Row {position} of {name}"
    is_array = hasattr(row, "__array__") and getattr(row, "ndim", 1) > 0  # numpy's numbers have 0 dimensions
    if not (isinstance(row, list | tuple) or is_array):
        advice = f", not {_TEXT}" if isinstance(row, str | bytes) else ""
        raise ValueError(f"{where} is {shorten(row)} ({type(row).__name__}): expected {_ONE_SERIES}{advice}.")
    refuse_masked(row, where)
    try:
        array = np.asarray(row)
        if array.dtype.kind == "O" and array.ndim == 1 and any(isinstance(step, _STEP_TYPES) for step in array):
            array = np.array(array.tolist())  # steps that are arrays themselves: polars, parquet
    except ValueError as error:  # steps with unequal numbers of channels
        missing = next((step for step, value in enumerate(row) if is_missing(value)), None)
        if missing is not None:
            raise ValueError(f"Input {name} contains NaN: row {position}, step {missing}. {_NO_PADDING}") from error
        raise ValueError(f"{where} is no array: {error}") from error
    array = _as_numbers(array, where, name)
    if array.ndim not in (1, 2):
        raise ValueError(f"{where} has {array.ndim} dimensions: expected {_ONE_SERIES}.")
    return array[:, None] if array.ndim == 1 else array


def _as_numbers(array: NDArray[Any], where: str, name: str) -> NDArray[Any]:
    """The array as numbers; text and complex numbers are refused, not converted."""
    if array.dtype.kind == "O":
        types = set(map(type, array.ravel()))
        if any(issubclass(one, complex | np.complexfloating) for one in types):
            array = array.astype(complex)
        elif not any(issubclass(one, str | bytes) for one in types):
            numbers = [np.nan if is_missing(value) else value for value in array.ravel()]
            try:
                return np.array(numbers, dtype=np.float64).reshape(array.shape)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{where} holds something that is no number: {error}") from error
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {where}.")
    if array.dtype.kind not in "iufb":
        advice = f", not {_TEXT}" if array.dtype.kind in "OUST" else f", not {array.dtype}"
        raise ValueError(f"{where} holds {shorten(array.ravel()[0])}: expected {_ONE_SERIES}{advice}.")
    return array
