"""Vectors of ids written out, and ids that no table has."""

import numpy as np
import pytest

from seqclf._inference.inputs import LayerInputs, check_ids, written_out

TABLE = np.arange(8, dtype=np.float32).reshape(4, 2)


def test_vectors_come_first_and_then_the_numbers():
    ids, numbers = np.array([3, 0]), np.array([[5.0], [6.0]])
    found = written_out(LayerInputs(numbers, ids, TABLE), np.float64)
    assert found.dtype == np.float64 and found.tolist() == [[6, 7, 5], [0, 1, 6]]
    assert written_out(LayerInputs(None, ids, TABLE), np.float32).tolist() == [[6, 7], [0, 1]]
    assert written_out(LayerInputs(numbers), np.float64) is numbers


@pytest.mark.parametrize("bad", [-1, 4])
def test_ids_beyond_the_table_are_refused(bad):
    with pytest.raises(IndexError, match="expected 0 to 3"):
        written_out(LayerInputs(None, np.array([0, bad]), TABLE), np.float64)
    with pytest.raises(IndexError, match=f"{bad}.*; expected 0 to 3"):
        check_ids(np.array([0, bad]), 4)


def test_no_ids_are_within_any_table():
    check_ids(np.array([], dtype=np.int64), 0)
    check_ids(np.array([0, 3]), 4)
