"""What the benchmarks print alike: the machine, tables, medians with their spread, and goals reached or missed."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqclf._native import library


def seconds_of(function: Callable[[], Any]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def spread(seconds: Sequence[float]) -> float:
    """Half the range between the quartiles, as a share of the median."""
    low, high = np.percentile(seconds, [25, 75])
    return float((high - low) / 2 / statistics.median(seconds))


def with_spread(seconds: Sequence[float], *, unit: float = 1.0, digits: int = 2) -> str:
    """The median in that unit (in seconds) and, from three values on, the spread."""
    middle = f"{statistics.median(seconds) / unit:,.{digits}f}"
    return middle if len(seconds) < 3 else f"{middle} ±{spread(seconds):.0%}"


def as_line(cells: Sequence[str]) -> str:
    """A row of a markdown table."""
    return "| " + " | ".join(cells) + " |"


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A markdown table."""
    print(as_line(header), as_line(["---"] * len(header)), *map(as_line, rows), sep="\n", flush=True)


def reached(good: bool) -> str:
    """The end of a sentence about a goal."""
    return "reached" if good else "**missed**"


def processor() -> str:
    """The name of the processor, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def machine(n_threads: int, *others: str) -> str:
    """Processor, threads, kernels and versions in one line."""
    versions = [f"Python {platform.python_version()}", f"torch {torch.__version__}", *filter(None, others)]
    return (
        f"{processor()}, {os.cpu_count()} cores, {n_threads} thread{'s' * (n_threads > 1)}; {library.available()[1]}; "
        f"{', '.join(versions)}."
    )


def load() -> float | None:
    """The load of the machine over the last minute, where the system tells."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def print_load(before: float | None) -> None:
    """How busy the machine was before and after."""
    if before is not None:
        print(f"Load of the machine (1 minute) before: {before:.1f}, after: {load():.1f}.")
