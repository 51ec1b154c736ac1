"""torch's number of threads, set for the duration of a block."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass(eq=False)
class _Block:
    """An active block."""

    n_threads: int
    thread: int
    outer_count: int = 0  # torch's number of threads in this Python thread outside the block


_lock = threading.Lock()
_blocks: list[_Block] = []
_outer_thread_count = 1


@contextmanager
def torch_threads(n_threads: int) -> Iterator[int]:
    """Set torch's number of threads inside a block, and yield the number outside of it.

    torch has a thread count for each Python thread, a default for Python threads that it has not seen yet, and a
    process-wide count for matrix products. Setting the first sets the other two. Blocks in several Python threads
    therefore share a registry. The first block records the count outside. A block that ends sets the count for matrix
    products to that of a block that is still active.
    """
    block = _Block(n_threads, threading.get_ident())
    try:
        _begin(block)
        yield block.outer_count
    finally:
        _end(block)


def _begin(block: _Block) -> None:
    global _outer_thread_count
    with _lock:
        outer_count = torch.get_num_threads()
        if not _blocks:
            _outer_thread_count = outer_count
        elif not _blocks_of(block.thread) and any(each.n_threads == outer_count for each in _blocks):
            outer_count = _outer_thread_count  # torch had not seen this thread and gave it another block's count
        block.outer_count = outer_count
        _blocks.append(block)
        torch.set_num_threads(block.n_threads)


def _end(block: _Block) -> None:
    """Restore the count outside. A second call is harmless, and completes a first one that was interrupted."""
    with _lock:
        if block not in _blocks:
            return
        torch.set_num_threads(block.outer_count)
        try:
            other_blocks = [each for each in _blocks if each is not block]
            if other_blocks and all(each.thread != block.thread for each in other_blocks):
                _set_in_another_thread(other_blocks[-1].n_threads)
        finally:
            _blocks.remove(block)


def _set_in_another_thread(n_threads: int) -> None:
    """Set the count for matrix products without changing that of the calling thread."""
    other = threading.Thread(target=torch.set_num_threads, args=(n_threads,))
    try:
        other.start()
    except RuntimeError:  # No thread could be started. Matrix products then use another count; no result depends on it.
        return
    other.join()


def _blocks_of(thread: int) -> list[_Block]:
    return [block for block in _blocks if block.thread == thread]


def n_blocks() -> int:
    """Number of active (nested) blocks of this thread."""
    return len(_blocks_of(threading.get_ident()))


def end_blocks(n: int) -> None:
    """End all blocks of this thread except the first `n`.

    A block is left active if Ctrl-C arrives just before its ``with`` statement would end it.
    """
    for block in reversed(_blocks_of(threading.get_ident())[n:]):
        _end(block)


def _reset_after_fork() -> None:
    """Clear the registry: the threads inside a block do not exist in a forked process."""
    global _lock
    _lock = threading.Lock()
    _blocks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
