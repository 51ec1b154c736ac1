"""The library for a call, and the number of threads to use for it."""

import ctypes

from seqclf._native import library

# A call with at most this many multiplications runs on one thread, because starting others would take too long. On one
# processor they took 0.1 ms with AVX-512, 0.2 ms with AVX2 and 0.7 ms with SSE. The costs below are also in
# multiplications. Their times are from the same processor, where a multiplication with AVX2 took 16 ps.
_MIN_PARALLEL_WORK = 10_000_000
# Pooling, or summing a gradient, per value: 120 to 210 ps.
VALUE_COST = 12
# Looking up an entry of a table: 3 to 7 ns (200 to 400 multiplications with AVX2), depending on how much of the tables
# is in the caches.
LOOKUP_COST = 200
# The activation of a gate: 15 to 50 multiplications, depending on the cell, its width and the instruction set.
GATE_COST = 24


def loaded() -> ctypes.CDLL:
    """The library. Its functions release the GIL during a call."""
    compiled, text = library.load()
    if compiled is None:
        raise RuntimeError(f"There are no compiled kernels: {text}.")
    return compiled


def thread_count(n_threads: int, work: int) -> int:
    """The number of threads to use for a call with this many multiplications."""
    return n_threads if work > _MIN_PARALLEL_WORK else 1
