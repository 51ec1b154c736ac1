"""The compiled library: found, loaded, described."""

import ctypes
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# Names another build of the library, as `make sanitize` does.
_VARIABLE = "SEQCLF_KERNELS_LIBRARY"


def file() -> Path | None:
    """The compiled library: the one that an environment variable names (another build of it), or that of the package.

    It is looked for in all folders of the package, because after an editable install it is in site-packages and this
    file is not.
    """
    if named := os.environ.get(_VARIABLE):
        return Path(named)
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
        return None, f"the compiled library could not be loaded: {error}"
    loaded.seqclf_instructions.restype = ctypes.c_char_p
    loaded.seqclf_unique_ids.restype = ctypes.c_int64
    return loaded, f"fused kernels for {loaded.seqclf_instructions().decode()}"


def available() -> tuple[bool, str]:
    """Whether the library is there, and which instructions it uses or why it is not."""
    loaded, text = load()
    return loaded is not None, text


def is_wanted() -> bool:
    """Whether the library is used for what torch does not compute: it is there, and no other kernels are asked for."""
    return os.environ.get("SEQCLF_KERNELS") in (None, "", "cpu") and available()[0]
