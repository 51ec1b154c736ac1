"""Where the arithmetic runs: names of devices, and threads that are given and taken back."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from seqclf import _kernels
from seqclf._cells.cell import Cell
from seqclf._native import library
from seqclf._native.threads import n_threads as usual_threads
from seqclf._training.device import resolve_device, use_threads

CPU = torch.device("cpu")


def test_device_names():
    assert resolve_device("auto").type in ("cpu", "cuda")
    assert resolve_device("cpu") == CPU
    with pytest.raises(ValueError, match="device='gpu' is not 'auto' or the name of a torch device"):
        resolve_device("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_warns_and_the_cpu_works():
    with pytest.warns(UserWarning, match="device='cuda:1', but torch sees no CUDA GPU here"):
        assert resolve_device("cuda:1") == CPU


def test_mps_that_is_not_there_warns_and_the_cpu_works(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.warns(UserWarning, match="device='mps', but torch has no MPS here: the CPU is used"):
        assert resolve_device("mps") == CPU


@pytest.mark.parametrize("name", ["", "cpu:", "cuda:99999999999999999999", "\ud800", "meta", "cuda:-1"])
def test_names_that_torch_does_not_know_or_we_do_not_take(name):
    with pytest.raises(ValueError, match="device="):
        resolve_device(name)


def test_auto_never_takes_mps(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == CPU
    with pytest.warns(UserWarning, match="MPS are known to give wrong results"):
        resolve_device("mps")


KERNELS = pytest.mark.skipif(not library.available()[0], reason="no compiled kernels")
OURS, TORCHS = (CPU, "lstm", "tanh"), (CPU, "plain", "tanh")


@pytest.fixture(autouse=True)
def _plain_cell(monkeypatch):
    """A cell that our kernels lack."""
    monkeypatch.setitem(_kernels.CELLS, "plain", Cell("plain", ("h",), lambda *_: ()))


def numbers():
    return usual_threads(), torch.get_num_threads()


@KERNELS
def test_our_kernels_get_the_threads_and_torch_gets_one(monkeypatch):
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    outside = numbers()
    with use_threads(3, *OURS):
        assert numbers() == (3, 1)
        with use_threads(None, *OURS):
            assert numbers() == (3, 1)
        with use_threads(2, *OURS):
            assert numbers() == (2, 1)
        assert numbers() == (3, 1)
    with use_threads(None, *OURS):
        assert numbers() == (outside[1], 1)
    assert numbers() == outside


def test_where_our_kernels_do_not_compute_torch_gets_the_threads():
    before = torch.get_num_threads()
    for arguments in (TORCHS, (torch.device("cuda"), "lstm", "tanh")):
        with use_threads(before + 1, *arguments):
            assert torch.get_num_threads() == before + 1
        with use_threads(None, *arguments):
            assert torch.get_num_threads() == before


@pytest.mark.parametrize("where", [OURS, TORCHS])
def test_threads_are_put_back_after_an_error_too(where):
    before, inside = numbers(), []

    def fail():
        with use_threads(before[1] + 1, *where):
            inside.append(usual_threads())
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert inside == [before[1] + 1]
    assert numbers() == before


@KERNELS
def test_blocks_in_several_threads_at_once(monkeypatch):
    """Each sees its own number and that of outside, whichever begins or ends first; torch's is put back in all."""
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(before + 2)
    met, fresh = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
    try:
        assert met.submit(torch.get_num_threads).result() == before + 2  # torch knows this thread before it comes in
        entered = {name: threading.Event() for name in ("met", "fresh")}
        leave = {name: threading.Event() for name in entered}

        def block(name, n):
            with use_threads(n, *OURS):
                entered[name].set()
                assert leave[name].wait(30)
                seen = numbers()
            return seen, numbers()

        with use_threads(None, *OURS):
            assert numbers() == (before + 2, 1)
            results = {"met": met.submit(block, "met", 5), "fresh": fresh.submit(block, "fresh", None)}
            assert all(event.wait(30) for event in entered.values())
        assert numbers() == (before + 2, before + 2)
        leave["met"].set()
        assert results["met"].result(30) == ((5, 1), (before + 2, before + 2))
        leave["fresh"].set()
        assert results["fresh"].result(30) == ((before + 2, 1), (before + 2, before + 2))
        assert ThreadPoolExecutor(1).submit(torch.get_num_threads).result() == before + 2
    finally:
        for event in leave.values():
            event.set()
        met.shutdown()
        fresh.shutdown()
        torch.set_num_threads(before)
