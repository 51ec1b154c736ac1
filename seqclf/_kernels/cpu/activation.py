"""The activations of the compiled kernels, each by itself."""

import ctypes

import torch
from torch import Tensor

from seqclf._kernels.cpu.call import address
from seqclf._native import abi
from seqclf._native.call import loaded


def activate(code: int, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The values of the activation with this code, and its slopes; float32, as many as a multiple of 8."""
    assert inputs.dtype == torch.float32 and inputs.numel() % 8 == 0
    inputs = inputs.contiguous()
    values, slopes = torch.empty_like(inputs), torch.empty_like(inputs)
    call = abi.Activate(code, inputs.numel(), address(inputs), address(values), address(slopes))
    if not loaded().seqclf_activate(ctypes.byref(call)):
        raise ValueError(f"The compiled library has no activation with the code {code}.")
    return values, slopes
