"""Kernels that are selected explicitly: the innermost block takes precedence, then the environment variable."""

import threading

import pytest

from seqclf._native.forced import allows_compiled, forced_kernel, use


def test_use_takes_precedence_over_the_environment(monkeypatch):
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    assert forced_kernel() is None and allows_compiled()
    monkeypatch.setenv("SEQCLF_KERNELS", "reference")
    assert forced_kernel() == ("reference", "forced by the environment variable SEQCLF_KERNELS")
    assert not allows_compiled()
    with use("cpu"):
        assert forced_kernel() == ("cpu", "forced by seqclf._kernels.use") and allows_compiled()
        with use("torch_native"):
            assert forced_kernel()[0] == "torch_native" and not allows_compiled()
        assert forced_kernel()[0] == "cpu"
    monkeypatch.setenv("SEQCLF_KERNELS", "")
    assert forced_kernel() is None and allows_compiled()


def test_use_does_not_affect_other_threads(monkeypatch):
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    seen = []
    with use("reference"):
        other = threading.Thread(target=lambda: seen.append(forced_kernel()))
        other.start()
        other.join()
    assert seen == [None]


def test_unknown_kernel_is_an_error(monkeypatch):
    with pytest.raises(ValueError, match=r"use\(\) names the kernel 'fast', but there are only 'cpu'"), use("fast"):
        pass
    monkeypatch.setenv("SEQCLF_KERNELS", "slow")
    with pytest.raises(ValueError, match="environment variable SEQCLF_KERNELS names the kernel 'slow'"):
        forced_kernel()
