"""`SparseRows` against dense matrices."""

import numpy as np
import pytest

from seqclf._label_features.sparse_rows import SparseRows, stack_columns


def draw(n_rows=30, n_columns=12, seed=0):
    rng = np.random.default_rng(seed)
    dense = rng.integers(1, 9, size=(n_rows, n_columns)) * (rng.random((n_rows, n_columns)) < 0.3)
    dense[::5] = 0
    return dense.astype(np.float32)


def test_from_dense_and_toarray():
    dense = draw()
    rows = SparseRows.from_dense(dense)
    np.testing.assert_array_equal(rows.toarray(), dense, strict=True)
    assert rows.shape == dense.shape and len(rows) == 30 and (rows.values > 0).all()
    assert rows.offsets.tolist() == [0, *np.cumsum((dense > 0).sum(axis=1)).tolist()]
    np.testing.assert_array_equal(rows.row_of_entry(), dense.nonzero()[0])


@pytest.mark.parametrize("index", [[], [3], [7, 0, 7, 29], list(range(30))])
def test_getitem_selects_rows(index):
    dense = draw()
    found = SparseRows.from_dense(dense)[np.array(index, dtype=np.int64)]
    np.testing.assert_array_equal(found.toarray(), dense[index], strict=True)


@pytest.mark.parametrize("index", [[], [3], [0, 7, 11], list(range(12))])
def test_select_columns(index):
    dense = draw()
    found = SparseRows.from_dense(dense).select(index)
    np.testing.assert_array_equal(found.toarray(), dense[:, index], strict=True)
    assert found.columns.dtype == np.int32 and found.lengths.tolist() == (dense[:, index] > 0).sum(axis=1).tolist()


@pytest.mark.parametrize("widths", [[5], [5, 3], [4, 0, 7, 1], [0]])
def test_stack_columns(widths):
    matrices = [draw(n_columns=width, seed=width) for width in widths]
    found = stack_columns([SparseRows.from_dense(matrix) for matrix in matrices])
    dense = np.hstack(matrices)
    expected = SparseRows.from_dense(dense)
    np.testing.assert_array_equal(found.toarray(), dense, strict=True)
    np.testing.assert_array_equal(found.columns, expected.columns, strict=True)
    np.testing.assert_array_equal(found.values, expected.values, strict=True)
