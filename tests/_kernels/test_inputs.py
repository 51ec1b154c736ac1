"""`Inputs` and `LookUp`: conversions and error messages."""

import numpy as np
import torch

from seqclf._kernels import Inputs, LookUp


def make_lookup():
    entries = torch.tensor([[0, 2], [1, 0], [4, 2]], dtype=torch.int32)
    tables = (torch.arange(10.0).reshape(1, 5, 2), torch.arange(9.0).reshape(1, 3, 3))
    return LookUp(entries, tables, np.array([0, 0]))


def test_of_takes_floats_as_values_and_integers_as_ids():
    floats, integers = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int32)
    assert Inputs.of(floats) == Inputs(values=floats)
    assert Inputs.of(integers) == Inputs(ids=integers)
    both = Inputs(floats, integers)
    assert Inputs.of(both) is both


def test_n_channels_of_a_lookup_is_the_sum_over_its_tables():
    assert make_lookup().n_channels == 5


def test_as_arrays_does_not_copy():
    lookup = make_lookup()
    entries, tables, versions = lookup.as_arrays()
    assert np.shares_memory(entries, lookup.entries.numpy())
    assert all(np.shares_memory(found, table.numpy()) for found, table in zip(tables, lookup.tables, strict=True))
    assert versions is lookup.versions


def test_error_of_a_lookup_has_the_ranges_and_the_shapes():
    error = make_lookup().error()
    assert isinstance(error, IndexError)
    assert "versions run from 0 to 0 and the entries from 0 to 4" in str(error)
    assert "(1, 5, 2) and (1, 3, 3)" in str(error)
