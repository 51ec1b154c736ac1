"""Threads on torch's side: how many it has, and its number set for the length of a block."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from seqclf._native.threads import chosen_threads

_lock = threading.Lock()
_active_thread_counts: list[int] = []  # of the blocks that are running
_outer_thread_count = 1
_this_thread = threading.local()


def n_threads() -> int:
    """How many threads a call of our kernels may use: the chosen number, or torch's where none was chosen."""
    return chosen_threads() or torch.get_num_threads()


@contextmanager
def torch_threads(n: int) -> Iterator[int]:
    """Give torch `n` threads inside a block; yields the number outside.

    torch keeps a number for each Python thread, one for threads that it has not seen yet, and one for matrix products
    that holds for all threads. Setting the first sets the other two. So blocks in several Python threads have to know
    of each other: the first one records the number outside, and a block that ends restores the number for matrix
    products of those that are still running.
    """
    global _outer_thread_count
    with _lock:
        before = torch.get_num_threads()
        depth = getattr(_this_thread, "depth", 0)
        if not _active_thread_counts:
            _outer_thread_count = before
        elif depth == 0 and before in _active_thread_counts:
            before = _outer_thread_count  # torch sees this thread for the first time and gave it another block's number
        _active_thread_counts.append(n)
        _this_thread.depth = depth + 1
        torch.set_num_threads(n)
    try:
        yield before
    finally:
        with _lock:
            _active_thread_counts.remove(n)
            _this_thread.depth = depth
            torch.set_num_threads(before)
            if _active_thread_counts and depth == 0:
                # In another thread, because this one has its own number back.
                other = threading.Thread(target=torch.set_num_threads, args=(_active_thread_counts[-1],))
                other.start()
                other.join()


def _reset_after_fork() -> None:
    """The threads that were inside a block do not exist in a fork."""
    global _lock, _this_thread
    _lock = threading.Lock()
    _active_thread_counts.clear()
    _this_thread = threading.local()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
