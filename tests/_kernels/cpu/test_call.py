"""Tensors as arguments of the compiled library."""

import torch

from seqclf._kernels.cpu import call


def test_address_is_that_of_the_first_value():
    values = torch.zeros(5)
    assert call.address(values[2:]) == values.data_ptr() + 8
    assert call.address(None) is None


def test_is_plain_for_contiguous_float32_on_the_cpu():
    values = torch.zeros(4, 3)
    assert call.is_plain(values) and call.is_plain(values[1:])
    for other in (values.double(), values.t(), values[:, :2], values.to_sparse(), values.to("meta")):
        assert not call.is_plain(other)
