"""Selects a kernel explicitly: by a ``with`` block, or by an environment variable."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

KERNELS = ("cpu", "reference", "torch_native")
VARIABLE = "SEQCLF_KERNELS"
_forced: ContextVar[str | None] = ContextVar("seqclf_kernels", default=None)


@contextmanager
def use(name: str) -> Iterator[None]:
    """Select a kernel inside a ``with`` block, for tests and benchmarks. Other threads are not affected."""
    token = _forced.set(_validate_kernel(name, "use()"))
    try:
        yield
    finally:
        _forced.reset(token)


def forced_kernel() -> tuple[str, str] | None:
    """The selected kernel and how it was selected, or None."""
    if (forced := _forced.get()) is not None:
        return forced, "forced by seqclf._kernels.use"
    if name := os.environ.get(VARIABLE):
        return _validate_kernel(
            name, f"The environment variable {VARIABLE}"
        ), f"forced by the environment variable {VARIABLE}"
    return None


def allows_compiled() -> bool:
    """Whether the compiled kernels are selected, or no kernel is."""
    return (_forced.get() or os.environ.get(VARIABLE)) in (None, "", "cpu")


def _validate_kernel(name: str, where: str) -> str:
    if name not in KERNELS:
        raise ValueError(f"{where} names the kernel {name!r}, but there are only {', '.join(map(repr, KERNELS))}.")
    return name
