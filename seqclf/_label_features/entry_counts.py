"""How often rows hold each of many things, such as n-grams: compiled, or by numpy."""

import ctypes

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._label_features.sparse_rows import SparseRows
from seqclf._native import abi, library
from seqclf._native.threads import chosen_threads

# Entries that numpy sorts at once: a limit to memory.
_BLOCK = 2**22


def count_entries(rows: Ragged, n_columns: int) -> SparseRows:
    """How often each row holds each number from 0 to below `n_columns`; negative ones are not counted."""
    return (count_compiled if library.is_wanted() else count_plain)(rows, n_columns)


def count_parts(rows: Ragged, n_columns: int, known: Ragged, new: Ragged) -> SparseRows:
    """How often each row holds each number from 0 to below `n_columns` inside its own numbers.

    Parameters
    ----------
    rows : Ragged of int32
        Numbers from 0 to below ``len(known) + len(new)``.
    n_columns : int
    known, new : Ragged of int32
        What the numbers hold: those of `known`, then those of `new`.
    """
    return (count_parts_compiled if library.is_wanted() else count_parts_plain)(rows, n_columns, known, new)


def count_compiled(rows: Ragged, n_columns: int) -> SparseRows:
    """By the compiled library."""
    return _call(rows, rows.offsets, n_columns, None, None)


def count_parts_compiled(rows: Ragged, n_columns: int, known: Ragged, new: Ragged) -> SparseRows:
    """By the compiled library."""
    n_inside = _n_inside(rows, known, new)
    room = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(n_inside, dtype=np.int64)])[rows.offsets]
    return _call(rows, room, n_columns, known, new)


def _call(
    rows: Ragged, room: NDArray[np.int64], n_columns: int, known: Ragged | None, new: Ragged | None
) -> SparseRows:
    """`room`, (n_rows + 1,): where the entries of each row may be written."""
    loaded, text = library.load()
    if loaded is None:
        raise RuntimeError(f"There are no compiled kernels: {text}.")
    most = int(room[-1])
    lengths = np.empty(len(rows), dtype=np.int64)
    columns, counts = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.float32)
    numbers = np.ascontiguousarray(rows.values, dtype=np.int32)
    parts = [each for table in (known, new) if table is not None for each in (table.offsets, table.values)]
    parts = [np.ascontiguousarray(each) for each in parts]
    call = abi.CountEntries(
        n_rows=len(rows),
        n_columns=n_columns,
        offsets=abi.address(rows.offsets),
        numbers=abi.address(numbers),
        n_known=0 if known is None else len(known),
        n_new=0 if new is None else len(new),
        room=abi.address(room),
        lengths=abi.address(lengths),
        columns=abi.address(columns),
        counts=abi.address(counts),
        n_threads=chosen_threads() or 1,
    )
    if parts:
        names = ("known_offsets", "known_columns", "new_offsets", "new_columns")
        for name, array in zip(names, parts, strict=True):
            setattr(call, name, abi.address(array))
    n_entries = loaded.seqclf_count_entries(ctypes.byref(call))
    return SparseRows(lengths, columns[:n_entries], counts[:n_entries], n_columns)


def count_parts_plain(rows: Ragged, n_columns: int, known: Ragged, new: Ragged) -> SparseRows:
    """By numpy."""
    inside = Ragged(np.concatenate([known.values, new.values]), np.concatenate([known.lengths, new.lengths]))
    ends = np.concatenate([[0], np.cumsum(_n_inside(rows, known, new))])[rows.offsets]
    found = [SparseRows.from_dense(np.empty((0, n_columns)))]
    start = 0
    while start < len(rows):
        stop = max(int(np.searchsorted(ends, ends[start] + _BLOCK, side="right")) - 1, start + 1)
        numbers = rows.values[rows.offsets[start] : rows.offsets[stop]]
        block = Ragged(inside.take(numbers).values, np.diff(ends[start : stop + 1]))
        found.append(count_plain(block, n_columns))
        start = stop
    return _below_one_another(found)


def count_plain(rows: Ragged, n_columns: int) -> SparseRows:
    """By numpy."""
    found = [SparseRows.from_dense(np.empty((0, n_columns)))]
    start = 0
    while start < len(rows):
        stop = max(int(np.searchsorted(rows.offsets, rows.offsets[start] + _BLOCK, side="right")) - 1, start + 1)
        values = rows.values[rows.offsets[start] : rows.offsets[stop]]
        row = np.repeat(np.arange(stop - start), rows.lengths[start:stop])
        known = values >= 0
        entries = row[known] * n_columns + values[known]
        entries.sort()
        first = np.flatnonzero(np.diff(entries, prepend=-1))
        row, columns = np.divmod(entries[first], max(n_columns, 1))
        counts = np.diff(first, append=len(entries)).astype(np.float32)
        lengths = np.bincount(row, minlength=stop - start)
        found.append(SparseRows(lengths, columns.astype(np.int32), counts, n_columns))
        start = stop
    return _below_one_another(found)


def _n_inside(rows: Ragged, known: Ragged, new: Ragged) -> NDArray[np.int64]:
    """How much each of the numbers holds."""
    if not len(new):
        return known.lengths[rows.values]
    n_inside = np.empty(rows.n_steps, dtype=np.int64)
    is_new = rows.values >= len(known)
    n_inside[is_new] = new.lengths[rows.values[is_new] - len(known)]
    n_inside[~is_new] = known.lengths[rows.values[~is_new]]
    return n_inside


def _below_one_another(parts: list[SparseRows]) -> SparseRows:
    lengths, columns, values = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("lengths", "columns", "values")
    )
    return SparseRows(lengths, columns, values, parts[0].n_columns)
