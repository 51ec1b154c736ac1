"""Check of array sizes against the memory of the machine, before anything is allocated."""

import os


def check_fits_memory(n_values: int, what: str, advice: str) -> None:
    """Raise a ValueError if this number of four-byte values exceeds the memory of the machine.

    A trial allocation would not show this: systems overcommit memory, and kill a process that uses too much of it.
    """
    n_bytes, available = 4 * n_values, memory_size()
    if n_bytes > available:
        raise ValueError(
            f"{what} would need {n_bytes / 2**30:,.0f} GiB of memory, but this machine has "
            f"{available / 2**30:,.0f} GiB: {advice}."
        )


def memory_size() -> int:
    """The memory of the machine in bytes; 4 TiB if the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return 2**42
