"""How many threads the kernels share a call out among: a number of their own, or torch's where none was chosen."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_chosen: ContextVar[int | None] = ContextVar("seqclf_threads", default=None)
_forked = False


def n_threads() -> int:
    """Threads that a call may use here."""
    return _chosen.get() or torch.get_num_threads()


def chosen_threads() -> int | None:
    """The number of the innermost :func:`kernel_threads`, if this is inside of one."""
    return _chosen.get()


@contextmanager
def kernel_threads(n: int) -> Iterator[None]:
    """Let the kernels use `n` threads inside a block, whatever torch's number is; other threads do not notice."""
    token = _chosen.set(n)
    try:
        yield
    finally:
        _chosen.reset(token)


def forked() -> bool:
    """Whether this process is a fork of one that had this module loaded.

    The threads of GNU OpenMP's pool, which torch uses, are not there in a fork: whoever calls for them waits for ever.
    There torch may use one thread only; the kernels' own pool is made anew.
    """
    return _forked


def _mark_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_fork)
