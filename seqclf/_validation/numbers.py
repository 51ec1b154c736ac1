"""Values that must be numbers: what is missing, what is none, and what to say of it."""

from datetime import date, time, timedelta
from decimal import Decimal
from numbers import Number
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

_DATES = (date, time, timedelta, np.datetime64, np.timedelta64)


def shorten(value: Any, limit: int = 60) -> str:
    """The repr of a value, cut in the middle where it is long: error messages stay readable."""
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0 and value.dtype.kind not in "mM":
        value = value.item()  # True, not array(True) or np.True_
    if isinstance(value, str | bytes) and len(value) > limit:
        value = value[:limit]  # the repr of a whole book would be made only to be cut
    try:
        text = " ".join(repr(value).split())
    except Exception as error:  # of lists in lists in lists, of whole numbers of thousands of digits, of any class
        text = f"<{type(value).__name__} without a repr: {type(error).__name__}>"
    return text if len(text) <= limit else f"{text[: limit - 20]}...{text[-15:]}"


def is_missing(value: Any) -> bool:
    """None, NaN, NaT, and what pandas has for them."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    if isinstance(value, Decimal):
        return value.is_nan()  # a signalling NaN too, whose comparisons raise
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def is_infinite(value: Any) -> bool:
    """Whether a value is an infinite number."""
    return isinstance(value, float | np.floating | Decimal) and not is_missing(value) and value in (np.inf, -np.inf)


def first_no_number(array: NDArray[Any]) -> tuple[int, ...] | None:
    """Where an array holds the first value that is neither a number nor missing; None where there is no such value."""
    if array.dtype.kind in "iufbc" or not array.size:
        return None
    if array.dtype.kind == "O":
        good = {one for one in set(map(type, array.ravel())) if issubclass(one, Number | np.number | np.bool_)}
        good -= {one for one in good if issubclass(one, np.timedelta64)}  # numpy counts them among the integers
        wrong = [type(value) not in good and not is_missing(value) for value in array.ravel()]
        if not any(wrong):
            return None
        return tuple(map(int, np.unravel_index(int(np.argmax(wrong)), array.shape)))
    return (0,) * array.ndim


def refuse_no_number(value: Any, holder: str, place: str, advice: str, in_series: bool = True) -> NoReturn:
    """Raise the error about a value that is no number: text, a date, or something else.

    `in_series` is False where it is no step of a series, so that what helps with those helps nobody.
    """
    if isinstance(value, str | bytes):
        raise ValueError(
            f"{holder} holds {shorten(value)} {place}: expected numbers, not text. {advice}, or turn it into "
            f"numbers first.{text_advice(value) if in_series else ''}"
        )
    if isinstance(value, _DATES):
        such_as = "the days since the first one"
        if in_series:
            such_as = "the seconds since the step before (series_from_frame does that with time_as='delta')"
        raise ValueError(
            f"{holder} holds {value!s} {place}: expected numbers, not dates or times. {advice}, or make numbers "
            f"of it, such as {such_as}."
        )
    if isinstance(value, dict) and in_series:
        advice += ", or make frames of such rows: [pandas.DataFrame(row) for row in X]"
    # The words in brackets are those of float(), which users search for.
    raise TypeError(
        f"{holder} holds {shorten(value)} {place}: expected numbers (the argument must be a string or a number, not "
        f"{type(value).__name__!r}). {advice}."
    )


def as_floats(values: NDArray[Any], holder: str) -> NDArray[np.float64]:
    """Objects that are numbers, or missing, as float64; `holder` is how messages call what they are in."""
    floats: list[float] = []
    try:
        floats += map(_as_float, values.ravel())
    except Exception as error:  # whole numbers beyond the floats, complex numbers, classes of numbers
        place = np.unravel_index(len(floats), values.shape)
        problem = "it is too large for float64" if isinstance(error, OverflowError) else f"float() refuses it ({error})"
        raise ValueError(
            f"{holder} holds {shorten(values[place])} at position {', '.join(map(str, place))}: {problem}. Expected "
            "numbers below 1.8e308 in size."
        ) from error
    return np.array(floats, dtype=np.float64).reshape(values.shape)


def _as_float(value: Any) -> float:
    if isinstance(value, complex | np.complexfloating):
        raise TypeError("complex")  # numpy would take the real part
    return np.nan if is_missing(value) else float(value)


def text_advice(value: str | bytes) -> str:
    """What to do about a text that once was a list of numbers, or that is no list at all."""
    start = (value.decode("utf-8", "replace") if isinstance(value, bytes) else value).lstrip()[:6]
    if start.startswith(("[", "(", "array(")):
        commas = "," in str(value)
        call = "json.loads(text)" if commas else "np.fromstring(text.strip('[]'), sep=' ')"
        return (
            f" It looks like a list that a CSV file has turned into text: turn each back with {call}, "
            "or keep lists in a Parquet file."
        )
    return ""
