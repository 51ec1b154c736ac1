"""Gathering of the steps of a batch from the data, and of their looked-up values."""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._inference.dispatch import is_native_enabled
from seqclf._inference.layout import BatchLayout
from seqclf._native import abi
from seqclf._native.call import LOOKUP_COST, loaded, thread_count
from seqclf._native.threads import n_threads

Array = NDArray[Any]
Tables = Sequence[Array]


def gather_steps(values: Array, layout: BatchLayout) -> Array:
    """Gather the steps of a batch in the order of `layout`, shape (n_steps,) or (n_steps, features).

    Parameters
    ----------
    values : ndarray of shape (n,) or (n, features)
        Token ids or values of all the data.
    layout : BatchLayout
        The layout of the batch, with the position of each sequence in the data.

    Returns
    -------
    ndarray
        With the dtype of the data, except that 32-bit ids become 64-bit.
    """
    layout.check(len(values))
    return (gather_steps_compiled if is_native_enabled() else gather_steps_numpy)(values, layout)


def gather_steps_compiled(values: Array, layout: BatchLayout) -> Array:
    """See :func:`gather_steps`."""
    if not values[:1].flags.c_contiguous and values.ndim > 1:
        values = np.ascontiguousarray(values)
    widened = values.dtype == np.int32 and values.ndim == 1
    gathered = np.empty((layout.n_steps, *values.shape[1:]), dtype=np.int64 if widened else values.dtype)
    n_bytes = values.itemsize * int(np.prod(values.shape[1:], dtype=np.int64))
    call = abi.Gather(
        layout.as_c_struct,
        abi.address(layout.data_offsets),
        widened,
        n_bytes,
        values.strides[0],
        *map(abi.address, (values, gathered)),
    )
    loaded().seqclf_gather(ctypes.byref(call))
    return gathered


def gather_steps_numpy(values: Array, layout: BatchLayout) -> Array:
    """See :func:`gather_steps`."""
    gathered = values[layout.data_positions]
    return gathered.astype(np.int64) if values.dtype == np.int32 and values.ndim == 1 else gathered


def look_up(entries: Array, tables: Tables, versions: Array, layout: BatchLayout) -> NDArray[np.float32]:
    """Look up the values of each step of a batch, shape (n_steps, n_values): those of the first table come first.

    Parameters
    ----------
    entries : ndarray of shape (n, n_tables), int32
        For each step of the data, its entry in each table.
    tables : sequence of ndarray of shape (n_versions, n_entries, n_values), float32
        The values of the entries.
    versions : ndarray of shape (n_sequences,)
        The version of the tables for each sequence of the batch.
    layout : BatchLayout
        The layout of the batch, with the position of each sequence in the data.
    """
    layout.check(len(entries))
    return (look_up_compiled if is_native_enabled() else look_up_numpy)(entries, tables, versions, layout)


def look_up_compiled(entries: Array, tables: Tables, versions: Array, layout: BatchLayout) -> NDArray[np.float32]:
    """See :func:`look_up`."""
    tables = [np.ascontiguousarray(table, dtype=np.float32) for table in tables]
    entries = entries.astype(np.int32, copy=False)
    if entries.strides[1] != entries.itemsize:
        entries = np.ascontiguousarray(entries)
    row_versions = np.ascontiguousarray(layout.sort_rows(versions), dtype=np.int64)
    if len(row_versions) != layout.n_rows or len(tables) > entries.shape[1]:
        raise ValueError(
            f"There are {len(row_versions)} versions for {layout.n_rows} rows, "
            f"and {len(tables)} tables for entries of shape {entries.shape}."
        )
    found = np.empty((layout.n_steps, sum(table.shape[2] for table in tables)), dtype=np.float32)
    structures = (abi.Table * len(tables))(*(abi.Table(*table.shape, abi.address(table)) for table in tables))
    call = abi.TableLookUp(
        layout.as_c_struct,
        *map(abi.address, (layout.data_offsets, row_versions)),
        len(tables),
        ctypes.addressof(structures),
        abi.address(entries),
        entries.strides[0] // entries.itemsize,
        abi.address(found),
        thread_count(n_threads(), layout.n_steps * LOOKUP_COST * len(tables)),
    )
    if not loaded().seqclf_look_up(ctypes.byref(call)):
        raise look_up_error(entries, tables, versions)
    return found


def look_up_numpy(entries: Array, tables: Tables, versions: Array, layout: BatchLayout) -> NDArray[np.float32]:
    """See :func:`look_up`."""
    gathered = entries[layout.data_positions]
    step_versions = versions[layout.sequence_of_row][layout.row]
    try:
        if (gathered < 0).any() or (step_versions < 0).any():  # Indexing would count them from the end.
            raise IndexError
        columns = zip(tables, gathered.T, strict=True)
        return np.concatenate([table[step_versions, column] for table, column in columns], axis=1, dtype=np.float32)
    except IndexError:
        raise look_up_error(entries, tables, versions) from None


def look_up_error(entries: Array, tables: Tables, versions: Array) -> IndexError:
    """The error for an entry or a version that is out of range."""
    shapes = " and ".join(str(tuple(table.shape)) for table in tables)
    return IndexError(
        f"The versions run from {versions.min()} to {versions.max()} and the entries from {entries.min()} to "
        f"{entries.max()}; not all of them are in the tables, which have the shapes {shapes}."
    )
