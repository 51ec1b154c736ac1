"""The library for a call, and its number of threads."""

import pytest

from seqclf._native import call, library


def test_thread_count_of_small_calls_is_one(tune):
    tune(min_parallel_work=1_000)
    assert [call.thread_count(3, work) for work in (0, 1_000, 1_001)] == [1, 1, 3]


def test_loaded_names_the_reason_without_a_library(monkeypatch):
    monkeypatch.setattr(library, "load", lambda: (None, "no compiler"))
    with pytest.raises(RuntimeError, match="There are no compiled kernels: no compiler"):
        call.loaded()
