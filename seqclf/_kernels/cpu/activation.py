"""A single activation of the compiled kernels, for tests."""

import ctypes

import torch
from torch import Tensor

from seqclf._kernels.cpu.call import address
from seqclf._native import abi
from seqclf._native.call import loaded


def activate(code: int, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The values and derivatives of the activation with this code; float32, and the size is a multiple of 8."""
    assert inputs.dtype == torch.float32 and inputs.numel() % 8 == 0
    inputs = inputs.contiguous()
    values, slopes = torch.empty_like(inputs), torch.empty_like(inputs)
    call = abi.Activate(code, inputs.numel(), address(inputs), address(values), address(slopes))
    if not loaded().seqclf_activate(ctypes.byref(call)):
        raise ValueError(f"The compiled library has no activation with the code {code}.")
    return values, slopes
