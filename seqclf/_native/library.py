"""The compiled library: found, loaded, described."""

import ctypes
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from seqclf._native import abi

# Names another build of the library, as `make sanitize` does.
_VARIABLE = "SEQCLF_KERNELS_LIBRARY"


def file() -> Path | None:
    """The compiled library: the one that an environment variable names (another build of it), or that of the package.

    It is looked for in all folders of the package, because after an editable install it is in site-packages and this
    file is not.
    """
    if named := os.environ.get(_VARIABLE):
        return Path(named).absolute()  # The system would look for a bare name elsewhere.
    spec = find_spec("seqclf._native")  # imports nothing but seqclf and this folder
    folders = map(Path, (spec and spec.submodule_search_locations) or ())
    found = [folder / name for folder in folders for name in ("_cpu.so", "_cpu.dll") if (folder / name).is_file()]
    return found[0] if found else None


@cache
def load() -> tuple[ctypes.CDLL | None, str]:
    """The loaded library and a description of it, or None and why there is none."""
    path = file()
    if path is None:
        return (
            None,
            "the package was installed without its compiled kernels (no C++ compiler was found, or the build failed)",
        )
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError as error:
        if "annot allocate memory" in str(error):  # It may be there later. An error is not cached.
            raise MemoryError(f"There is no memory to load the compiled library: {error}") from error
        return None, f"the compiled library{_named()} could not be loaded: {error}"
    if problem := _problem(loaded):
        return None, f"{path}{_named()} {problem}"
    for name in abi.ENTRY_POINTS:
        function = getattr(loaded, f"seqclf_{name}")
        function.restype, function.errcheck = ctypes.c_int64, _checked
    loaded.seqclf_instructions.restype = ctypes.c_char_p
    return loaded, f"fused kernels for {loaded.seqclf_instructions().decode()}"


def _problem(loaded: ctypes.CDLL) -> str | None:
    """Why a library that was loaded cannot be used; None if it can."""
    try:
        interface = loaded.seqclf_interface
    except AttributeError:
        return "is not the compiled library of seqclf, or of a version before 0.1.0"
    interface.restype = ctypes.c_int64
    if (found := interface()) != abi.INTERFACE:
        return (
            f"was built from other sources: the number of its interface is {found}, this package needs {abi.INTERFACE}"
        )
    missing = [name for name in abi.ENTRY_POINTS if not hasattr(loaded, f"seqclf_{name}")]
    return f"has no function {', '.join(missing)}" if missing else None


def _checked(result: int, function: Any, _: Any) -> int:
    if result == abi.OUT_OF_MEMORY:
        raise MemoryError(f"The compiled kernels got too little memory ({function.__name__}).")
    return result


def _named() -> str:
    return f" (the environment variable {_VARIABLE} names it)" if os.environ.get(_VARIABLE) else ""


def remedy() -> str:
    """What to do where the library is not there."""
    if os.environ.get(_VARIABLE):
        return f"Unset {_VARIABLE}, or have it name a library that was built from the sources of this package."
    # pip keeps the wheel that it built without kernels, and would install it again.
    return (
        "Install it with a C++ compiler to get its kernels: "
        "pip install --no-cache-dir --force-reinstall --no-deps seqclf"
    )


def available() -> tuple[bool, str]:
    """Whether the library is there, and which instructions it uses or why it is not."""
    loaded, text = load()
    return loaded is not None, text


def is_wanted() -> bool:
    """Whether the library is used for what torch does not compute: it is there, and no other kernels are asked for."""
    return os.environ.get("SEQCLF_KERNELS") in (None, "", "cpu") and available()[0]
