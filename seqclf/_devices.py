"""Whether a prediction computes on the CPU, told without an import of torch."""

import ctypes
import sys
from functools import cache


def computes_on_cpu(device: str) -> bool:
    """Whether the name of a device, "auto" too, stands for the CPU.

    With "auto" torch is asked if it is loaded. If not, a machine without the driver of an NVIDIA GPU has none.
    """
    if device != "auto":
        return device == "cpu"
    torch = sys.modules.get("torch")
    return not (has_gpu_driver() if torch is None else torch.cuda.is_available())


@cache
def has_gpu_driver() -> bool:
    """Whether the library of the NVIDIA driver is there."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
