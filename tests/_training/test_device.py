"""Names of devices, and numbers of threads that are set and restored."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from seqclf import _kernels
from seqclf._cells.cell import Cell
from seqclf._native import library
from seqclf._native.threads import n_threads as native_threads
from seqclf._training.device import resolve_device, use_threads

CPU = torch.device("cpu")


def test_resolve_device_names():
    assert resolve_device("auto").type in ("cpu", "cuda")
    assert resolve_device("cpu") == CPU
    with pytest.raises(ValueError, match="device='gpu' is not supported: expected 'auto'"):
        resolve_device("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_resolve_device_warns_without_gpu_and_returns_the_cpu():
    with pytest.warns(UserWarning, match="device='cuda:1', but torch finds no CUDA GPU here"):
        assert resolve_device("cuda:1") == CPU


def test_resolve_device_warns_without_mps_and_returns_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.warns(UserWarning, match="device='mps', but torch has no MPS here: the CPU is used"):
        assert resolve_device("mps") == CPU


@pytest.mark.parametrize("name", ["", "cpu:", "cuda:99999999999999999999", "\ud800", "meta", "cuda:-1"])
def test_resolve_device_raises_for_unknown_or_unsupported_names(name):
    with pytest.raises(ValueError, match="device="):
        resolve_device(name)


def test_resolve_device_auto_never_selects_mps(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == CPU
    with pytest.warns(UserWarning, match="known to give wrong results on MPS"):
        resolve_device("mps")


KERNELS = pytest.mark.skipif(not library.available()[0], reason="no compiled kernels")
NATIVE, TORCH = (CPU, "lstm", "tanh"), (CPU, "plain", "tanh")


@pytest.fixture(autouse=True)
def _plain_cell(monkeypatch):
    """A cell without native kernels."""
    monkeypatch.setitem(_kernels.CELLS, "plain", Cell("plain", ("h",), lambda *_: ()))


def thread_counts():
    return native_threads(), torch.get_num_threads()


@KERNELS
def test_use_threads_sets_native_threads_and_one_for_torch(monkeypatch):
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    initial = thread_counts()
    with use_threads(3, *NATIVE):
        assert thread_counts() == (3, 1)
        with use_threads(None, *NATIVE):
            assert thread_counts() == (3, 1)
        with use_threads(2, *NATIVE):
            assert thread_counts() == (2, 1)
        assert thread_counts() == (3, 1)
    with use_threads(None, *NATIVE):
        assert thread_counts() == (initial[1], 1)
    assert thread_counts() == initial


def test_use_threads_sets_torch_threads_without_native_kernels():
    before = torch.get_num_threads()
    for arguments in (TORCH, (torch.device("cuda"), "lstm", "tanh")):
        with use_threads(before + 1, *arguments):
            assert torch.get_num_threads() == before + 1
        with use_threads(None, *arguments):
            assert torch.get_num_threads() == before


@pytest.mark.parametrize("where", [NATIVE, TORCH])
def test_use_threads_restores_numbers_after_an_error(where):
    before, inside = thread_counts(), []

    def fail():
        with use_threads(before[1] + 1, *where):
            inside.append(native_threads())
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert inside == [before[1] + 1]
    assert thread_counts() == before


@KERNELS
def test_use_threads_in_concurrent_threads(monkeypatch):
    """Each thread has its own number of threads, in any order of entry and exit; torch's number is restored in all."""
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(before + 2)
    existing, new = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
    try:
        # One thread is known to torch before the block, the other is not.
        assert existing.submit(torch.get_num_threads).result() == before + 2
        entered = {name: threading.Event() for name in ("existing", "new")}
        leave = {name: threading.Event() for name in entered}

        def block(name, n):
            with use_threads(n, *NATIVE):
                entered[name].set()
                assert leave[name].wait(30)
                seen = thread_counts()
            return seen, thread_counts()

        with use_threads(None, *NATIVE):
            assert thread_counts() == (before + 2, 1)
            results = {"existing": existing.submit(block, "existing", 5), "new": new.submit(block, "new", None)}
            assert all(event.wait(30) for event in entered.values())
        assert thread_counts() == (before + 2, before + 2)
        leave["existing"].set()
        assert results["existing"].result(30) == ((5, 1), (before + 2, before + 2))
        leave["new"].set()
        assert results["new"].result(30) == ((before + 2, 1), (before + 2, before + 2))
        assert ThreadPoolExecutor(1).submit(torch.get_num_threads).result() == before + 2
    finally:
        for event in leave.values():
            event.set()
        existing.shutdown()
        new.shutdown()
        torch.set_num_threads(before)
