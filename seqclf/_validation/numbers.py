"""Checks of values that must be numbers: missing values, other types, and the error messages for them."""

from datetime import date, time, timedelta
from decimal import Decimal
from numbers import Number
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

_DATES = (date, time, timedelta, np.datetime64, np.timedelta64)


def shorten(value: Any, limit: int = 60) -> str:
    """The repr of a value, with the middle cut out if it is long, for error messages."""
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0 and value.dtype.kind not in "mM":
        value = value.item()  # True, not array(True) or np.True_
    if isinstance(value, str | bytes) and len(value) > limit:
        value = value[:limit]  # avoids the repr of a very long text
    try:
        text = " ".join(repr(value).split())
    except Exception as error:  # deep nesting, integers of thousands of digits, faulty __repr__
        text = f"<{type(value).__name__} without a repr: {type(error).__name__}>"
    return text if len(text) <= limit else f"{text[: limit - 20]}...{text[-15:]}"


def counted(n: int, noun: str) -> str:
    """A number with its noun: "1 step", "2 steps"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def type_of(value: Any) -> str:
    """The name of the type of a value, with its article: "a list", "an int"."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeioAEIO' or name == 'ndarray' else 'a'} {name}"


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NaT, or pandas.NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    if isinstance(value, Decimal):
        return value.is_nan()  # also right for a signalling NaN, whose comparisons raise
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def is_infinite(value: Any) -> bool:
    """Whether a value is an infinite number."""
    return isinstance(value, float | np.floating | Decimal) and not is_missing(value) and value in (np.inf, -np.inf)


def first_non_number(array: NDArray[Any]) -> tuple[int, ...] | None:
    """The index of the first value that is neither a number nor missing; None if there is no such value."""
    if array.dtype.kind in "iufbc" or not array.size:
        return None
    if array.dtype.kind == "O":
        numeric = {kind for kind in set(map(type, array.ravel())) if issubclass(kind, Number | np.number | np.bool_)}
        numeric -= {kind for kind in numeric if issubclass(kind, np.timedelta64)}  # a subclass of np.integer
        wrong = [type(value) not in numeric and not is_missing(value) for value in array.ravel()]
        if not any(wrong):
            return None
        return tuple(map(int, np.unravel_index(int(np.argmax(wrong)), array.shape)))
    return (0,) * array.ndim


def raise_not_a_number(value: Any, container: str, where: str, advice: str, in_series: bool = True) -> NoReturn:
    """Raise the error for a value that is not a number: text, a date, or something else.

    `in_series` is False if the value is not a step of a series; advice that is specific to series is then omitted.
    """
    if isinstance(value, str | bytes):
        raise ValueError(
            f"{container} holds {shorten(value)} {where}: expected numbers, not text. {advice}, or convert it to "
            f"numbers first.{text_advice(value) if in_series else ''}"
        )
    if isinstance(value, _DATES):
        example = "the days since the first one"
        if in_series:
            example = "the seconds since the previous step (series_from_frame does that with time_as='delta')"
        raise ValueError(
            f"{container} holds {value!s} {where}: expected numbers, not dates or times. {advice}, or convert it to "
            f"numbers, such as {example}."
        )
    if isinstance(value, dict) and in_series:
        advice += ", or convert such rows to frames: [pandas.DataFrame(row) for row in X]"
    # The words in parentheses are those of float(), which users search for.
    raise TypeError(
        f"{container} holds {shorten(value)} {where}: expected numbers (the argument must be a string or a number, not "
        f"{type(value).__name__!r}). {advice}."
    )


def as_floats(values: NDArray[Any], container: str) -> NDArray[np.float64]:
    """Convert numbers or missing values in an object array to float64; messages call the array `container`."""
    floats: list[float] = []
    try:
        floats += map(_as_float, values.ravel())
    except Exception as error:  # integers beyond the range of floats, complex numbers, other classes of numbers
        index = np.unravel_index(len(floats), values.shape)
        problem = "it is too large for float64" if isinstance(error, OverflowError) else f"float() rejects it ({error})"
        raise ValueError(
            f"{container} holds {shorten(values[index])} at position {', '.join(map(str, index))}: {problem}. Expected "
            "real numbers of absolute value below 1.8e308."
        ) from error
    return np.array(floats, dtype=np.float64).reshape(values.shape)


def _as_float(value: Any) -> float:
    if isinstance(value, complex | np.complexfloating):
        raise TypeError("complex")  # numpy would silently use the real part
    return np.nan if is_missing(value) else float(value)


def text_advice(value: str | bytes) -> str:
    """Advice for a text that looks like a list of numbers; empty for any other text."""
    start = (value.decode("utf-8", "replace") if isinstance(value, bytes) else value).lstrip()[:6]
    if start.startswith(("[", "(", "array(")):
        has_commas = "," in str(value)
        call = "json.loads(text)" if has_commas else "np.fromstring(text.strip('[]'), sep=' ')"
        return (
            f" It looks like a list that a CSV file has stored as text: parse each text with {call}, "
            "or store lists in a Parquet file."
        )
    return ""
