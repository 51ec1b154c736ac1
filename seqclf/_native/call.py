"""What every call into the compiled library needs: the library, and how many threads the call is worth."""

import ctypes

from seqclf._native import library

# Multiplications below which one thread does a call: until another one has begun, much of it is done. On one processor
# they took 0.1 ms with AVX-512, 0.2 ms with AVX2 and 0.7 ms with SSE. Other work is counted in multiplications too, and
# the times that such counts name are from that processor, where one with AVX2 took 16 ps.
_MIN_PARALLEL_WORK = 10_000_000
# What pooling, or summing a gradient, takes for each value: 120 to 210 ps.
VALUE_COST = 12
# What it takes to look an entry of a table up: 3 to 7 ns, as long as 200 to 400 with AVX2, by how much of the tables is
# in the caches.
LOOKUP_COST = 200
# What the non-linearity of a gate takes: 15 to 50 on one processor, depending on the cell, its width and the
# instructions.
GATE_COST = 24


def loaded() -> ctypes.CDLL:
    """The library, whose functions release the interpreter's lock during a call."""
    found, text = library.load()
    if found is None:
        raise RuntimeError(f"There are no compiled kernels: {text}.")
    return found


def thread_count(n_threads: int, work: int) -> int:
    """How many of the threads a call of that many multiplications is worth."""
    return n_threads if work > _MIN_PARALLEL_WORK else 1
