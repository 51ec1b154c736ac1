"""Check of array sizes against the memory of the machine."""

import os

import pytest

from seqclf._validation import memory
from seqclf._validation.memory import check_fits_memory, memory_size


def test_error_contains_the_size_and_the_memory_of_the_machine(monkeypatch):
    monkeypatch.setattr(memory, "memory_size", lambda: 8 * 2**30)
    check_fits_memory(2 * 2**30, "An array", "make it smaller")
    with pytest.raises(ValueError) as caught:
        check_fits_memory(2 * 2**40, "An array", "make it smaller")
    assert str(caught.value) == (
        "An array would need 8,192 GiB of memory, but this machine has 8 GiB: make it smaller."
    )


def test_memory_size_has_a_fallback_without_sysconf(monkeypatch):
    assert 2**28 < memory_size() <= 2**46
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert memory_size() == 2**42
