"""Whether a prediction runs on the CPU, decided without importing torch."""

import ctypes
import sys
from functools import cache


def computes_on_cpu(device: str) -> bool:
    """Whether the device of this name, or the one that "auto" selects, is the CPU.

    For "auto", torch decides if it is already imported. Otherwise a GPU is assumed if the NVIDIA driver is installed.
    """
    if device != "auto":
        return device == "cpu"
    torch = sys.modules.get("torch")
    return not (has_gpu_driver() if torch is None else torch.cuda.is_available())


@cache
def has_gpu_driver() -> bool:
    """Whether the library of the NVIDIA driver can be loaded."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
