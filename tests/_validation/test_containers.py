"""Unpacking of rows from containers."""

from array import array
from collections import UserList, deque

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch

from seqclf._validation.containers import as_array, check_not_masked, is_sparse, to_plain_container, unpack_rows

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


@pytest.mark.parametrize("convert", [to_plain_container, as_array, unpack_rows])
@pytest.mark.parametrize("values", IN_CONTAINERS.values(), ids=IN_CONTAINERS)
def test_masked_arrays_are_errors_in_every_container(convert, values):
    if convert is to_plain_container and isinstance(values, pd.Series):
        values = values.to_numpy()
    with pytest.raises(TypeError, match=r"^groups (is|holds) a masked array.*: fill its masked values first"):
        convert(values, "groups")


def test_check_not_masked_contains_the_position():
    objects = np.empty((1, 2), dtype=object)
    objects[0, 0], objects[0, 1] = 1.0, MASKED
    with pytest.raises(TypeError, match="X holds a masked array at position 1"):
        check_not_masked(objects, "X")
    check_not_masked(np.ones(3), "X")
    check_not_masked("text", "X")


def test_to_plain_container_makes_lists_of_other_sequences():
    for values in (deque([1, 2]), UserList([1, 2]), range(1, 3), array("i", [1, 2])):
        assert to_plain_container(values, "X") == [1, 2]
    for values in ("ab", b"ab", (1, 2), [1, 2], pd.Series([1, 2]), pl.Series([1, 2]), {1: 2}, None):
        assert to_plain_container(values, "X") is values


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tensors_with_gradients_are_converted(dtype):
    tensor = torch.ones(2, 3, dtype=dtype, requires_grad=True)
    for convert in (to_plain_container, as_array, unpack_rows):
        np.testing.assert_array_equal(convert(tensor, "X"), np.ones((2, 3)))


def test_as_array_of_ragged_lists_and_frames():
    assert as_array(deque([[1], [1, 2]]), "y").tolist() == [[1], [1, 2]]
    assert as_array(pd.DataFrame({"a": [1, 2]}), "y").shape == (2, 1)
    assert as_array(pl.DataFrame({"a": [1, 2]}), "y").shape == (2, 1)


def test_unpack_rows_of_a_2d_array_of_tokens_has_advice_for_both_meanings():
    with pytest.raises(
        ValueError, match=r"pick the one .*X\[:, 0\]\. If each row is a list of tokens, pass X\.tolist\(\)"
    ):
        unpack_rows(np.array([["a", "b"], ["c", "d"]]), "X")


def test_is_sparse_accepts_matrices_arrays_and_subclasses():
    class Counts(scipy.sparse.csr_array):
        """A user-defined subclass."""

    for matrix in (
        scipy.sparse.eye(2),
        scipy.sparse.dok_matrix((2, 2)),
        scipy.sparse.csr_array((2, 2)),
        Counts((2, 2)),
    ):
        assert is_sparse(matrix)
    assert not any(map(is_sparse, (np.eye(2), [scipy.sparse.eye(2)], None, pd.DataFrame([[1]]), {})))
