"""Whether the compiled library is used."""

from dataclasses import replace

import pytest

from seqclf._cells import CELLS
from seqclf._inference.dispatch import is_compiled, is_native_enabled, supports
from seqclf._native import library
from seqclf._native.forced import use


@pytest.fixture(autouse=True)
def _no_kernel_is_forced(monkeypatch):
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)


@pytest.mark.skipif(not library.available()[0], reason="the compiled kernels are not installed")
def test_is_compiled_if_the_library_supports_the_cell_and_no_kernel_is_forced(monkeypatch):
    assert is_compiled("gru", "relu") and supports("gru", "relu") and is_native_enabled()
    for kernel in ("reference", "torch_native"):
        with use(kernel):
            assert not is_compiled("gru", "relu") and not is_native_enabled()
            assert supports("gru", "relu")
    for code in (None, 99):
        monkeypatch.setitem(CELLS, "odd", replace(CELLS["gru"], code=code))
        assert not supports("odd", "relu") and not is_compiled("odd", "relu")
        with use("cpu"):
            assert is_compiled("odd", "relu"), "it is forced, and raises later"


def test_is_compiled_is_false_without_a_library(monkeypatch):
    monkeypatch.setattr(library, "available", lambda: (False, "test"))
    assert not is_compiled("gru", "relu") and not is_native_enabled()
