"""How much memory is left: on this machine, in its control group (a container), and under `ulimit -v`."""

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PROC, _CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


class Left(NamedTuple):
    """Bytes that may still be taken, and where."""

    n_bytes: int
    where: str


def left_memory() -> Left | None:
    """The least that is left of all that limits this process; None where nothing is known.

    It is rather too much than too little: memory that the system can free counts, and so does what is left for
    swapping. macOS says nothing of the kind, because it makes room for swapping as it goes.
    """
    found = [left for each in (_machine, _control_groups, _address_space) for left in each()]
    return min(found, default=None)


def _machine() -> Iterator[Left]:
    if sys.platform == "win32":
        status = _MemoryStatus()
        status.length = ctypes.sizeof(status)
        if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
            yield Left(status.available_page_file, "on this machine")
        return
    lines = (line.split() for line in _text(_PROC / "meminfo").splitlines())
    kilobytes = {line[0].rstrip(":"): int(line[1]) for line in lines if len(line) > 1 and line[1].isdigit()}
    if "MemAvailable" in kilobytes:
        yield Left(1024 * (kilobytes["MemAvailable"] + kilobytes.get("SwapFree", 0)), "on this machine")


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


# The names of a control group's files in versions 2 and 1: the limit, what is used, and in `memory.stat` what of that
# is cached files, which the system frees.
_V2 = ("memory.max", "memory.current", ("active_file", "inactive_file", "slab_reclaimable"))
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_active_file", "total_inactive_file"))


def _control_groups() -> Iterator[Left]:
    """The group of the process, and those that it is in."""
    for line in _text(_PROC / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, names = (_CGROUP / "memory", _V1) if controllers else (_CGROUP, _V2)
        folder = root / path.lstrip("/")
        for each in (folder, *folder.parents):
            if not each.is_relative_to(root):
                break
            yield from _control_group(each, *names)


def _control_group(folder: Path, limit: str, used: str, cached: tuple[str, ...]) -> Iterator[Left]:
    most, taken = _number(folder / limit), _number(folder / used)
    if most is None or taken is None:
        return  # "max" is no number: no limit
    counts = dict(line.split()[:2] for line in _text(folder / "memory.stat").splitlines() if len(line.split()) == 2)
    freed = sum(int(counts.get(name, 0)) for name in cached)
    # Without a limit on swapping, all of the machine's swap may be used.
    swap, swapped = _number(folder / "memory.swap.max"), _number(folder / "memory.swap.current")
    swappable = _free_swap() if swap is None else swap - (swapped or 0)
    yield Left(max(most - taken + freed, 0) + max(min(swappable, _free_swap()), 0), "in its control group (container)")


def _free_swap() -> int:
    for line in _text(_PROC / "meminfo").splitlines():
        if line.startswith("SwapFree:"):
            return 1024 * int(line.split()[1])
    return 0


def _address_space() -> Iterator[Left]:
    if sys.platform != "linux":
        return
    import resource

    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = _text(_PROC / "self" / "statm").split()
    if most != resource.RLIM_INFINITY and pages:
        taken = int(pages[0]) * os.sysconf("SC_PAGE_SIZE")
        yield Left(max(most - taken, 0), "of the address space (ulimit -v)")


def _number(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdigit() else None


def _text(file: Path) -> str:
    """What a file of the system says; nothing where it is not there or not to be read."""
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
