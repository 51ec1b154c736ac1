"""The memory available to this process: on the machine, in its control group (container) and under `ulimit -v`."""

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PROC, _CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


class AvailableMemory(NamedTuple):
    """The available bytes, and which limit they refer to."""

    n_bytes: int
    where: str


def find_available_memory() -> AvailableMemory | None:
    """The smallest available memory of all limits on this process, or None if no limit is known.

    It is an upper bound: it includes memory that the system can free, and unused swap space. On macOS nothing is known,
    because the system enlarges its swap space on demand.
    """
    return min((each for find in (_machine, _control_groups, _address_space) for each in find()), default=None)


def _machine() -> Iterator[AvailableMemory]:
    if sys.platform == "win32":
        status = _MemoryStatus()
        status.length = ctypes.sizeof(status)
        if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
            yield AvailableMemory(status.available_page_file, "on this machine")
        return
    lines = (line.split() for line in _read_text(_PROC / "meminfo").splitlines())
    kilobytes = {line[0].rstrip(":"): int(line[1]) for line in lines if len(line) > 1 and line[1].isdigit()}
    if "MemAvailable" in kilobytes:
        yield AvailableMemory(1024 * (kilobytes["MemAvailable"] + kilobytes.get("SwapFree", 0)), "on this machine")


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of Windows."""

    _fields_ = [
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("total_physical", ctypes.c_uint64),
        ("available_physical", ctypes.c_uint64),
        ("total_page_file", ctypes.c_uint64),
        ("available_page_file", ctypes.c_uint64),
        ("total_virtual", ctypes.c_uint64),
        ("available_virtual", ctypes.c_uint64),
        ("available_extended_virtual", ctypes.c_uint64),
    ]


# For control groups of version 2 and of version 1: the file with the limit, the file with the memory in use, and the
# keys in `memory.stat` of the cached files, which the system can free.
_V2 = ("memory.max", "memory.current", ("active_file", "inactive_file", "slab_reclaimable"))
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_active_file", "total_inactive_file"))


def _control_groups() -> Iterator[AvailableMemory]:
    """The control group of the process and its ancestors."""
    for line in _read_text(_PROC / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, names = (_CGROUP / "memory", _V1) if controllers else (_CGROUP, _V2)
        folder = root / path.lstrip("/")
        for each in (folder, *folder.parents):
            if not each.is_relative_to(root):
                break
            yield from _control_group(each, *names)


def _control_group(folder: Path, limit: str, used: str, cached: tuple[str, ...]) -> Iterator[AvailableMemory]:
    limit_bytes, used_bytes = _read_integer(folder / limit), _read_integer(folder / used)
    if limit_bytes is None or used_bytes is None:
        return  # "max" stands for no limit
    lines = (line.split() for line in _read_text(folder / "memory.stat").splitlines())
    counts = dict(line for line in lines if len(line) == 2)
    reclaimable = sum(int(counts.get(name, 0)) for name in cached)
    # Without a limit on swap, all of the machine's swap can be used.
    swap, swapped = _read_integer(folder / "memory.swap.max"), _read_integer(folder / "memory.swap.current")
    swappable = _free_swap() if swap is None else swap - (swapped or 0)
    in_memory = max(limit_bytes - used_bytes + reclaimable, 0)
    yield AvailableMemory(in_memory + max(min(swappable, _free_swap()), 0), "in its control group (container)")


def _free_swap() -> int:
    for line in _read_text(_PROC / "meminfo").splitlines():
        if line.startswith("SwapFree:"):
            return 1024 * int(line.split()[1])
    return 0


def _address_space() -> Iterator[AvailableMemory]:
    if sys.platform != "linux":
        return
    import resource

    limit_bytes = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = _read_text(_PROC / "self" / "statm").split()
    if limit_bytes != resource.RLIM_INFINITY and pages:
        used_bytes = int(pages[0]) * os.sysconf("SC_PAGE_SIZE")
        yield AvailableMemory(max(limit_bytes - used_bytes, 0), "of the address space (ulimit -v)")


def _read_integer(file: Path) -> int | None:
    text = _read_text(file).strip()
    return int(text) if text.isdigit() else None


def _read_text(file: Path) -> str:
    """The text of a system file, or "" if it is missing or cannot be read."""
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
