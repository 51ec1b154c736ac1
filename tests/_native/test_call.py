"""What every call into the compiled library needs."""

import pytest

from seqclf._native import call, library


def test_small_calls_have_one_thread(tune):
    tune(min_parallel_work=1_000)
    assert [call.thread_count(3, work) for work in (0, 1_000, 1_001)] == [1, 1, 3]


def test_without_a_library_the_reason_is_given(monkeypatch):
    monkeypatch.setattr(library, "load", lambda: (None, "no compiler"))
    with pytest.raises(RuntimeError, match="There are no compiled kernels: no compiler"):
        call.loaded()
