"""The number of threads for the compiled library."""

import os
import sys
import threading

import pytest
import torch

from seqclf._kernels import torch_threads
from seqclf._native.threads import chosen_threads, default_threads, in_forked_process, kernel_threads, n_threads


def test_kernel_threads_innermost_block_takes_precedence():
    assert chosen_threads() is None
    with kernel_threads(3):
        assert chosen_threads() == 3
        with kernel_threads(5):
            assert chosen_threads() == 5
        assert chosen_threads() == 3
    assert chosen_threads() is None


def test_n_threads_is_the_chosen_number_or_that_of_torch():
    assert n_threads() == torch.get_num_threads()
    with kernel_threads(7):
        assert n_threads() == 7
    with torch_threads(3), kernel_threads(5):
        assert n_threads() == 5
    with torch_threads(3):
        assert n_threads() == 3


@pytest.mark.parametrize("missing", [None, object()], ids=["not importable", "partially imported"])
def test_default_threads_without_torch(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, "torch", missing)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 5, 6}, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert default_threads() == n_threads() == 7
    for value in ("", "0", "-3", "many", "3,2"):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert default_threads() == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert default_threads() == 3
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert default_threads() == 1
    with kernel_threads(4):
        assert n_threads() == 4


def test_kernel_threads_is_reset_after_an_error():
    with pytest.raises(KeyboardInterrupt), kernel_threads(3):
        raise KeyboardInterrupt
    assert chosen_threads() is None


def test_kernel_threads_does_not_affect_other_threads():
    seen = []
    with kernel_threads(3):
        other = threading.Thread(target=lambda: seen.append(chosen_threads()))
        other.start()
        other.join()
    assert seen == [None]


def test_in_forked_process_is_false_in_the_main_process():
    assert not in_forked_process()
