"""Tensors as arguments of the compiled library."""

import torch
from torch import Tensor


def address(tensor: Tensor | None) -> int | None:
    """Address of a tensor's first value. The caller keeps the tensor alive."""
    return None if tensor is None else tensor.data_ptr()


def is_plain(tensor: Tensor) -> bool:
    """Whether the library can read a tensor in place: contiguous float32 on the CPU."""
    return (
        tensor.device.type == "cpu"
        and tensor.dtype == torch.float32
        and tensor.layout == torch.strided
        and tensor.is_contiguous()
    )
