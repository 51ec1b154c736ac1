"""Counts of ids and of their expansions: the compiled code and numpy, against dense counts."""

import numpy as np
import pytest

from seqclf._data.ragged import Ragged
from seqclf._label_features import entry_counts as module
from seqclf._label_features.entry_counts import (
    count_compiled,
    count_entries,
    count_expanded_compiled,
    count_expanded_entries,
    count_expanded_plain,
    count_plain,
)
from seqclf._native import library
from seqclf._native.threads import kernel_threads

needs_library = pytest.mark.skipif(not library.available()[0], reason=library.available()[1])
IMPLEMENTATIONS = [
    pytest.param((count_compiled, count_expanded_compiled), marks=needs_library),
    (count_plain, count_expanded_plain),
]


def draw(n_rows, max_length, low, high, seed=0):
    """Rows of ids; the first, the last and some others are empty."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, max_length, size=n_rows)
    lengths[::7] = lengths[-1:] = 0
    return Ragged(rng.integers(low, high, size=lengths.sum()).astype(np.int32), lengths)


def dense_counts(rows, n_columns):
    return np.array([np.bincount(row[row >= 0], minlength=n_columns) for row in rows.items()], dtype=np.float32)


def assert_counts(found, expected):
    """The entries are in the order of the columns, without duplicates."""
    assert found.shape == expected.shape
    rows, columns = expected.nonzero()
    np.testing.assert_array_equal(found.lengths, (expected > 0).sum(axis=1), strict=True)
    np.testing.assert_array_equal(found.columns, columns.astype(np.int32), strict=True)
    np.testing.assert_array_equal(found.values, expected[rows, columns], strict=True)


# Rows below and above the length for radix sort; columns of one, two and three digits.
@pytest.mark.parametrize("n_columns", [1, 7, 2_048, 2_049, 40_000, 5_000_000])
@pytest.mark.parametrize("max_length", [9, 500])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_count_entries_equals_dense_counts(implementation, max_length, n_columns):
    rows = draw(70, max_length, -2, n_columns)
    found = implementation[0](rows, n_columns)
    present = np.unique(rows.values[rows.values >= 0])
    renumbered = Ragged(np.where(rows.values < 0, -1, np.searchsorted(present, rows.values)), rows.lengths)
    assert found.n_columns == n_columns and np.isin(found.columns, present).all()
    assert_counts(found.select(present), dense_counts(renumbered, len(present)))


@pytest.mark.parametrize("n_new", [0, 3])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_count_expanded_entries_equals_dense_counts(implementation, n_new):
    fitted, new = draw(10, 30, 0, 50, seed=1), draw(n_new, 5, 0, 50, seed=2)
    rows = draw(70, 40, 0, 10 + n_new)
    expansion = np.concatenate([dense_counts(fitted, 50), dense_counts(new, 50).reshape(n_new, 50)])
    found = implementation[1](rows, 50, fitted, new)
    assert_counts(found, dense_counts(rows, 10 + n_new) @ expansion)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_counts_of_empty_input(implementation):
    empty = Ragged.from_items([], dtype=np.int32)
    assert implementation[0](empty, 5).shape == (0, 5)
    rows = Ragged.from_items([[], [0]], dtype=np.int32)
    assert implementation[1](rows, 0, Ragged.from_items([[]]), empty).shape == (2, 0)
    assert implementation[1](empty, 5, Ragged.from_items([[3]]), empty).shape == (0, 5)


@pytest.mark.parametrize("block", [1, 30, 2**22])
def test_plain_counts_do_not_depend_on_the_block_size(tune, block):
    tune(entry_count_block=block)
    fitted, new = draw(10, 30, 0, 50, seed=1), draw(3, 5, 0, 50, seed=2)
    rows = draw(30, 9, -2, 7)
    assert_counts(count_plain(rows, 7), dense_counts(rows, 7))
    rows = draw(30, 9, 0, 13)
    expansion = np.concatenate([dense_counts(fitted, 50), dense_counts(new, 50)])
    assert_counts(count_expanded_plain(rows, 50, fitted, new), dense_counts(rows, 13) @ expansion)


@needs_library
@pytest.mark.parametrize("n_threads", [2, 5])
def test_compiled_counts_do_not_depend_on_the_number_of_threads(n_threads):
    rows, fitted, new = draw(300, 40, 0, 13), draw(10, 30, 0, 50, seed=1), draw(3, 5, 0, 50, seed=2)
    one = count_expanded_compiled(rows, 50, fitted, new)
    with kernel_threads(n_threads):
        several = count_expanded_compiled(rows, 50, fitted, new)
    for name in ("lengths", "columns", "values"):
        np.testing.assert_array_equal(getattr(several, name), getattr(one, name), strict=True)


@needs_library
def test_count_functions_choose_the_implementation(monkeypatch):
    called = []
    for name in ("count_compiled", "count_plain", "count_expanded_compiled", "count_expanded_plain"):
        monkeypatch.setattr(module, name, lambda *args, name=name: called.append(name))
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    count_entries(None, 3), count_expanded_entries(None, 3, None, None)
    monkeypatch.setenv("SEQCLF_KERNELS", "reference")
    count_entries(None, 3), count_expanded_entries(None, 3, None, None)
    assert called == ["count_compiled", "count_expanded_compiled", "count_plain", "count_expanded_plain"]
