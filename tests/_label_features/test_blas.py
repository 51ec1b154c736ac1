"""`reserve_blas_buffers` allocates the buffers of OpenBLAS once, if the address space is limited."""

import subprocess
import sys

import pytest

from seqclf._label_features import blas


@pytest.fixture
def process(monkeypatch):
    """A process without buffers yet: the sizes that `mmap` is called with, and a list with the limit."""
    sizes = []

    class Mapping:
        def close(self):
            pass

    def try_to_map(_, size):
        sizes.append(size)
        if size > limit[0]:
            raise OSError("Cannot allocate memory")
        return Mapping()

    limit = [2**40]
    monkeypatch.setattr(blas, "_has_buffers", False)
    monkeypatch.setattr(blas.mmap, "mmap", try_to_map)
    monkeypatch.setattr(blas, "_is_limited", lambda: True)
    return sizes, limit


def test_reserve_blas_buffers_allocates_once(process):
    sizes, _ = process
    blas.reserve_blas_buffers()
    blas.reserve_blas_buffers()
    assert sizes == [80 * 2**20]


def test_reserve_blas_buffers_raises_until_there_is_memory(process):
    sizes, limit = process
    limit[0] = 2**20
    for _ in range(2):
        with pytest.raises(MemoryError, match=r"Less than 84 MB of the address space \(ulimit -v\) is left"):
            blas.reserve_blas_buffers()
    limit[0] = 2**40
    blas.reserve_blas_buffers()
    assert len(sizes) == 3


def test_reserve_blas_buffers_does_nothing_without_a_limit(process, monkeypatch):
    sizes, _ = process
    monkeypatch.setattr(blas, "_is_limited", lambda: False)
    blas.reserve_blas_buffers()
    assert not sizes


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_is_limited_detects_a_limit_of_the_address_space():
    code = """
import resource
from seqclf._label_features.blas import _is_limited
before = resource.getrlimit(resource.RLIMIT_AS)
print(_is_limited() == (before[0] != resource.RLIM_INFINITY))
resource.setrlimit(resource.RLIMIT_AS, (2**40, before[1]))
print(_is_limited())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "True"], done.stderr
