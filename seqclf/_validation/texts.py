"""Texts, lists of tokens or token ids: telling them apart, checking every row, saying which row is wrong."""

import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._validation.containers import is_missing, refuse_masked, shorten, tensor_array, unpack_rows
from seqclf._validation.reading import names_its_input, reading

Kind = Literal["texts", "tokens", "ids"]

PADDING = 0  # the id that fills padded arrays; never a step of a sequence
UNKNOWN = 1  # the id of every token outside the vocabulary
MAX_ID = 2**63 - 1  # the largest id to learn from

_ONE_ROW = {"texts": "a text (str)", "tokens": "a list of tokens (str)", "ids": "a list of token ids (whole numbers)"}
_ANY_ROW = ", ".join(_ONE_ROW.values())
_PADDING_ADVICE = " If it is padding, put 0 in its place, or leave it out of a list."
_MAX_INT32 = np.iinfo(np.int32).max
# A list of ids or tokens, as Python, JSON or numpy write it.
_WRITTEN_ID, _WRITTEN_TOKEN = r"-?\d++(?:\.\d*+)?+", r"""(?:'[^']*+'|"[^"]*+")"""
_WRITTEN_ITEMS = "|".join(rf"{item}(?:[\s,]++{item})*+" for item in (_WRITTEN_ID, _WRITTEN_TOKEN))
_WRITTEN_LIST = re.compile(rf"\s*+[\[(]\s*+(?:{_WRITTEN_ITEMS})?+,?+\s*+[\])]\s*+")


class WrittenLists(NamedTuple):
    """Whether all texts so far are lists of ids or tokens that were written as texts: a CSV file has no lists."""

    all_are: bool = True
    n_texts: int = 0
    row: int = 0  # of the first one that is not empty
    example: str | None = None

    def after(self, texts: Sequence[str]) -> "WrittenLists":
        """The same with these texts."""
        if not (self.all_are and all(map(_WRITTEN_LIST.fullmatch, texts))):
            return WrittenLists(all_are=False)
        found = self
        if self.example is None:
            filled = ((row, text) for row, text in enumerate(texts, self.n_texts) if len(text.strip()) > 2)
            row, example = next(filled, (0, None))
            found = self._replace(row=row, example=example)
        return found._replace(n_texts=self.n_texts + len(texts))

    def refuse(self, name: str) -> None:
        """Raise a ValueError if all are written lists, and not all of them are empty."""
        if not self.all_are or self.example is None:
            return
        raise ValueError(
            f"Row {self.row} of {name} is {shorten(self.example)}, a list that was written as a text, and so are all "
            f"rows. Make lists of them first: [ast.literal_eval(text) for text in {name}], or for lists that numpy "
            f"wrote, without commas, [text.strip('[]').split() for text in {name}]."
        )


@names_its_input
def read_text_input(
    X: Any,
    *,
    kind: Kind | None = None,
    name: str = "X",
    max_id: int | None = None,
    in_fit: bool | None = None,
    first_row: int = 0,
) -> tuple[Kind, Any]:
    """Check text input and say which of the three kinds it is.

    Parameters
    ----------
    X : list, tuple, array, Series or frame
        One text, list of tokens or list of ids in each row; ids also as a 2-D array padded with zeros.
    kind : {"texts", "tokens", "ids"}, default=None
        The kind seen in fit; any other is then an error.
    name : str, default="X"
        How messages call the input.
    max_id : int, default=None
        The largest id that is allowed. None is 2**63 - 1 in fit; later any id is allowed, and a larger one is read as
        the unknown token, 1.
    in_fit : bool, default=None
        Whether something is learned from X, so that it must be beyond doubt. None is True where there is no `kind`.
    first_row : int, default=0
        The number of the first row in messages, where X is a part of more rows.

    Returns
    -------
    kind : {"texts", "tokens", "ids"}
        What the rows are. Where every row is an empty list, `kind` if given, else "ids".
    data : list of str, list of list of str, or Ragged
        Ids are int32, or int64 where they do not fit into that. They come without the zeros at the ends of rows of one
        length; a zero further inside is read as the unknown token, 1, and an error in fit. In rows that differ in
        length any zero is an error.

    Raises
    ------
    ValueError, TypeError
        Where X or a row of it is nothing of this; the message names the row and shows the value.
    """
    in_fit = kind is None if in_fit is None else in_fit
    rows = unpack_rows(X, name)
    if isinstance(rows, np.ndarray):
        if rows.ndim > 2:
            raise ValueError(f"{name} has {rows.ndim} dimensions: expected rows, each of them {_ANY_ROW}.")
        if kind not in (None, "ids"):
            raise ValueError(_other_kind(name, first_row, "ids", kind, "in fit they were"))
        if rows.dtype.kind in "mM":
            raise ValueError(_not_a_row(rows[0], first_row, name, kind))
        if rows.dtype.kind in "iuf":
            return "ids", _clean_ids(Ragged.from_array(rows), name, max_id, in_fit)
        rows = rows.tolist()  # nullable columns of a frame: what they hold is told row by row
    types = set(map(type, rows))
    if all(issubclass(one, str) for one in types):
        if kind not in (None, "texts"):
            advice = " A list that was written as a text? ast.literal_eval(text) reads it."
            advice = advice if _WRITTEN_LIST.fullmatch(rows[0]) else ""
            raise ValueError(_other_kind(name, first_row, "texts", kind, "in fit they were") + advice)
        texts = rows if types == {str} else [str(row) for row in rows]
        if in_fit:
            WrittenLists().after(texts).refuse(name)
        return "texts", texts

    arrays = types == {np.ndarray} and all(row.ndim == 1 and row.dtype.kind in "iu" for row in rows)
    if arrays and kind in (None, "ids"):  # what the loop below finds too, row by row
        return "ids", _clean_ids(Ragged.from_items(rows), name, max_id, in_fit)

    found_in, known, items = "in fit they were", kind, []
    for position, row in enumerate(rows, first_row):
        row_kind, item = _read_row(row, position, name, known)
        if row_kind is None and known == "texts":
            raise ValueError(_not_a_row(row, position, name, known))
        if row_kind is not None and known is None:
            found_in, known = f"row {position} is", row_kind
        if row_kind not in (None, known):
            raise ValueError(_other_kind(name, position, row_kind, known, found_in))
        items.append(item)
    if known == "texts":  # all rows before the first text were empty lists
        raise ValueError(_not_a_row(rows[0], first_row, name, known))
    if known == "tokens":
        return known, [list(item) for item in items]
    return "ids", _clean_ids(Ragged.from_items(items), name, max_id, in_fit)


def _read_row(row: Any, position: int, name: str, known: Kind | None) -> tuple[Kind | None, Any]:
    """The kind of one row (None: an empty list, which fits tokens and ids) and its items."""
    if isinstance(row, str):
        return "texts", row
    items = row
    if hasattr(row, "__array__"):  # an array, a tensor, a Series; a number of numpy too
        where = f"Row {position} of {name}"
        with reading(where):
            array = tensor_array(row) if hasattr(row, "detach") else np.asarray(row)
        refuse_masked(row, where)
        if array.ndim == 1:
            if array.dtype.kind in "iuf":
                return ("ids" if len(array) else None), array
            items = array.tolist() if array.dtype.kind not in "mM" else list(array)  # nanoseconds would be numbers
    if not isinstance(items, list | tuple):
        raise ValueError(_not_a_row(row, position, name, known))
    types = set(map(type, items))
    if not types:
        return None, items
    if all(issubclass(one, str) for one in types):
        return "tokens", items if types == {str} else [str(token) for token in items]
    if all(issubclass(one, int | float | np.integer | np.floating) and one is not bool for one in types):
        has_floats = any(issubclass(one, float) for one in types)
        return "ids", np.asarray(list(map(_as_float, items)) if has_floats else items)
    if known == "texts":
        raise ValueError(_not_a_row(row, position, name, known))
    raise ValueError(_not_an_item(items, position, name, known))


def _as_float(number: Any) -> float:
    """The number, or for an integer beyond the floats a large one of its sign."""
    try:
        return float(number)
    except OverflowError:
        return 1e300 if number > 0 else -1e300


def _clean_ids(ids: Ragged, name: str, max_id: int | None, in_fit: bool) -> Ragged:
    """Whole numbers >= 0 as integers, without padding; zeros inside, and what is too large, as the unknown id."""
    values = ids.values
    if values.dtype.kind == "O":  # Python's integers beyond 64 bits
        values = np.array(list(map(_as_float, values)))
    if values.dtype.kind == "f":
        values = values.astype(np.float64, copy=False)
        _refuse_ids(~np.isfinite(values) | (values != np.rint(values)), ids, name, max_id)
    limit = MAX_ID if max_id is None else max_id
    if ids.n_steps and (values.min() < 0 or values.max() > min(limit, _MAX_INT32)):
        # No float is MAX_ID: the next one is the first that is too large.
        too_large = values >= limit + 1.0 if values.dtype.kind == "f" else values > limit
        refuses = in_fit or max_id is not None
        _refuse_ids((values < 0) | too_large if refuses else values < 0, ids, name, limit if refuses else None)
        values = np.where(too_large, UNKNOWN, values)
    values = values.astype(np.int32 if values.max(initial=0) <= _MAX_INT32 else np.int64, copy=False)
    return _without_padding(Ragged(values, ids.lengths), name, in_fit)


def _without_padding(ids: Ragged, name: str, in_fit: bool) -> Ragged:
    """Without zeros at the ends; those that can't be padding are refused, or read as the unknown id."""
    is_zero = ids.values == PADDING
    if not is_zero.any():
        return ids
    refuse_zeros(ids, name)
    stripped = ids.stripped(is_zero)
    inside = stripped.values == PADDING
    if inside.any() and in_fit:
        step = int(np.argmax(inside))
        row = stripped.row_of(step)
        start = ids.offsets[row]
        n_before = int(np.argmax(ids.values[start : ids.offsets[row + 1]] != PADDING))
        step = start + n_before + step - stripped.offsets[row]
        raise ValueError(_not_an_id(step, ids, name, "there is none between other ids"))
    return Ragged(np.where(inside, stripped.values.dtype.type(UNKNOWN), stripped.values), stripped.lengths)


def refuse_zeros(ids: Ragged, name: str) -> None:
    """Refuse a 0 in rows that differ in length: it would be read as padding, of which they have none."""
    is_zero = ids.values == PADDING
    if is_zero.any() and (ids.lengths != ids.lengths[0]).any():
        reason = "rows that differ in length need no padding"
        raise ValueError(_not_an_id(int(np.argmax(is_zero)), ids, name, reason))


def _not_an_id(step: int, ids: Ragged, name: str, reason: str) -> str:
    row = ids.row_of(step)
    place = f"Row {row} of {name} holds 0 at position {step - ids.offsets[row]}"
    return f"{place}: ids begin at 1, 0 is padding: add 1 to all ids ({reason})."


def _refuse_ids(wrong: NDArray[np.bool_], ids: Ragged, name: str, max_id: int | None) -> None:
    if wrong.any():
        step = int(np.argmax(wrong))
        row, value = ids.row_of(step), ids.values[step]
        shown = shorten(value)
        advice = ""
        if is_missing(value):
            advice = _PADDING_ADVICE
        elif value < 0 and (ids.values == PADDING).any():
            advice = f" If {shown} is padding, make it 0, and add 1 to all other ids."
        elif value < 0:
            advice = _PADDING_ADVICE.replace("it", shown, 1)
        raise ValueError(
            f"Row {row} of {name} holds {shown} at position {step - ids.offsets[row]}: "
            f"token ids must be whole numbers from 0 {'on' if max_id is None else f'to {max_id}'}.{advice}"
        )


def _other_kind(name: str, position: int, kind: Kind, known: Kind | None, found_in: str) -> str:
    plural = {"texts": "texts", "tokens": "lists of tokens", "ids": "lists of token ids"}
    other = plural[known or "ids"] if found_in.startswith("in fit") else _ONE_ROW[known or "ids"]
    return f"Row {position} of {name} is {_ONE_ROW[kind]}, but {found_in} {other}: all rows must be of one kind."


def _not_a_row(row: Any, position: int, name: str, known: Kind | None) -> str:
    expected = _ONE_ROW[known] if known else f"one of {_ANY_ROW}"
    return f"Row {position} of {name} is {shorten(row)} ({type(row).__name__}): expected {expected}.{_advice(row)}"


def _not_an_item(row: Sequence[Any], position: int, name: str, known: Kind | None) -> str:
    """The message for the first item that does not go with the first one of its row, or is neither token nor id."""
    tokens = known == "tokens" or (known is None and isinstance(row[0], str))
    wanted = str if tokens else (int, float, np.integer, np.floating)
    place, item = next(
        (place, item) for place, item in enumerate(row) if not isinstance(item, wanted) or isinstance(item, bool)
    )
    expected = (
        "a token (str)" if tokens else "a token id (whole number)" if known else "tokens (str) or ids (whole numbers)"
    )
    return (
        f"Row {position} of {name} holds {shorten(item)} ({type(item).__name__}) at position {place}: "
        f"expected {expected}.{_PADDING_ADVICE if is_missing(item) and not tokens else _advice(item)}"
    )


def _advice(value: Any) -> str:
    """What to do about the two usual accidents: missing values and bytes."""
    if isinstance(value, bytes):
        return " Decode it first, e.g. value.decode('utf-8')."
    if is_missing(value):
        return " Missing values: drop these rows, or fill them (an empty text is allowed)."
    return ""
