"""Threads on torch's side: how many it has, and its number set for the length of a block."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass(eq=False)
class _Block:
    """A block that is running."""

    n: int
    thread: int
    before: int = 0  # the number of its thread outside


_lock = threading.Lock()
_blocks: list[_Block] = []
_outer_thread_count = 1


@contextmanager
def torch_threads(n: int) -> Iterator[int]:
    """Give torch `n` threads inside a block; yields the number outside.

    torch keeps a number for each Python thread, one for threads that it has not seen yet, and one for matrix products
    that holds for all threads. Setting the first sets the other two. So blocks in several Python threads have to know
    of each other: the first one records the number outside, and a block that ends restores the number for matrix
    products of those that are still running.
    """
    block = _Block(n, threading.get_ident())
    try:
        _begin(block)
        yield block.before
    finally:
        _end(block)


def _begin(block: _Block) -> None:
    global _outer_thread_count
    with _lock:
        before = torch.get_num_threads()
        if not _blocks:
            _outer_thread_count = before
        elif not _of_thread(block.thread) and any(each.n == before for each in _blocks):
            before = _outer_thread_count  # torch sees this thread for the first time and gave it another block's number
        block.before = before
        _blocks.append(block)
        torch.set_num_threads(block.n)


def _end(block: _Block) -> None:
    """Restore the number outside. A second call does nothing; one after an interrupted call does what is left."""
    with _lock:
        if block not in _blocks:
            return
        torch.set_num_threads(block.before)
        try:
            others = [each for each in _blocks if each is not block]
            if others and all(each.thread != block.thread for each in others):
                _set_in_another_thread(others[-1].n)
        finally:
            _blocks.remove(block)


def _set_in_another_thread(n: int) -> None:
    """Set the number for matrix products; the calling thread keeps its own."""
    other = threading.Thread(target=torch.set_num_threads, args=(n,))
    try:
        other.start()
    except RuntimeError:  # There is no thread to be had. Then products have another number, which changes no result.
        return
    other.join()


def _of_thread(thread: int) -> list[_Block]:
    return [block for block in _blocks if block.thread == thread]


def n_blocks() -> int:
    """How many blocks of this thread are running, one inside the other."""
    return len(_of_thread(threading.get_ident()))


def end_blocks(n: int) -> None:
    """End those blocks of this thread that began after the first `n`.

    Ctrl-C may come just before a ``with`` statement ends its block, which is not ended then.
    """
    for block in reversed(_of_thread(threading.get_ident())[n:]):
        _end(block)


def _reset_after_fork() -> None:
    """The threads that were inside a block do not exist in a fork."""
    global _lock
    _lock = threading.Lock()
    _blocks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
