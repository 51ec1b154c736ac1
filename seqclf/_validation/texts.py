"""Texts, lists of tokens or token ids: telling them apart, checking every row, saying which row is wrong."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._validation.containers import is_missing, shorten, unpack_rows

Kind = Literal["texts", "tokens", "ids"]

PADDING = 0  # the id that fills padded arrays; never a step of a sequence
UNKNOWN = 1  # the id of every token outside the vocabulary
MAX_ID = 2**24 - 1  # the largest id to learn from: ids number the rows of the embedding

_ONE_ROW = {"texts": "a text (str)", "tokens": "a list of tokens (str)", "ids": "a list of token ids (whole numbers)"}
_ANY_ROW = ", ".join(_ONE_ROW.values())
_MAX_INT32 = np.iinfo(np.int32).max


def read_text_input(
    X: Any, *, kind: Kind | None = None, name: str = "X", max_id: int | None = None
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
        The largest id that is allowed. None is 2**24 - 1 in fit; with a `kind`, any id is allowed, and one beyond int32
        is read as the unknown token, 1.

    Returns
    -------
    kind : {"texts", "tokens", "ids"}
        What the rows are. Where every row is an empty list, `kind` if given, else "ids".
    data : list of str, list of list of str, or Ragged of int32
        Ids come without the zeros at their ends; a zero further inside is read as the unknown token, 1.

    Raises
    ------
    ValueError, TypeError
        Where X or a row of it is nothing of this; the message names the row and shows the value.
    """
    if kind is None and max_id is None:
        max_id = MAX_ID
    rows = unpack_rows(X, name)
    if isinstance(rows, np.ndarray):
        if rows.ndim > 2:
            raise ValueError(f"{name} has {rows.ndim} dimensions: expected rows, each of them {_ANY_ROW}.")
        if kind not in (None, "ids"):
            raise ValueError(_other_kind(name, 0, "ids", kind, "in fit they were"))
        if rows.dtype.kind in "iuf":
            return "ids", _clean_ids(Ragged.from_array(rows), name, max_id)
        rows = rows.tolist()  # nullable columns of a frame: what they hold is told row by row
    types = set(map(type, rows))
    if all(issubclass(one, str) for one in types):
        if kind not in (None, "texts"):
            raise ValueError(_other_kind(name, 0, "texts", kind, "in fit they were"))
        return "texts", rows if types == {str} else [str(row) for row in rows]

    arrays = types == {np.ndarray} and all(row.ndim == 1 and row.dtype.kind in "iu" for row in rows)
    if arrays and kind in (None, "ids"):  # what the loop below finds too, row by row
        return "ids", _clean_ids(Ragged.from_items(rows), name, max_id)

    found_in, known, items = "in fit they were", kind, []
    for position, row in enumerate(rows):
        row_kind, item = _read_row(row, position, name, known)
        if row_kind is None and known == "texts":
            raise ValueError(_not_a_row(row, position, name, known))
        if row_kind is not None and known is None:
            found_in, known = f"row {position} is", row_kind
        if row_kind not in (None, known):
            raise ValueError(_other_kind(name, position, row_kind, known, found_in))
        items.append(item)
    if known == "texts":  # all rows before the first text were empty lists
        raise ValueError(_not_a_row(rows[0], 0, name, known))
    if known == "tokens":
        return known, [list(item) for item in items]
    return "ids", _clean_ids(Ragged.from_items(items), name, max_id)


def _read_row(row: Any, position: int, name: str, known: Kind | None) -> tuple[Kind | None, Any]:
    """The kind of one row (None: an empty list, which fits tokens and ids) and its items."""
    if isinstance(row, str):
        return "texts", row
    items = row
    if hasattr(row, "__array__"):  # an array, a tensor, a Series; a number of numpy too
        array = np.asarray(row)
        if array.ndim == 1:
            if array.dtype.kind in "iuf":
                return ("ids" if len(array) else None), array
            items = array.tolist()
    if not isinstance(items, list | tuple):
        raise ValueError(_not_a_row(row, position, name, known))
    types = set(map(type, items))
    if not types:
        return None, items
    if all(issubclass(one, str) for one in types):
        return "tokens", items if types == {str} else [str(token) for token in items]
    if all(issubclass(one, int | float | np.integer | np.floating) and one is not bool for one in types):
        return "ids", np.asarray(items, dtype=np.float64 if any(issubclass(one, float) for one in types) else None)
    raise ValueError(_not_an_item(items, position, name, known))


def _clean_ids(ids: Ragged, name: str, max_id: int | None) -> Ragged:
    """Whole numbers >= 0 as int32, without padding; zeros inside, and what is too large, as the unknown id."""
    values = ids.values
    if values.dtype.kind == "O":  # Python's integers beyond 64 bits
        values = values.astype(np.float64)
    if values.dtype.kind == "f":
        _refuse_ids(~np.isfinite(values) | (values != np.rint(values)), ids, name, max_id)
    if ids.n_steps and (values.min() < 0 or values.max() > (_MAX_INT32 if max_id is None else max_id)):
        _refuse_ids(values < 0 if max_id is None else (values < 0) | (values > max_id), ids, name, max_id)
        values = np.where(values > _MAX_INT32, UNKNOWN, values)
    values = values.astype(np.int32, copy=False)
    stripped = Ragged(values, ids.lengths).stripped(values == PADDING)
    inside = stripped.values == PADDING
    if inside.any():
        stripped = Ragged(np.where(inside, np.int32(UNKNOWN), stripped.values), stripped.lengths)
    return stripped


def _refuse_ids(wrong: NDArray[np.bool_], ids: Ragged, name: str, max_id: int | None) -> None:
    if wrong.any():
        step = int(np.argmax(wrong))
        row = ids.row_of(step)
        advice = ""
        if max_id == MAX_ID and ids.values[step] > MAX_ID:
            advice = " They number the rows of the embedding: give ids as large as this new, small numbers first."
        raise ValueError(
            f"Row {row} of {name} holds {ids.values[step]!s} at position {step - ids.offsets[row]}: "
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
        f"expected {expected}.{_advice(item)}"
    )


def _advice(value: Any) -> str:
    """What to do about the two usual accidents: missing values and bytes."""
    if isinstance(value, bytes):
        return " Decode it first, e.g. value.decode('utf-8')."
    if is_missing(value):
        return " Missing values: drop these rows, or fill them (an empty text is allowed)."
    return ""
