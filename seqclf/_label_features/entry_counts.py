"""Counts of ids, such as n-grams, in each row: compiled, or in numpy."""

import ctypes

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._label_features.sparse_rows import SparseRows
from seqclf._native import abi, library
from seqclf._native.threads import chosen_threads

# The number of entries that numpy sorts at once, which bounds memory.
_BLOCK = 2**22


def count_entries(rows: Ragged, n_columns: int) -> SparseRows:
    """Count each id from 0 to ``n_columns - 1`` in each row; negative ids are not counted."""
    return (count_compiled if library.is_wanted() else count_plain)(rows, n_columns)


def count_expanded_entries(rows: Ragged, n_columns: int, fitted: Ragged, new: Ragged) -> SparseRows:
    """Replace each id of a row by its columns, and count each column in each row.

    Parameters
    ----------
    rows : Ragged of int32
        Ids from 0 to ``len(fitted) + len(new) - 1``, such as those of tokens.
    n_columns : int
    fitted, new : Ragged of int32
        The columns of each id, such as the n-grams of each token: first those of `fitted`, then those of `new`.
    """
    return (count_expanded_compiled if library.is_wanted() else count_expanded_plain)(rows, n_columns, fitted, new)


def count_compiled(rows: Ragged, n_columns: int) -> SparseRows:
    """`count_entries` by the compiled library."""
    return _call(rows, rows.offsets, n_columns, None, None)


def count_expanded_compiled(rows: Ragged, n_columns: int, fitted: Ragged, new: Ragged) -> SparseRows:
    """`count_expanded_entries` by the compiled library."""
    n_expanded = _n_expanded(rows, fitted, new)
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(n_expanded, dtype=np.int64)])[rows.offsets]
    return _call(rows, offsets, n_columns, fitted, new)


def _call(
    rows: Ragged, output_offsets: NDArray[np.int64], n_columns: int, fitted: Ragged | None, new: Ragged | None
) -> SparseRows:
    """Count in the compiled library; `output_offsets`, (n_rows + 1,), bound the output entries of each row."""
    loaded, text = library.load()
    if loaded is None:
        raise RuntimeError(f"There are no compiled kernels: {text}.")
    max_entries = int(output_offsets[-1])
    lengths = np.empty(len(rows), dtype=np.int64)
    columns, counts = np.empty(max_entries, dtype=np.int32), np.empty(max_entries, dtype=np.float32)
    ids = np.ascontiguousarray(rows.values, dtype=np.int32)
    expansions = [each for ragged in (fitted, new) if ragged is not None for each in (ragged.offsets, ragged.values)]
    expansions = [np.ascontiguousarray(each) for each in expansions]
    call = abi.CountEntries(
        n_rows=len(rows),
        n_columns=n_columns,
        offsets=abi.address(rows.offsets),
        ids=abi.address(ids),
        n_known=0 if fitted is None else len(fitted),
        n_new=0 if new is None else len(new),
        write_offsets=abi.address(output_offsets),
        lengths=abi.address(lengths),
        columns=abi.address(columns),
        counts=abi.address(counts),
        n_threads=chosen_threads() or 1,
    )
    if expansions:
        names = ("known_offsets", "known_columns", "new_offsets", "new_columns")
        for name, array in zip(names, expansions, strict=True):
            setattr(call, name, abi.address(array))
    n_entries = loaded.seqclf_count_entries(ctypes.byref(call))
    return SparseRows(lengths, columns[:n_entries], counts[:n_entries], n_columns)


def count_expanded_plain(rows: Ragged, n_columns: int, fitted: Ragged, new: Ragged) -> SparseRows:
    """`count_expanded_entries` in numpy."""
    expansion = Ragged(np.concatenate([fitted.values, new.values]), np.concatenate([fitted.lengths, new.lengths]))
    offsets = np.concatenate([[0], np.cumsum(_n_expanded(rows, fitted, new))])[rows.offsets]
    blocks = [SparseRows.from_dense(np.empty((0, n_columns)))]
    start = 0
    while start < len(rows):
        stop = max(int(np.searchsorted(offsets, offsets[start] + _BLOCK, side="right")) - 1, start + 1)
        ids = rows.values[rows.offsets[start] : rows.offsets[stop]]
        block = Ragged(expansion.take(ids).values, np.diff(offsets[start : stop + 1]))
        blocks.append(count_plain(block, n_columns))
        start = stop
    return _stack_rows(blocks)


def count_plain(rows: Ragged, n_columns: int) -> SparseRows:
    """`count_entries` in numpy."""
    blocks = [SparseRows.from_dense(np.empty((0, n_columns)))]
    start = 0
    while start < len(rows):
        stop = max(int(np.searchsorted(rows.offsets, rows.offsets[start] + _BLOCK, side="right")) - 1, start + 1)
        values = rows.values[rows.offsets[start] : rows.offsets[stop]]
        row = np.repeat(np.arange(stop - start), rows.lengths[start:stop])
        counted = values >= 0
        entries = row[counted] * n_columns + values[counted]
        entries.sort()
        first = np.flatnonzero(np.diff(entries, prepend=-1))
        row, columns = np.divmod(entries[first], max(n_columns, 1))
        counts = np.diff(first, append=len(entries)).astype(np.float32)
        lengths = np.bincount(row, minlength=stop - start)
        blocks.append(SparseRows(lengths, columns.astype(np.int32), counts, n_columns))
        start = stop
    return _stack_rows(blocks)


def _n_expanded(rows: Ragged, fitted: Ragged, new: Ragged) -> NDArray[np.int64]:
    """The number of columns of each id in the rows, (n_ids,)."""
    if not len(new):
        return fitted.lengths[rows.values]
    n_expanded = np.empty(rows.n_steps, dtype=np.int64)
    is_new = rows.values >= len(fitted)
    n_expanded[is_new] = new.lengths[rows.values[is_new] - len(fitted)]
    n_expanded[~is_new] = fitted.lengths[rows.values[~is_new]]
    return n_expanded


def _stack_rows(blocks: list[SparseRows]) -> SparseRows:
    lengths, columns, values = (
        np.concatenate([getattr(block, name) for block in blocks]) for name in ("lengths", "columns", "values")
    )
    return SparseRows(lengths, columns, values, blocks[0].n_columns)
