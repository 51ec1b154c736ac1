"""Reserve the buffers of OpenBLAS early: without memory for them, OpenBLAS ends the process or never returns."""

import mmap
import sys

import numpy as np
from scipy.linalg.lapack import dpotrf

# numpy and scipy each bring an OpenBLAS, whose buffer for one thread is 32 MB.
_BUFFER_BYTES = 80 * 2**20
_has_buffers = False


def reserve_blas_buffers() -> None:
    """Make OpenBLAS allocate its buffers, which it never frees, if the address space is limited.

    Raises
    ------
    MemoryError
        If there is no memory for them.
    """
    global _has_buffers
    if _has_buffers or not _is_limited():
        return
    try:
        mmap.mmap(-1, _BUFFER_BYTES).close()
    except OSError as error:
        raise MemoryError(
            f"Less than {_BUFFER_BYTES / 1e6:.0f} MB of the address space (ulimit -v) is left, but numpy and scipy "
            "need as much for linear algebra."
        ) from error
    np.linalg.cholesky(np.eye(2))
    dpotrf(np.eye(2))
    _has_buffers = True


def _is_limited() -> bool:
    if sys.platform == "win32":
        return False
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
