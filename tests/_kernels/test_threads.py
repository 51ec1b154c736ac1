"""torch's number of threads, set for a block: in several Python threads, after errors and in a fork."""

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from seqclf._kernels.threads import end_blocks, n_blocks, torch_threads


def test_nested_torch_threads_blocks():
    before = torch.get_num_threads()
    with torch_threads(before + 1) as outside:
        assert (outside, torch.get_num_threads()) == (before, before + 1)
        with torch_threads(before + 2) as outside:
            assert (outside, torch.get_num_threads()) == (before + 1, before + 2)
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_torch_threads_restores_the_count_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt), torch_threads(before + 1):
        raise KeyboardInterrupt
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("first_to_leave", ["seen", "fresh"])
def test_torch_threads_blocks_in_several_python_threads(first_to_leave):
    """Each block has its own count and the count outside. All counts are restored, in whatever order the blocks end."""
    before = torch.get_num_threads()
    pools = {"seen": ThreadPoolExecutor(1), "fresh": ThreadPoolExecutor(1)}
    entered, leave = ({name: threading.Event() for name in pools} for _ in range(2))

    def block(name, n):
        with torch_threads(n) as outside:
            entered[name].set()
            assert leave[name].wait(30)
            inside = torch.get_num_threads()
        return outside, inside, torch.get_num_threads()

    try:
        assert pools["seen"].submit(torch.get_num_threads).result() == before  # torch has seen this thread before
        with torch_threads(before + 1):
            results = {name: pools[name].submit(block, name, before + 2 + i) for i, name in enumerate(pools)}
            assert all(event.wait(30) for event in entered.values())
            assert torch.get_num_threads() == before + 1
        assert torch.get_num_threads() == before
        for name in sorted(pools, key=lambda name: name != first_to_leave):
            leave[name].set()
            results[name].result(30)
        assert results["seen"].result() == (before, before + 2, before)
        assert results["fresh"].result() == (before, before + 3, before)
        assert ThreadPoolExecutor(1).submit(torch.get_num_threads).result() == before
    finally:
        for event in leave.values():
            event.set()
        for pool in pools.values():
            pool.shutdown()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forked_child_has_no_active_blocks():
    """In the parent one thread is inside a block and another holds the lock; neither exists in the child."""
    program = """
    import os, threading
    import torch
    from seqclf._kernels import threads
    from seqclf._native.threads import in_forked_process

    inside, leave = threading.Event(), threading.Event()

    def block():
        with threads.torch_threads(5):
            inside.set()
            leave.wait(30)

    torch.set_num_threads(2)
    other = threading.Thread(target=block)
    other.start()
    inside.wait(30)
    threads._lock.acquire()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            # In a forked process torch supports one thread only.
            torch.set_num_threads(1)
            with threads.torch_threads(1) as outside:
                code = 0 if outside == 1 and [block.n_threads for block in threads._blocks] == [1] else 2
            code = code if in_forked_process() else 3
        finally:
            os._exit(code)
    threads._lock.release()
    leave.set()
    other.join()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), in_forked_process())
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["0", "False"]


def test_end_blocks_ends_the_inner_blocks_of_this_thread():
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert n_blocks() == 1
        with torch_threads(before + 2), torch_threads(before + 3):
            assert n_blocks() == 3
            end_blocks(1)
            assert n_blocks() == 1 and torch.get_num_threads() == before + 1
    assert n_blocks() == 0 and torch.get_num_threads() == before
