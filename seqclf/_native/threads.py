"""The number of threads for calls into the compiled library, and whether this process was forked."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_in_fork = False


@dataclass(eq=False, frozen=True)
class Choice:
    """The number of threads that was chosen for a block."""

    n: int


_limits = threading.local()
_choice: ContextVar[Choice | None] = ContextVar("seqclf_threads", default=None)


@contextmanager
def kernel_threads(n: int) -> Iterator[None]:
    """Let the kernels use `n` threads inside a block, instead of the default. Other Python threads are not affected."""
    outer, inner = _choice.get(), Choice(n)
    try:
        _choice.set(inner)
        yield
    finally:
        if _choice.get() is inner:  # Not if Ctrl-C aborted the block, and its generator is only collected now.
            _choice.set(outer)


def chosen_threads() -> int | None:
    """The number of the innermost :func:`kernel_threads` block, up to the limit; None outside of all blocks."""
    choice = _choice.get()
    return None if choice is None else limited(choice.n)


def n_threads() -> int:
    """The number of threads that a call can use: the chosen one, or the default."""
    return chosen_threads() or default_threads()


def default_threads() -> int:
    """Torch's number if torch is imported, else OMP_NUM_THREADS, else the number of CPUs; at most the limit.

    Workers of joblib have OMP_NUM_THREADS set to their part of the CPUs, and torch reads it when it is imported.
    """
    return limited(_unlimited_threads())


def _unlimited_threads() -> int:
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):  # it has no such function while it is being imported
        return int(torch.get_num_threads())
    value = os.environ.get("OMP_NUM_THREADS", "").strip()
    if value.isdecimal() and int(value) > 0:
        return int(value)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_limit() -> int | None:
    """The limit of this Python thread, which `threadpoolctl.threadpool_limits` sets; None without one."""
    limit: int | None = getattr(_limits, "n", None)
    return limit


def set_thread_limit(n: int | None) -> None:
    """Set the limit of this Python thread, or remove it. It applies to chosen and default numbers."""
    _limits.n = n


def limited(n: int) -> int:
    """`n`, or the limit if that is smaller."""
    limit = thread_limit()
    return n if limit is None else min(n, limit)


def current_choice() -> Choice | None:
    """The present choice, for :func:`restore_choice`."""
    return _choice.get()


def restore_choice(choice: Choice | None) -> None:
    """Restore an earlier choice, after Ctrl-C aborted a block that should have done it."""
    _choice.set(choice)


def in_forked_process() -> bool:
    """Whether this process was forked from one that had imported this module.

    A forked process does not have the threads of GNU OpenMP, which torch uses, and a call that needs them never
    returns. torch must use only one thread there. The library creates a new thread pool.
    """
    return _in_fork


def _mark_fork() -> None:
    global _in_fork
    _in_fork = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_fork)
