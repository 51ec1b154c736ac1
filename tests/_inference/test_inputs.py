"""The inputs of a layer: materialized embeddings, and the check of ids."""

import numpy as np
import pytest

from seqclf._inference.inputs import LayerInputs, check_ids, materialize

EMBEDDING = np.arange(8, dtype=np.float32).reshape(4, 2)


def test_materialize_appends_values_to_the_vectors():
    ids, values = np.array([3, 0]), np.array([[5.0], [6.0]])
    found = materialize(LayerInputs(values, ids, EMBEDDING), np.float64)
    assert found.dtype == np.float64 and found.tolist() == [[6, 7, 5], [0, 1, 6]]
    assert materialize(LayerInputs(None, ids, EMBEDDING), np.float32).tolist() == [[6, 7], [0, 1]]
    assert materialize(LayerInputs(values), np.float64) is values


@pytest.mark.parametrize("bad", [-1, 4])
def test_ids_out_of_range_raise(bad):
    with pytest.raises(IndexError, match="expected 0 to 3"):
        materialize(LayerInputs(None, np.array([0, bad]), EMBEDDING), np.float64)
    with pytest.raises(IndexError, match=f"{bad}.*; expected 0 to 3"):
        check_ids(np.array([0, bad]), 4)


def test_check_ids_accepts_ids_in_range_and_no_ids():
    check_ids(np.array([], dtype=np.int64), 0)
    check_ids(np.array([0, 3]), 4)
