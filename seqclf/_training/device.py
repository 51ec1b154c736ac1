"""Where the arithmetic runs: device and number of threads."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from seqclf._inference.dispatch import is_compiled
from seqclf._kernels import torch_threads
from seqclf._native.threads import chosen_threads, in_forked_process, kernel_threads
from seqclf._warn import warn


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
    except (RuntimeError, ValueError, OverflowError) as error:
        raise ValueError(f"device={device!r} is not 'auto' or the name of a torch device, such as 'cpu'.") from error
    if resolved.type not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device={device!r} is not supported; expected 'auto', 'cpu', 'cuda', 'cuda:0' or the like.")
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count() > 0:
        raise ValueError(f"device={device!r}, but there are only {torch.cuda.device_count()} CUDA GPUs here.")
    if resolved.type == "cuda" and not torch.cuda.is_available():
        warn(f"device={device!r}, but torch sees no CUDA GPU here: the CPU is used.")
        return torch.device("cpu")
    if resolved.type == "mps" and not torch.backends.mps.is_available():
        warn(f"device={device!r}, but torch has no MPS here: the CPU is used.")
        return torch.device("cpu")
    if resolved.type == "mps":
        warn(f"device={device!r}: torch's recurrences on MPS are known to give wrong results.")
    return resolved


@contextmanager
def use_threads(n_threads: int | None, device: torch.device, cell: str, activation: str) -> Iterator[None]:
    """Run a block with that many threads, and restore everything; None takes the number that torch has outside.

    Where our kernels compute, they alone get the threads: torch's operations around them are small, and each would wait
    for every thread of torch's pool, which takes long on a busy machine. Elsewhere torch gets them; in a fork, where
    the threads of torch's pool do not exist and it would never return, it gets one.
    """
    if device.type == "cpu" and is_compiled(cell, activation):
        with torch_threads(1) as outside, kernel_threads(n_threads or chosen_threads() or outside):
            yield
    else:
        n_torch = 1 if in_forked_process() else n_threads
        with nullcontext() if n_torch is None else torch_threads(n_torch):
            yield
