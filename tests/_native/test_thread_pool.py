"""The thread pool of the library: calls never wait for a missing thread, and processes can end and fork at any time.

Each test runs in its own process, because a fault would hang or kill it.
"""

import sys
import textwrap

import pytest

import _factories
from seqclf._native import library

pytestmark = [
    pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}"),
    pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc"),
]

SANITIZED = "sanitize" in str(library.find_library())

PROGRAM = """
    import ctypes, os, sys, threading, time
    import torch
    from seqclf._kernels import StepLayout, Weights
    from seqclf._kernels.cpu import recurrence
    from seqclf._native import call
    from seqclf._native import library
    from seqclf._native.threads import kernel_threads

    call._MIN_PARALLEL_WORK = 0
    torch.set_num_threads(1)

    def make_job(units, n_rows, n_times):
        generator = torch.Generator().manual_seed(0)
        layout = StepLayout([n_times] * n_rows)
        inputs = torch.randn(layout.n_steps, 4, generator=generator)
        shapes = [(4 * units, 4), (4 * units, units), (4 * units,)]
        weights = Weights(*(torch.randn(*shape, generator=generator).mul(0.2).requires_grad_() for shape in shapes))

        def run():
            return recurrence.run("lstm", inputs, layout, weights, "tanh", False)

        def train():
            outputs = run()
            return [outputs.detach(), *torch.autograd.grad(outputs.sum(), weights[:3])]

        return run, train

    run, train = make_job(16, 64, 30)

    def n_workers():
        "The number of threads of the pool in this process."
        count = 0
        for task in os.listdir("/proc/self/task"):
            try:
                count += open(f"/proc/self/task/{task}/comm").read() == "seqclf\\n"
            except FileNotFoundError:  # the thread has just ended
                pass
        return count

    def wait_for_workers(expected):
        "Their number, after a wait of at most 5 s: /proc shows started and ended threads with a delay."
        for _ in range(500):
            if n_workers() == expected:
                break
            time.sleep(0.01)
        return n_workers()

    def same(found, expected):
        return all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
"""


def run_python(code):
    return _factories.run_python(textwrap.dedent(PROGRAM) + textwrap.dedent(code)).split()


def test_workers_are_created_once_and_on_demand():
    code = """
    with kernel_threads(1):
        train()
    print(n_workers())
    for n, expected in ((3, 2), (2, 2), (3, 2), (5, 4), (2, 4)):
        with kernel_threads(n):
            train(), train()
        print(wait_for_workers(expected))
    """
    assert run_python(code) == ["0", "2", "2", "2", "4", "4"]


def test_calling_thread_does_all_partitions_if_no_worker_can_start():
    code = """
    import resource

    library.load()  # before the limit, because it needs memory
    with kernel_threads(4), torch.no_grad():
        size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        limits = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (size + 3_000_000, limits[1]))  # less than the stack of a thread
        alone = run()
        print(n_workers())
        resource.setrlimit(resource.RLIMIT_AS, limits)
        assert torch.equal(run(), alone)
        print(wait_for_workers(3))
    """
    if SANITIZED:
        pytest.skip("the sanitizer needs additional memory")
    assert run_python(code) == ["0", "3"]


def test_many_short_calls_on_many_threads():
    """Most partitions are done before a worker starts, which then finds a finished call, or the next one."""
    code = """
    _, train = make_job(8, 64, 2)
    with kernel_threads(30):
        expected = train()
        for _ in range(300):
            assert same(train(), expected)
    print("ok")
    """
    assert run_python(code) == ["ok"]


def test_forked_child_creates_new_workers():
    code = """
    def family(generations):
        "The exit status of a child that uses threads and forks a child that does the same."
        child = os.fork()
        if child == 0:
            code = 1
            try:
                if n_workers() or not same(train(), expected) or wait_for_workers(2) != 2:
                    code = 2
                else:
                    code = family(generations - 1) if generations else 0
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    with kernel_threads(3):
        expected = train()
        assert wait_for_workers(2) == 2
        print(family(2), n_workers())
        assert same(train(), expected)
    """
    assert run_python(code) == ["0", "2"]


def test_fork_during_calls_of_other_threads():
    code = """
    run, _ = make_job(16, 64, 30)
    with torch.no_grad(), kernel_threads(3):
        expected = run()
        # torch initialises statics at the first call. A child that is forked during this would wait forever.
        assert torch.equal(run(), expected)
    stop, wrong = threading.Event(), []

    def work():
        with torch.no_grad(), kernel_threads(3):
            while not stop.is_set():
                if not torch.equal(run(), expected):
                    wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(15):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with torch.no_grad(), kernel_threads(3):
                    code = 0 if torch.equal(run(), expected) else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    stop.set()
    for thread in threads:
        thread.join()
    print(len(wrong))
    """
    if SANITIZED:
        pytest.skip("the allocator of the sanitizer holds a lock that a child never gets")
    assert run_python(code) == ["0"]


@pytest.mark.parametrize("ending", ["pass", pytest.param("sys.exit()", marks=pytest.mark.slow), "os._exit(0)"])
def test_process_ends_while_workers_wait_and_run(ending):
    code = f"""
    calls = []

    class Spy:
        def __getattr__(self, name):
            return getattr(loaded, name)

        def seqclf_forward(self, pointer):
            calls.append(pointer._obj)
            loaded.seqclf_forward(pointer)

    loaded = call.loaded()
    library.load, true_load = lambda: (Spy(), ""), library.load
    with kernel_threads(4), torch.no_grad():
        outputs = run()
        library.load = true_load
        run()

    def work():  # without torch, whose threads must not be ended during a call
        while True:
            loaded.seqclf_forward(ctypes.byref(calls[0]))

    threading.Thread(target=work, daemon=True).start()
    time.sleep(0.2)
    print("end", flush=True)
    {ending}
    """
    assert run_python(code) == ["end"]


def test_library_can_be_unloaded():
    code = """
    import _ctypes, shutil, tempfile

    with kernel_threads(3):
        expected = train()
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(library.find_library(), os.path.join(folder, "copy.so"))
        for _ in range(3):
            loaded = ctypes.CDLL(copy)
            library.load, true_load = lambda: (loaded, ""), library.load
            n_before = wait_for_workers(2)
            with kernel_threads(3):
                assert same(train(), expected)
            assert wait_for_workers(n_before + 2) == n_before + 2
            library.load = true_load
            _ctypes.dlclose(loaded._handle)
            assert "copy.so" not in open("/proc/self/maps").read(), "still loaded"
            assert wait_for_workers(n_before) == n_before
            with kernel_threads(3):
                assert same(train(), expected)
    print("ok")
    """
    assert run_python(code) == ["ok"]
