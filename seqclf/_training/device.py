"""Where the arithmetic runs: device and number of threads."""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from seqclf._kernels import chosen_threads, forked, is_exact, kernel_threads


def resolve_device(device: str) -> torch.device:
    """The torch device of that name; "auto" is a CUDA GPU where there is one, else the CPU.

    A GPU that is asked for and not there gives the CPU and a warning, so that a model that was trained on a GPU
    predicts on a machine without one. Apple's MPS is never chosen by "auto": its recurrences give results that depend
    on the batch (pytorch issue 180744), and asking for it warns.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r} is not 'auto' or the name of a torch device, such as 'cpu'.") from error
    if resolved.type not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device={device!r} is not supported; expected 'auto', 'cpu', 'cuda', 'cuda:0' or the like.")
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count() > 0:
        raise ValueError(f"device={device!r}, but there are only {torch.cuda.device_count()} CUDA GPUs here.")
    if resolved.type == "cuda" and not torch.cuda.is_available():
        warnings.warn(f"device={device!r}, but torch sees no CUDA GPU here: the CPU is used.", stacklevel=2)
        return torch.device("cpu")
    if resolved.type == "mps":
        warnings.warn(f"device={device!r}: torch's recurrences on MPS are known to give wrong results.", stacklevel=2)
    return resolved


@contextmanager
def use_threads(n_threads: int | None, device: torch.device, cell: str, activation: str) -> Iterator[None]:
    """Run a block with that many threads, and put everything back; None takes the number that torch has outside.

    Where our kernels compute, they alone get the threads: torch's operations around them are small, and each would wait
    for every thread of torch's pool, which takes long on a busy machine. Elsewhere torch gets them; in a fork, where
    torch's pool has lost its threads and would wait for them for ever, it gets one.
    """
    if device.type == "cpu" and is_exact(cell, activation):
        with _torch_threads(1) as outside, kernel_threads(n_threads or chosen_threads() or outside):
            yield
    else:
        n_torch = 1 if forked() else n_threads
        with nullcontext() if n_torch is None else _torch_threads(n_torch):
            yield


_lock = threading.Lock()
_numbers: list[int] = []  # of the blocks that run now
_number_outside = 1
_this_thread = threading.local()


@contextmanager
def _torch_threads(n: int) -> Iterator[int]:
    """Give torch `n` threads inside a block; gives the number outside.

    torch keeps a number for each Python thread, one for those that it has not met yet, and one for its matrix products
    that holds for all; setting the first sets the other two. So blocks in several Python threads count on each other:
    the first one knows the number outside, and one that ends gives those that go on their number of the products back.
    """
    global _number_outside
    with _lock:
        before = torch.get_num_threads()
        depth = getattr(_this_thread, "depth", 0)
        if not _numbers:
            _number_outside = before
        elif depth == 0 and before in _numbers:
            before = _number_outside  # a thread that torch has just met, whose number is that of another block
        _numbers.append(n)
        _this_thread.depth = depth + 1
        torch.set_num_threads(n)
    try:
        yield before
    finally:
        with _lock:
            _numbers.remove(n)
            _this_thread.depth = depth
            torch.set_num_threads(before)
            if _numbers and depth == 0:
                # Not in this thread, which has its own number back.
                other = threading.Thread(target=torch.set_num_threads, args=(_numbers[-1],))
                other.start()
                other.join()


def _forget_blocks() -> None:
    """In a fork: the threads that were in a block are not there."""
    global _lock, _this_thread
    _lock = threading.Lock()
    _numbers.clear()
    _this_thread = threading.local()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_blocks)
