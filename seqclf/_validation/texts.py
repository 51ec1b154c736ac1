"""Validation of texts, lists of tokens and token ids, which determines the kind and reports the first invalid row."""

import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._validation.argument_errors import argument_errors, names_argument
from seqclf._validation.containers import check_not_masked, is_missing, shorten, tensor_array, unpack_rows

Kind = Literal["texts", "tokens", "ids"]

PADDING = 0  # the id that fills padded arrays; never a step of a sequence
UNKNOWN = 1  # the id of every token outside the vocabulary
MAX_ID = 2**63 - 1  # the largest id in fit

_ONE_ROW = {"texts": "a text (str)", "tokens": "a list of tokens (str)", "ids": "a list of token ids (whole numbers)"}
_ANY_ROW = ", ".join(_ONE_ROW.values())
_PADDING_ADVICE = " If it is padding, replace it with 0, or remove it from a list."
_MAX_INT32 = np.iinfo(np.int32).max
# A list of ids or tokens in the notation of Python, JSON or numpy.
_ID_PATTERN, _TOKEN_PATTERN = r"-?\d++(?:\.\d*+)?+", r"""(?:'[^']*+'|"[^"]*+")"""
_ITEMS_PATTERN = "|".join(rf"{item}(?:[\s,]++{item})*+" for item in (_ID_PATTERN, _TOKEN_PATTERN))
_LIST_PATTERN = re.compile(rf"\s*+[\[(]\s*+(?:{_ITEMS_PATTERN})?+,?+\s*+[\])]\s*+")


class StringifiedLists(NamedTuple):
    """Detects texts that are all stringified lists of ids or tokens, as from a CSV file."""

    all_are: bool = True
    n_texts: int = 0
    row: int = 0  # of the first list that is not empty
    example: str | None = None

    def after(self, texts: Sequence[str]) -> "StringifiedLists":
        """The result after these further texts."""
        if not (self.all_are and all(map(_LIST_PATTERN.fullmatch, texts))):
            return StringifiedLists(all_are=False)
        result = self
        if self.example is None:
            filled = ((row, text) for row, text in enumerate(texts, self.n_texts) if len(text.strip()) > 2)
            row, example = next(filled, (0, None))
            result = self._replace(row=row, example=example)
        return result._replace(n_texts=self.n_texts + len(texts))

    def check(self, name: str) -> None:
        """Raise a ValueError if all texts are stringified lists, and not all of them are empty."""
        if not self.all_are or self.example is None:
            return
        raise ValueError(
            f"Row {self.row} of {name} is {shorten(self.example)}, a list that was stored as a text, and so are all "
            f"rows. Convert them to lists first: [ast.literal_eval(text) for text in {name}], or for lists without "
            f"commas, as from numpy, [text.strip('[]').split() for text in {name}]."
        )


@names_argument
def validate_text_input(
    X: Any,
    *,
    kind: Kind | None = None,
    name: str = "X",
    max_id: int | None = None,
    in_fit: bool | None = None,
    first_row: int = 0,
) -> tuple[Kind, Any]:
    """Validate text input and determine which of the three kinds it is.

    Parameters
    ----------
    X : list, tuple, array, Series or frame
        One text, list of tokens or list of ids in each row; ids also as a 2-D array padded with zeros.
    kind : {"texts", "tokens", "ids"}, default=None
        The kind seen in fit; any other kind is then an error.
    name : str, default="X"
        The name of the input in messages.
    max_id : int, default=None
        The largest valid id; a larger id is an error. With None the limit is 2**63 - 1 in fit; after fit larger ids
        are replaced by the unknown token, 1.
    in_fit : bool, default=None
        Whether X is used for fitting, which makes the checks stricter. None means True if `kind` is None.
    first_row : int, default=0
        The index of the first row in messages, if X is a chunk of the rows.

    Returns
    -------
    kind : {"texts", "tokens", "ids"}
        The kind of the rows. If every row is an empty list, the argument `kind`, or "ids" if it is None.
    data : list of str, list of list of str, or Ragged
        Ids are int32, or int64 if one of them does not fit in int32. Zeros at the ends of rows of equal length are
        removed as padding. A zero between other ids is an error in fit; after fit the unknown token, 1, replaces it. In
        rows of unequal length any zero is an error.

    Raises
    ------
    ValueError, TypeError
        If X or one of its rows is none of these; the message has the row and the value.
    """
    in_fit = kind is None if in_fit is None else in_fit
    rows = unpack_rows(X, name)
    if isinstance(rows, np.ndarray):
        if rows.ndim > 2:
            raise ValueError(
                f"{name} has {rows.ndim} dimensions: expected one row for each sequence, each of them {_ANY_ROW}."
            )
        if kind not in (None, "ids"):
            raise ValueError(_other_kind(name, first_row, "ids", kind, "in fit the rows were"))
        if rows.dtype.kind in "mM":
            raise ValueError(_not_a_row(rows[0], first_row, name, kind))
        if rows.dtype.kind in "iuf":
            return "ids", _validate_ids(Ragged.from_array(rows), name, max_id, in_fit)
        rows = rows.tolist()  # nullable columns of a frame: their values are checked row by row
    types = set(map(type, rows))
    if all(issubclass(row_type, str) for row_type in types):
        if kind not in (None, "texts"):
            advice = " If it is a list that was stored as a text, convert it with ast.literal_eval(text)."
            advice = advice if _LIST_PATTERN.fullmatch(rows[0]) else ""
            raise ValueError(_other_kind(name, first_row, "texts", kind, "in fit the rows were") + advice)
        texts = rows if types == {str} else [str(row) for row in rows]
        if in_fit:
            StringifiedLists().after(texts).check(name)
        return "texts", texts

    arrays = types == {np.ndarray} and all(row.ndim == 1 and row.dtype.kind in "iu" for row in rows)
    if arrays and kind in (None, "ids"):  # faster than the loop below, with the same result
        return "ids", _validate_ids(Ragged.from_items(rows), name, max_id, in_fit)

    kind_source, expected, items = "in fit the rows were", kind, []
    for position, row in enumerate(rows, first_row):
        row_kind, item = _validate_row(row, position, name, expected)
        if row_kind is None and expected == "texts":
            raise ValueError(_not_a_row(row, position, name, expected))
        if row_kind is not None and expected is None:
            kind_source, expected = f"row {position} is", row_kind
        if row_kind not in (None, expected):
            raise ValueError(_other_kind(name, position, row_kind, expected, kind_source))
        items.append(item)
    if expected == "texts":  # all rows before the first text were empty lists
        raise ValueError(_not_a_row(rows[0], first_row, name, expected))
    if expected == "tokens":
        return expected, [list(item) for item in items]
    return "ids", _validate_ids(Ragged.from_items(items), name, max_id, in_fit)


def _validate_row(row: Any, position: int, name: str, expected: Kind | None) -> tuple[Kind | None, Any]:
    """The kind of one row (None for an empty list, which can be tokens or ids) and its items."""
    if isinstance(row, str):
        return "texts", row
    items = row
    if hasattr(row, "__array__"):  # an array, a tensor, a Series, or a numpy scalar
        where = f"Row {position} of {name}"
        with argument_errors(where):
            array = tensor_array(row) if hasattr(row, "detach") else np.asarray(row)
        check_not_masked(row, where)
        if array.ndim == 1:
            if array.dtype.kind in "iuf":
                return ("ids" if len(array) else None), array
            # tolist() would convert dates to integers, the numbers of nanoseconds.
            items = array.tolist() if array.dtype.kind not in "mM" else list(array)
    if not isinstance(items, list | tuple):
        raise ValueError(_not_a_row(row, position, name, expected))
    types = set(map(type, items))
    if not types:
        return None, items
    if all(issubclass(item_type, str) for item_type in types):
        return "tokens", items if types == {str} else [str(token) for token in items]
    numbers = int | float | np.integer | np.floating
    if all(issubclass(item_type, numbers) and item_type is not bool for item_type in types):
        has_floats = any(issubclass(item_type, float) for item_type in types)
        return "ids", np.asarray(list(map(_as_float, items)) if has_floats else items)
    if expected == "texts":
        raise ValueError(_not_a_row(row, position, name, expected))
    raise ValueError(_not_an_item(items, position, name, expected))


def _as_float(number: Any) -> float:
    """The number as a float; +-1e300 for an integer beyond the range of floats."""
    try:
        return float(number)
    except OverflowError:
        return 1e300 if number > 0 else -1e300


def _validate_ids(ids: Ragged, name: str, max_id: int | None, in_fit: bool) -> Ragged:
    """Check that ids are integers >= 0 and remove padding. Inner zeros and too large ids become the unknown id."""
    values = ids.values
    if values.dtype.kind == "O":  # integers of more than 64 bits
        values = np.array(list(map(_as_float, values)))
    if values.dtype.kind == "f":
        values = values.astype(np.float64, copy=False)
        _check_valid(~np.isfinite(values) | (values != np.rint(values)), ids, name, max_id)
    limit = MAX_ID if max_id is None else max_id
    if ids.n_steps and (values.min() < 0 or values.max() > min(limit, _MAX_INT32)):
        # MAX_ID has no exact float: MAX_ID + 1 is the first float above it.
        too_large = values >= limit + 1.0 if values.dtype.kind == "f" else values > limit
        is_strict = in_fit or max_id is not None
        _check_valid((values < 0) | too_large if is_strict else values < 0, ids, name, limit if is_strict else None)
        values = np.where(too_large, UNKNOWN, values)
    values = values.astype(np.int32 if values.max(initial=0) <= _MAX_INT32 else np.int64, copy=False)
    return _without_padding(Ragged(values, ids.lengths), name, in_fit)


def _without_padding(ids: Ragged, name: str, in_fit: bool) -> Ragged:
    """Remove zeros at the ends. Zeros that can't be padding are an error, or become the unknown id."""
    is_zero = ids.values == PADDING
    if not is_zero.any():
        return ids
    check_no_zeros(ids, name)
    stripped = ids.stripped(is_zero)
    inside = stripped.values == PADDING
    if inside.any() and in_fit:
        step = int(np.argmax(inside))
        row = stripped.row_of(step)
        start = ids.offsets[row]
        n_before = int(np.argmax(ids.values[start : ids.offsets[row + 1]] != PADDING))
        step = start + n_before + step - stripped.offsets[row]
        raise ValueError(_not_an_id(step, ids, name, "padding can't come between other ids"))
    return Ragged(np.where(inside, stripped.values.dtype.type(UNKNOWN), stripped.values), stripped.lengths)


def check_no_zeros(ids: Ragged, name: str) -> None:
    """Raise an error for a 0 in rows of unequal length: they need no padding, so 0 is not a valid id."""
    is_zero = ids.values == PADDING
    if is_zero.any() and (ids.lengths != ids.lengths[0]).any():
        reason = "rows of unequal length need no padding"
        raise ValueError(_not_an_id(int(np.argmax(is_zero)), ids, name, reason))


def _not_an_id(step: int, ids: Ragged, name: str, reason: str) -> str:
    row = ids.row_of(step)
    where = f"Row {row} of {name} holds 0 at position {step - ids.offsets[row]}"
    return f"{where}, but 0 is the padding, and {reason}. Ids begin at 1: add 1 to all ids."


def _check_valid(wrong: NDArray[np.bool_], ids: Ragged, name: str, max_id: int | None) -> None:
    if wrong.any():
        step = int(np.argmax(wrong))
        row, value = ids.row_of(step), ids.values[step]
        shown = shorten(value)
        advice = ""
        if is_missing(value):
            advice = _PADDING_ADVICE
        elif value < 0 and (ids.values == PADDING).any():
            advice = f" If {shown} is padding, replace it with 0, and add 1 to all other ids."
        elif value < 0:
            advice = _PADDING_ADVICE.replace("it", shown, 1)
        raise ValueError(
            f"Row {row} of {name} holds {shown} at position {step - ids.offsets[row]}: "
            f"token ids must be whole numbers {'>= 0' if max_id is None else f'from 0 to {max_id}'}.{advice}"
        )


def _other_kind(name: str, position: int, kind: Kind, expected: Kind | None, kind_source: str) -> str:
    plural = {"texts": "texts", "tokens": "lists of tokens", "ids": "lists of token ids"}
    other = plural[expected or "ids"] if kind_source.startswith("in fit") else _ONE_ROW[expected or "ids"]
    return f"Row {position} of {name} is {_ONE_ROW[kind]}, but {kind_source} {other}: all rows must be of one kind."


def _not_a_row(row: Any, position: int, name: str, expected: Kind | None) -> str:
    kinds = _ONE_ROW[expected] if expected else f"one of {_ANY_ROW}"
    return f"Row {position} of {name} is {shorten(row)} ({type(row).__name__}): expected {kinds}.{_advice(row)}"


def _not_an_item(row: Sequence[Any], position: int, name: str, expected: Kind | None) -> str:
    """The message for the first item that is neither a token nor an id, or of another kind than the first item."""
    is_tokens = expected == "tokens" or (expected is None and isinstance(row[0], str))
    types = str if is_tokens else (int, float, np.integer, np.floating)
    index, item = next(
        (index, item) for index, item in enumerate(row) if not isinstance(item, types) or isinstance(item, bool)
    )
    items = (
        "a token (str)"
        if is_tokens
        else "a token id (whole number)"
        if expected
        else "tokens (str) or ids (whole numbers)"
    )
    return (
        f"Row {position} of {name} holds {shorten(item)} ({type(item).__name__}) at position {index}: "
        f"expected {items}.{_PADDING_ADVICE if is_missing(item) and not is_tokens else _advice(item)}"
    )


def _advice(value: Any) -> str:
    """Advice for the two usual mistakes, bytes and missing values."""
    if isinstance(value, bytes):
        return " Decode it first, e.g. value.decode('utf-8')."
    if is_missing(value):
        return " Drop rows with missing values, or fill them (an empty text is valid)."
    return ""
