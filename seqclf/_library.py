"""The compiled library: found, loaded, described. It is used without torch too, which is not imported here."""

import ctypes
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# Names another build of the library, as `make sanitize` does.
_VARIABLE = "SEQCLF_KERNELS_LIBRARY"


def file() -> Path | None:
    """The compiled library: the one that an environment variable names (another build of it), or that of the package.

    Looked for in all places of the package: after an editable install it lies in site-packages and this file does not.
    """
    if named := os.environ.get(_VARIABLE):
        return Path(named)
    spec = find_spec("seqclf._kernels")  # which imports seqclf and not the folder
    folders = map(Path, (spec and spec.submodule_search_locations) or ())
    found = [folder / name for folder in folders for name in ("_cpu.so", "_cpu.dll") if (folder / name).is_file()]
    return found[0] if found else None


@cache
def library() -> tuple[ctypes.CDLL | None, str]:
    """The loaded library and what to say about it, or None and why there is none."""
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
    loaded.seqclf_embedding_rows.restype = ctypes.c_int64
    return loaded, f"fused kernels for {loaded.seqclf_instructions().decode()}"
