"""Where the arithmetic runs: device and number of threads."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from seqclf._nn import forked

_THREADS_LOCK = threading.RLock()


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
def torch_threads(n_threads: int | None) -> Iterator[None]:
    """Run a block with that many torch threads, and put the number back; None leaves it alone.

    torch's thread count is one number for the whole process, so blocks that set it wait for one another. In a forked
    process, where torch's pool has lost its threads and would wait for them, it is one.
    """
    if forked():
        n_threads = 1
    if n_threads is None:
        yield
        return
    with _THREADS_LOCK:
        before = torch.get_num_threads()
        torch.set_num_threads(n_threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
