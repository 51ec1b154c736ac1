"""The activations of the compiled kernels, each by itself."""

import ctypes
from functools import cache

import torch
from torch import Tensor

from seqclf._kernels.cpu.call import address, loaded
from seqclf._native import abi


@cache
def has_activation(code: int) -> bool:
    """Whether the library has an activation with this code."""
    return bool(loaded().seqclf_activate(ctypes.byref(abi.Activate(code, 0, None, None, None))))


def activate(code: int, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The values of the activation with this code, and its slopes; float32, as many as a multiple of 8."""
    assert inputs.dtype == torch.float32 and inputs.numel() % 8 == 0
    inputs = inputs.contiguous()
    values, slopes = torch.empty_like(inputs), torch.empty_like(inputs)
    call = abi.Activate(code, inputs.numel(), address(inputs), address(values), address(slopes))
    if not loaded().seqclf_activate(ctypes.byref(call)):
        raise ValueError(f"The compiled library has no activation with the code {code}.")
    return values, slopes
