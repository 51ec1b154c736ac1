"""Rows of few numbers, against dense matrices."""

import numpy as np
import pytest

from seqclf._label_features.sparse_rows import SparseRows, side_by_side


def draw(n_rows=30, n_columns=12, seed=0):
    rng = np.random.default_rng(seed)
    dense = rng.integers(1, 9, size=(n_rows, n_columns)) * (rng.random((n_rows, n_columns)) < 0.3)
    dense[::5] = 0
    return dense.astype(np.float32)


def test_there_and_back():
    dense = draw()
    rows = SparseRows.from_dense(dense)
    np.testing.assert_array_equal(rows.toarray(), dense, strict=True)
    assert rows.shape == dense.shape and len(rows) == 30 and (rows.values > 0).all()
    assert rows.offsets.tolist() == [0, *np.cumsum((dense > 0).sum(axis=1)).tolist()]
    np.testing.assert_array_equal(rows.row_of_entry(), dense.nonzero()[0])


@pytest.mark.parametrize("chosen", [[], [3], [7, 0, 7, 29], list(range(30))])
def test_some_rows(chosen):
    dense = draw()
    found = SparseRows.from_dense(dense)[np.array(chosen, dtype=np.int64)]
    np.testing.assert_array_equal(found.toarray(), dense[chosen], strict=True)


@pytest.mark.parametrize("chosen", [[], [3], [0, 7, 11], list(range(12))])
def test_some_columns(chosen):
    dense = draw()
    found = SparseRows.from_dense(dense).select(chosen)
    np.testing.assert_array_equal(found.toarray(), dense[:, chosen], strict=True)
    assert found.columns.dtype == np.int32 and found.lengths.tolist() == (dense[:, chosen] > 0).sum(axis=1).tolist()


@pytest.mark.parametrize("widths", [[5], [5, 3], [4, 0, 7, 1], [0]])
def test_side_by_side(widths):
    parts = [draw(n_columns=width, seed=width) for width in widths]
    found = side_by_side([SparseRows.from_dense(part) for part in parts])
    whole = np.hstack(parts)
    expected = SparseRows.from_dense(whole)
    np.testing.assert_array_equal(found.toarray(), whole, strict=True)
    np.testing.assert_array_equal(found.columns, expected.columns, strict=True)
    np.testing.assert_array_equal(found.values, expected.values, strict=True)
