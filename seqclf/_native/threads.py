"""How many threads a call into the compiled library may use, where a number was chosen; and what a fork changes."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_in_fork = False


@dataclass(eq=False, frozen=True)
class Choice:
    """A number of threads that was chosen for a block."""

    n: int


_choice: ContextVar[Choice | None] = ContextVar("seqclf_threads", default=None)


@contextmanager
def kernel_threads(n: int) -> Iterator[None]:
    """Let the kernels use `n` threads inside a block, whatever torch's number is; other threads are not affected."""
    outside, here = _choice.get(), Choice(n)
    try:
        _choice.set(here)
        yield
    finally:
        if _choice.get() is here:  # Not if Ctrl-C has cut the block off, and what is left of it is collected now.
            _choice.set(outside)


def chosen_threads() -> int | None:
    """The number of the innermost :func:`kernel_threads`, or None outside of any."""
    choice = _choice.get()
    return None if choice is None else choice.n


def n_threads() -> int:
    """How many threads a call may use: the number that was chosen, or the usual one."""
    return chosen_threads() or default_threads()


def default_threads() -> int:
    """Torch's number where torch is there, else that of OMP_NUM_THREADS, else one for each CPU of this process."""
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):  # not while it is being imported
        return int(torch.get_num_threads())
    named = os.environ.get("OMP_NUM_THREADS", "").strip()
    if named.isdecimal() and int(named) > 0:
        return int(named)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def present_choice() -> Choice | None:
    """What :func:`restore_choice` takes."""
    return _choice.get()


def restore_choice(choice: Choice | None) -> None:
    """Go back to an earlier choice, after Ctrl-C has cut off a block that was to do so."""
    _choice.set(choice)


def in_forked_process() -> bool:
    """Whether this process was forked from one that had loaded this module.

    The threads of GNU OpenMP's pool, which torch uses, do not exist in a fork, and a call that needs them never
    returns. There torch may use one thread only. The library's own pool is created again.
    """
    return _in_fork


def _mark_fork() -> None:
    global _in_fork
    _in_fork = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_fork)
