"""Finds, loads and describes the compiled library."""

import ctypes
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from seqclf._native import abi

# The path of another build of the library; `make sanitize` sets it.
_VARIABLE = "SEQCLF_KERNELS_LIBRARY"


def find_library() -> Path | None:
    """The path of the compiled library: the one that the environment variable names, or else the one in the package.

    All folders of the package are searched: after an editable install the library is in site-packages, but this file is
    not.
    """
    if path := os.environ.get(_VARIABLE):
        return Path(path).absolute()  # The system would search its own path for a bare name.
    spec = find_spec("seqclf._native")  # imports only seqclf and this folder
    folders = map(Path, (spec and spec.submodule_search_locations) or ())
    existing = [folder / name for folder in folders for name in ("_cpu.so", "_cpu.dll") if (folder / name).is_file()]
    return existing[0] if existing else None


@cache
def load() -> tuple[ctypes.CDLL | None, str]:
    """The loaded library and a description of it, or None and the reason."""
    path = find_library()
    if path is None:
        return (
            None,
            "the package was installed without its compiled kernels (no C++ compiler was found, or the build failed)",
        )
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError as error:
        if "annot allocate memory" in str(error):  # There may be memory later: errors are not cached.
            raise MemoryError(f"There is not enough memory to load the compiled library: {error}") from error
        return None, f"the compiled library{_source()} could not be loaded: {error}"
    if problem := _problem(loaded):
        return None, f"{path}{_source()} {problem}"
    for name in abi.ENTRY_POINTS:
        function = getattr(loaded, f"seqclf_{name}")
        function.restype, function.errcheck = ctypes.c_int64, _check_memory
    loaded.seqclf_instructions.restype = ctypes.c_char_p
    _register(path)
    return loaded, f"fused kernels for {loaded.seqclf_instructions().decode()}"


def _problem(loaded: ctypes.CDLL) -> str | None:
    """Why a loaded library cannot be used, or None if it can."""
    try:
        interface = loaded.seqclf_interface
    except AttributeError:
        return "is not the compiled library of seqclf, or is older than version 0.1.0"
    interface.restype = ctypes.c_int64
    if (version := interface()) != abi.INTERFACE:
        return f"was built from other sources: its interface has version {version}, this package needs {abi.INTERFACE}"
    missing = [name for name in abi.ENTRY_POINTS if not hasattr(loaded, f"seqclf_{name}")]
    return f"lacks the functions {', '.join(missing)}" if missing else None


def _register(path: Path) -> None:
    """Let `threadpoolctl.threadpool_limits` limit the threads of the library, unless threadpoolctl is not installed."""
    try:
        from seqclf._native.threadpool_controller import register
    except ImportError:  # Predictions need only numpy and safetensors.
        return
    register(path)


def _check_memory(result: int, function: Any, _: Any) -> int:
    if result == abi.OUT_OF_MEMORY:
        raise MemoryError(f"The compiled kernels ran out of memory ({function.__name__}).")
    return result


def _source() -> str:
    return f" (set by the environment variable {_VARIABLE})" if os.environ.get(_VARIABLE) else ""


def install_hint() -> str:
    """What the user can do if there is no library."""
    if os.environ.get(_VARIABLE):
        return f"Unset {_VARIABLE}, or set it to a library that was built from the sources of this package."
    # Without --no-cache-dir pip would reinstall its cached wheel, which has no kernels.
    return (
        "To get its kernels, install it again with a C++ compiler, in the folder of its sources: "
        "pip install --no-cache-dir --force-reinstall --no-deps ."
    )


def available() -> tuple[bool, str]:
    """Whether the library can be used, and its instruction set or the reason why not."""
    loaded, text = load()
    return loaded is not None, text


def is_wanted() -> bool:
    """Whether to use the library for work outside of torch: it is available, and no other kernel is selected."""
    return os.environ.get("SEQCLF_KERNELS") in (None, "", "cpu") and available()[0]
