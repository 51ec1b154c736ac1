"""What every call into the compiled library needs: the library, addresses, and how many threads the call is worth."""

import ctypes

import torch
from torch import Tensor

from seqclf._native import library

# Multiplications below which one thread does a call: until another one has begun, much of it is done. On one processor
# they took 0.1 ms with AVX-512, 0.2 ms with AVX2 and 0.7 ms with SSE. Other work is counted in multiplications too, and
# the times that such counts name are from that processor, where one with AVX2 took 16 ps.
_MIN_PARALLEL_WORK = 10_000_000
# What pooling, or summing a gradient, takes for each value: 120 to 210 ps.
VALUE_COST = 12


def loaded() -> ctypes.CDLL:
    """The library, whose functions release the interpreter's lock during a call."""
    found, text = library.load()
    if found is None:
        raise RuntimeError(f"There are no compiled kernels: {text}.")
    return found


def address(tensor: Tensor | None) -> int | None:
    """The address of a tensor's first value. The caller keeps the tensor alive."""
    return None if tensor is None else tensor.data_ptr()


def thread_count(n_threads: int, work: int) -> int:
    """How many of the threads a call of that many multiplications is worth."""
    return n_threads if work > _MIN_PARALLEL_WORK else 1


def is_plain(tensor: Tensor) -> bool:
    """Whether the library can read a tensor in place: contiguous float32 on the CPU."""
    return (
        tensor.device.type == "cpu"
        and tensor.dtype == torch.float32
        and tensor.layout == torch.strided
        and tensor.is_contiguous()
    )
