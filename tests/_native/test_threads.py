"""The number of threads that was chosen for the compiled library."""

import threading

import pytest

from seqclf._native.threads import chosen_threads, in_forked_process, kernel_threads


def test_the_innermost_block_decides():
    assert chosen_threads() is None
    with kernel_threads(3):
        assert chosen_threads() == 3
        with kernel_threads(5):
            assert chosen_threads() == 5
        assert chosen_threads() == 3
    assert chosen_threads() is None


def test_nothing_is_chosen_after_an_error():
    with pytest.raises(KeyboardInterrupt), kernel_threads(3):
        raise KeyboardInterrupt
    assert chosen_threads() is None


def test_other_threads_are_not_affected():
    seen = []
    with kernel_threads(3):
        other = threading.Thread(target=lambda: seen.append(chosen_threads()))
        other.start()
        other.join()
    assert seen == [None]


def test_this_process_is_no_fork():
    assert not in_forked_process()
