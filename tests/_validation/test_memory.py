import os

import pytest

from seqclf._validation import memory
from seqclf._validation.memory import memory_size, refuse_size


def test_what_does_not_fit_is_refused_with_its_size_and_that_of_the_machine(monkeypatch):
    monkeypatch.setattr(memory, "memory_size", lambda: 8 * 2**30)
    refuse_size(2 * 2**30, "An array", "make it smaller")
    with pytest.raises(ValueError) as caught:
        refuse_size(2 * 2**40, "An array", "make it smaller")
    assert str(caught.value) == (
        "An array would need 8,192 GiB of memory, but this machine has 8 GiB: make it smaller."
    )


def test_the_size_of_the_memory(monkeypatch):
    assert 2**28 < memory_size() <= 2**46
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert memory_size() == 2**42
