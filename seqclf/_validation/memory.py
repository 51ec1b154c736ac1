"""Sizes that do not fit into the memory of the machine: they are refused before memory is asked for."""

import os


def refuse_size(n_numbers: int, what: str, advice: str) -> None:
    """Raise a ValueError where so many numbers of four bytes are more than the machine has room for.

    An allocation is no test: systems promise memory that they don't have, and end the process when it is used.
    """
    n_bytes, available = 4 * n_numbers, memory_size()
    if n_bytes > available:
        raise ValueError(
            f"{what} would need {n_bytes / 2**30:,.0f} GiB of memory, but this machine has "
            f"{available / 2**30:,.0f} GiB: {advice}."
        )


def memory_size() -> int:
    """The bytes of memory that the machine has; where the system doesn't say it, more than a machine has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 2**42
