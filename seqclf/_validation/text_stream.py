"""Texts that come one after another, read part after part: what is in memory does not grow with their number."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from seqclf._validation.containers import is_sparse, unpack_rows
from seqclf._validation.frames import is_frame
from seqclf._validation.texts import Kind, read_text_input

_MAX_ROWS, _MAX_ITEMS = 10_000, 1 << 20  # of a part: rows, and characters or tokens


def is_stream(X: Any) -> bool:
    """Whether X can be read once, row after row, and is none of the containers that are checked as a whole."""
    is_whole = isinstance(X, Sequence | Mapping | Set) or hasattr(X, "__array__") or is_frame(X) or is_sparse(X)
    return isinstance(X, Iterable) and not is_whole


def read_text_parts(X: Any, kind: Kind | None, name: str = "X") -> Iterator[tuple[Kind, Any]]:
    """Check texts or lists of tokens, part after part.

    Parameters
    ----------
    X : iterable, list, array, Series or frame
        A text or list of tokens in each row.
    kind : {"texts", "tokens"} or None
        The kind of the rows before; any other is then an error.
    name : str, default="X"
        How messages call the input.

    Yields
    ------
    kind : {"texts", "tokens", "ids"}
        The same for all parts. Where every row is an empty list, the rows are lists of tokens.
    rows : list of str, list of list of str, or Ragged
        As from :func:`read_text_input`. Ids come as soon as they are found.
    """
    if not is_stream(X):
        kind, rows = _read(X, kind, name, 0)
        for part in [rows] if kind == "ids" else _parts(rows):
            yield kind, part
        return
    n_rows = 0
    for part in _parts(X):
        kind, rows = _read(part, kind, name, n_rows)
        n_rows += len(part)
        yield kind, rows
    if not n_rows:
        unpack_rows([], name)  # says that there are none


def _read(rows: Any, kind: Kind | None, name: str, first_row: int) -> tuple[Kind, Any]:
    kind, read = read_text_input(rows, kind=kind, name=name, in_fit=False, first_row=first_row)
    if kind == "ids" and not read.n_steps:
        return "tokens", [[] for _ in range(len(read))]
    return kind, read


def _parts(rows: Iterable[Any]) -> Iterator[list[Any]]:
    part, n_items = list[Any](), 0
    for row in rows:
        part.append(row)
        n_items += len(row) if isinstance(row, str | list | tuple) else 1
        if len(part) == _MAX_ROWS or n_items >= _MAX_ITEMS:
            yield part
            part, n_items = [], 0
    if part:
        yield part
