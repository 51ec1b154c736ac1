"""Streams of texts, validated in chunks, so that memory does not grow with the number of texts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from seqclf._validation.containers import is_sparse, unpack_rows
from seqclf._validation.frames import is_frame
from seqclf._validation.texts import Kind, validate_text_input

_MAX_ROWS, _MAX_ITEMS = 10_000, 1 << 20  # per chunk: rows, and characters or tokens


def is_stream(X: Any) -> bool:
    """Whether X is an iterable that can be consumed only once, and not a container."""
    is_whole = isinstance(X, Sequence | Mapping | Set) or hasattr(X, "__array__") or is_frame(X) or is_sparse(X)
    return isinstance(X, Iterable) and not is_whole


def validate_text_chunks(X: Any, kind: Kind | None, name: str = "X") -> Iterator[tuple[Kind, Any]]:
    """Validate texts or lists of tokens chunk by chunk.

    Parameters
    ----------
    X : iterable, list, array, Series or frame
        A text or list of tokens in each row.
    kind : {"texts", "tokens"} or None
        The kind of the earlier rows; any other kind is then an error.
    name : str, default="X"
        The name of the input in messages.

    Yields
    ------
    kind : {"texts", "tokens", "ids"}
        The same for all chunks. If every row is an empty list, the rows are lists of tokens.
    rows : list of str, list of list of str, or Ragged
        As from :func:`validate_text_input`, at most 10,000 rows. Ids of a container are not divided.
    """
    if not is_stream(X):
        kind, rows = _validate(X, kind, name, 0)
        for chunk in [rows] if kind == "ids" else _chunks(rows):
            yield kind, chunk
        return
    n_rows = 0
    for chunk in _chunks(X):
        kind, rows = _validate(chunk, kind, name, n_rows)
        n_rows += len(chunk)
        yield kind, rows
    if not n_rows:
        unpack_rows([], name)  # raises the error for empty input


def _validate(rows: Any, kind: Kind | None, name: str, first_row: int) -> tuple[Kind, Any]:
    kind, validated = validate_text_input(rows, kind=kind, name=name, in_fit=False, first_row=first_row)
    if kind == "ids" and not validated.n_steps:
        return "tokens", [[] for _ in range(len(validated))]
    return kind, validated


def _chunks(rows: Iterable[Any]) -> Iterator[list[Any]]:
    chunk, n_items = list[Any](), 0
    for row in rows:
        chunk.append(row)
        n_items += len(row) if isinstance(row, str | list | tuple) else 1
        if len(chunk) == _MAX_ROWS or n_items >= _MAX_ITEMS:
            yield chunk
            chunk, n_items = [], 0
    if chunk:
        yield chunk
