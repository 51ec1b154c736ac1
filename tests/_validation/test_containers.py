from array import array
from collections import UserList, deque

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch

from seqclf._validation.containers import as_array, is_sparse, plain, refuse_masked, unpack_rows

MASKED = np.ma.masked_array([1.0, 2.0], mask=[False, True])
IN_CONTAINERS = {
    "itself": MASKED,
    "list": [[1.0], MASKED],
    "tuple": ([1.0], MASKED),
    "deque": deque([[1.0], MASKED]),
    "UserList": UserList([[1.0], MASKED]),
    "deque of equal lengths": deque([MASKED, MASKED]),
    "Series": pd.Series([[1.0], MASKED]),
    "the masked constant": deque([1.0, np.ma.masked]),
}


@pytest.mark.parametrize("read", [plain, as_array, unpack_rows])
@pytest.mark.parametrize("values", IN_CONTAINERS.values(), ids=IN_CONTAINERS)
def test_masked_arrays_are_refused_in_every_container(read, values):
    if read is plain and isinstance(values, pd.Series):
        values = values.to_numpy()
    with pytest.raises(TypeError, match=r"^groups (is|holds) a masked array.*: fill its masked values first"):
        read(values, "groups")


def test_where_the_masked_array_is():
    objects = np.empty((1, 2), dtype=object)
    objects[0, 0], objects[0, 1] = 1.0, MASKED
    with pytest.raises(TypeError, match="X holds a masked array at position 1"):
        refuse_masked(objects, "X")
    refuse_masked(np.ones(3), "X")
    refuse_masked("text", "X")


def test_sequences_of_other_kinds_are_lists():
    for values in (deque([1, 2]), UserList([1, 2]), range(1, 3), array("i", [1, 2])):
        assert plain(values, "X") == [1, 2]
    for values in ("ab", b"ab", (1, 2), [1, 2], pd.Series([1, 2]), pl.Series([1, 2]), {1: 2}, None):
        assert plain(values, "X") is values


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_tensor_is_read_whether_or_not_it_has_a_gradient(dtype):
    tensor = torch.ones(2, 3, dtype=dtype, requires_grad=True)
    for read in (plain, as_array, unpack_rows):
        np.testing.assert_array_equal(read(tensor, "X"), np.ones((2, 3)))


def test_values_as_an_array():
    assert as_array(deque([[1], [1, 2]]), "y").tolist() == [[1], [1, 2]]
    assert as_array(pd.DataFrame({"a": [1, 2]}), "y").shape == (2, 1)
    assert as_array(pl.DataFrame({"a": [1, 2]}), "y").shape == (2, 1)


def test_a_table_of_tokens_gets_both_answers():
    with pytest.raises(ValueError, match=r"pick the one .*X\[:, 0\]\. If each row is a list of tokens: X\.tolist\(\)"):
        unpack_rows(np.array([["a", "b"], ["c", "d"]]), "X")


def test_what_is_sparse():
    class Counts(scipy.sparse.csr_array):
        """A class of somebody else."""

    for one in (scipy.sparse.eye(2), scipy.sparse.dok_matrix((2, 2)), scipy.sparse.csr_array((2, 2)), Counts((2, 2))):
        assert is_sparse(one)
    assert not any(map(is_sparse, (np.eye(2), [scipy.sparse.eye(2)], None, pd.DataFrame([[1]]), {})))
