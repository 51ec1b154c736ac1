"""Tensors as the compiled library reads them."""

import torch

from seqclf._kernels.cpu import call


def test_the_address_is_that_of_the_first_value():
    values = torch.zeros(5)
    assert call.address(values[2:]) == values.data_ptr() + 8
    assert call.address(None) is None
