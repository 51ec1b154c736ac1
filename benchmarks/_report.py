"""The output that all benchmarks have in common: the machine, tables, medians with spread, goals reached or missed."""

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqclf._native import library


def seconds_of(function: Callable[[], Any]) -> float:
    """The seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def spread(seconds: Sequence[float]) -> float:
    """Half the interquartile range, as a fraction of the median."""
    low, high = np.percentile(seconds, [25, 75])
    return float((high - low) / 2 / statistics.median(seconds))


def _status_megabytes(name: str) -> float | None:
    """A size in the status of this process on Linux; None on other systems."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / 1e6


def peak_megabytes() -> float:
    """The peak memory of this process in megabytes.

    On Linux `getrusage` would include the memory of the parent at the start of this process; /proc does not.
    """
    peak = _status_megabytes("VmHWM")
    if peak is None:
        import resource  # Windows has no such module.

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return peak


def resident_megabytes() -> float:
    """The present memory of this process in megabytes; on other systems than Linux, its peak."""
    resident = _status_megabytes("VmRSS")
    return peak_megabytes() if resident is None else resident


def with_spread(seconds: Sequence[float], *, unit: float = 1.0, digits: int = 2) -> str:
    """The median in that unit (in seconds) and, for three values or more, the spread."""
    median = f"{statistics.median(seconds) / unit:,.{digits}f}"
    return median if len(seconds) < 3 else f"{median} ±{spread(seconds):.0%}"


def as_line(cells: Sequence[str]) -> str:
    """A row of a markdown table."""
    return "| " + " | ".join(cells) + " |"


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a markdown table."""
    print(as_line(header), as_line(["---"] * len(header)), *map(as_line, rows), sep="\n", flush=True)


def reached(good: bool) -> str:
    """The text for a goal that was reached or missed."""
    return "reached" if good else "**missed**"


def processor() -> str:
    """The name of the processor, or the architecture if the system does not report a name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def machine(n_threads: int, *other_versions: str) -> str:
    """Processor, threads, kernels and versions on one line."""
    versions = [f"Python {platform.python_version()}", f"torch {torch.__version__}", *filter(None, other_versions)]
    return (
        f"{processor()}, {os.cpu_count()} cores, {n_threads} thread{'s' * (n_threads > 1)}; {library.available()[1]}; "
        f"{', '.join(versions)}."
    )


def load() -> float | None:
    """The load of the machine over the last minute, or None if the system does not report it."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def print_load(before: float | None) -> None:
    """Print the load before and after."""
    if before is not None:
        print(f"Load of the machine (1 minute) before: {before:.1f}, after: {load():.1f}.")
