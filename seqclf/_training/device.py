"""Devices and numbers of threads for training and prediction with torch."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from seqclf._inference.dispatch import is_compiled
from seqclf._kernels import torch_threads
from seqclf._native.threads import chosen_threads, in_forked_process, kernel_threads, limited
from seqclf._warn import warn

_EXPECTED = "'auto', 'cpu', 'cuda', 'cuda:0' or 'mps'"


def resolve_device(device: str) -> torch.device:
    """The torch device of this name; "auto" is a CUDA GPU if there is one, otherwise the CPU.

    If the requested GPU is not available, this warns and returns the CPU, so that a model trained on a GPU can predict
    on a machine without one. "auto" never selects Apple's MPS, and requesting it warns: up to torch 2.11, predictions
    of a multi-layer LSTM with dropout depend on the batch there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, ValueError, OverflowError) as error:
        raise ValueError(f"device={device!r} is not supported: expected {_EXPECTED}.") from error
    if resolved.type not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device={device!r} is not supported: expected {_EXPECTED}.")
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count() > 0:
        raise ValueError(
            f"device={device!r}, but the number of CUDA GPUs here is {torch.cuda.device_count()}, and the first one is "
            "'cuda:0'."
        )
    if resolved.type == "cuda" and not torch.cuda.is_available():
        warn(f"device={device!r}, but torch finds no CUDA GPU here: the CPU is used.")
        return torch.device("cpu")
    if resolved.type == "mps" and not torch.backends.mps.is_available():
        warn(f"device={device!r}, but torch has no MPS here: the CPU is used.")
        return torch.device("cpu")
    if resolved.type == "mps":
        warn(f"device={device!r}: torch's recurrent layers are known to give wrong results on MPS. Use device='cpu'.")
    return resolved


@contextmanager
def use_threads(n_threads: int | None, device: torch.device, cell: str, activation: str) -> Iterator[None]:
    """Run a block with this number of threads, or with the current number if None, and restore the previous state.

    If the native kernels run, only they use the threads and torch gets one: its operations around them are small, and
    each would wait for all threads of torch's pool, which is slow on a busy machine. Otherwise torch uses the threads.
    In a forked process torch uses one: the threads of its pool don't exist there, and it would wait for them forever.
    """
    if device.type == "cpu" and is_compiled(cell, activation):
        with torch_threads(1) as outside, kernel_threads(n_threads or chosen_threads() or outside):
            yield
    else:
        n_torch = 1 if in_forked_process() else n_threads
        with nullcontext() if n_torch is None else torch_threads(limited(n_torch)):
            yield
