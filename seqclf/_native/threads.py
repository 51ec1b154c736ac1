"""How many threads a call into the compiled library may use, where a number was chosen; and what a fork changes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_chosen: ContextVar[int | None] = ContextVar("seqclf_threads", default=None)
_in_fork = False


@contextmanager
def kernel_threads(n: int) -> Iterator[None]:
    """Let the kernels use `n` threads inside a block, whatever torch's number is; other threads are not affected."""
    token = _chosen.set(n)
    try:
        yield
    finally:
        _chosen.reset(token)


def chosen_threads() -> int | None:
    """The number of the innermost :func:`kernel_threads`, or None outside of any."""
    return _chosen.get()


def choose_threads(n: int | None) -> None:
    """Set the number from here on; None takes it back. It is for what Ctrl-C has left of a block."""
    _chosen.set(n)


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
