"""How often rows hold numbers, and what is inside these: the compiled code and numpy, against dense counts."""

import numpy as np
import pytest

from seqclf._data.ragged import Ragged
from seqclf._label_features import entry_counts as module
from seqclf._label_features.entry_counts import (
    count_compiled,
    count_entries,
    count_parts,
    count_parts_compiled,
    count_parts_plain,
    count_plain,
)
from seqclf._native import library
from seqclf._native.threads import kernel_threads

needs_library = pytest.mark.skipif(not library.available()[0], reason=library.available()[1])
BY = [pytest.param((count_compiled, count_parts_compiled), marks=needs_library), (count_plain, count_parts_plain)]


def draw(n_rows, most, low, high, seed=0):
    """Rows of numbers; the first, the last and some others have none."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, most, size=n_rows)
    lengths[::7] = lengths[-1:] = 0
    return Ragged(rng.integers(low, high, size=lengths.sum()).astype(np.int32), lengths)


def dense_counts(rows, n_columns):
    return np.array([np.bincount(row[row >= 0], minlength=n_columns) for row in rows.items()], dtype=np.float32)


def assert_counts(found, expected):
    """In the order of the columns, each of which is there once."""
    assert found.shape == expected.shape
    rows, columns = expected.nonzero()
    np.testing.assert_array_equal(found.lengths, (expected > 0).sum(axis=1), strict=True)
    np.testing.assert_array_equal(found.columns, columns.astype(np.int32), strict=True)
    np.testing.assert_array_equal(found.values, expected[rows, columns], strict=True)


# Fewer numbers than are sorted digit by digit, and more; columns of one, two and three digits.
@pytest.mark.parametrize("n_columns", [1, 7, 2_048, 2_049, 40_000, 5_000_000])
@pytest.mark.parametrize("most", [9, 500])
@pytest.mark.parametrize("by", BY)
def test_numbers(by, most, n_columns):
    rows = draw(70, most, -2, n_columns)
    found = by[0](rows, n_columns)
    some = np.unique(rows.values[rows.values >= 0])
    renumbered = Ragged(np.where(rows.values < 0, -1, np.searchsorted(some, rows.values)), rows.lengths)
    assert found.n_columns == n_columns and np.isin(found.columns, some).all()
    assert_counts(found.select(some), dense_counts(renumbered, len(some)))


@pytest.mark.parametrize("n_new", [0, 3])
@pytest.mark.parametrize("by", BY)
def test_what_is_inside_numbers(by, n_new):
    known, new = draw(10, 30, 0, 50, seed=1), draw(n_new, 5, 0, 50, seed=2)
    rows = draw(70, 40, 0, 10 + n_new)
    inside = np.concatenate([dense_counts(known, 50), dense_counts(new, 50).reshape(n_new, 50)])
    found = by[1](rows, 50, known, new)
    assert_counts(found, dense_counts(rows, 10 + n_new) @ inside)


@pytest.mark.parametrize("by", BY)
def test_nothing_at_all(by):
    nothing = Ragged.from_items([], dtype=np.int32)
    assert by[0](nothing, 5).shape == (0, 5)
    rows = Ragged.from_items([[], [0]], dtype=np.int32)
    assert by[1](rows, 0, Ragged.from_items([[]]), nothing).shape == (2, 0)
    assert by[1](nothing, 5, Ragged.from_items([[3]]), nothing).shape == (0, 5)


@pytest.mark.parametrize("block", [1, 30, 2**22])
def test_numpy_counts_block_by_block(tune, block):
    tune(entry_count_block=block)
    known, new = draw(10, 30, 0, 50, seed=1), draw(3, 5, 0, 50, seed=2)
    rows = draw(30, 9, -2, 7)
    assert_counts(count_plain(rows, 7), dense_counts(rows, 7))
    rows = draw(30, 9, 0, 13)
    inside = np.concatenate([dense_counts(known, 50), dense_counts(new, 50)])
    assert_counts(count_parts_plain(rows, 50, known, new), dense_counts(rows, 13) @ inside)


@needs_library
@pytest.mark.parametrize("n_threads", [2, 5])
def test_any_number_of_threads_gives_the_same(n_threads):
    rows, known, new = draw(300, 40, 0, 13), draw(10, 30, 0, 50, seed=1), draw(3, 5, 0, 50, seed=2)
    one = count_parts_compiled(rows, 50, known, new)
    with kernel_threads(n_threads):
        several = count_parts_compiled(rows, 50, known, new)
    for name in ("lengths", "columns", "values"):
        np.testing.assert_array_equal(getattr(several, name), getattr(one, name), strict=True)


@needs_library
def test_the_compiled_code_is_called(monkeypatch):
    called = []
    for name in ("count_compiled", "count_plain", "count_parts_compiled", "count_parts_plain"):
        monkeypatch.setattr(module, name, lambda *args, name=name: called.append(name))
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    count_entries(None, 3), count_parts(None, 3, None, None)
    monkeypatch.setenv("SEQCLF_KERNELS", "reference")
    count_entries(None, 3), count_parts(None, 3, None, None)
    assert called == ["count_compiled", "count_parts_compiled", "count_plain", "count_parts_plain"]
