"""The buffers of OpenBLAS, which ends the process or never returns where it gets no memory for them."""

import mmap
import sys

import numpy as np
from scipy.linalg.lapack import dpotrf

# numpy and scipy come with an OpenBLAS each, whose buffer for one thread is 32 MB.
_BUFFERS = 80 * 2**20
_has_buffers = False


def reserve_blas_buffers() -> None:
    """Have OpenBLAS take its buffers, which it keeps, where the address space is limited.

    Raises
    ------
    MemoryError
        If there is no memory for them.
    """
    global _has_buffers
    if _has_buffers or not _is_limited():
        return
    try:
        mmap.mmap(-1, _BUFFERS).close()
    except OSError as error:
        raise MemoryError(
            f"Less than {_BUFFERS / 1e6:.0f} MB of the address space (ulimit -v) are left, which numpy and scipy need "
            "for linear algebra."
        ) from error
    np.linalg.cholesky(np.eye(2))
    dpotrf(np.eye(2))
    _has_buffers = True


def _is_limited() -> bool:
    if sys.platform == "win32":
        return False
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
