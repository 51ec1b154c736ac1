"""Global state after a call was ended by an error or Ctrl-C, and torch's out-of-memory errors."""

import signal

import numpy as np
import pytest
import torch

from seqclf import RNNClassifier
from seqclf._kernels.threads import n_blocks, torch_threads
from seqclf._native.threads import chosen_threads, kernel_threads
from seqclf._training.device import use_threads
from seqclf._training.guard import guarded, is_out_of_memory

X, y = [np.zeros((3, 2)), np.ones((2, 2))] * 10, [0, 1] * 10


class InterruptedExit:
    """A context manager whose exit is prevented by Ctrl-C."""

    def __init__(self, inner):
        self.inner = inner

    def __enter__(self):
        return self.inner.__enter__()

    def __exit__(self, *_):
        raise KeyboardInterrupt


def test_guarded_restores_thread_counts_if_ctrl_c_interrupts_an_exit():
    before = torch.get_num_threads()

    @guarded
    def work():
        with InterruptedExit(torch_threads(before + 1)), InterruptedExit(kernel_threads(7)):
            assert (torch.get_num_threads(), chosen_threads()) == (before + 1, 7)

    with torch_threads(before + 2), kernel_threads(3):
        with pytest.raises(KeyboardInterrupt) as caught:  # keeps the traceback and its frames alive
            work()
        assert (torch.get_num_threads(), chosen_threads(), n_blocks()) == (before + 2, 3, 1)
    del caught  # The blocks are garbage-collected now, which must have no effect.
    assert (torch.get_num_threads(), chosen_threads(), n_blocks()) == (before, None, 0)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_guarded_restores_torch_modes_if_ctrl_c_interrupts_an_exit(mode):
    def modes():
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    @guarded
    def work():
        with InterruptedExit(mode()):
            assert modes() != (True, False)

    with pytest.raises(KeyboardInterrupt) as caught:
        work()
    assert modes() == (True, False)
    del caught
    assert modes() == (True, False)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such timer")
@pytest.mark.parametrize("seed", range(3))
def test_guarded_restores_thread_counts_after_ctrl_c_at_random_moments(seed):
    """The block takes tens of microseconds, nearly all of them for its entry and exit."""
    before, rng, n_inside = torch.get_num_threads(), np.random.default_rng(seed), 0

    @guarded
    def work():
        with use_threads(3, torch.device("cpu"), "lstm", "tanh"):
            pass

    def interrupt(_, frame):
        nonlocal n_inside
        n_inside += frame.f_code.co_filename != __file__
        raise KeyboardInterrupt

    handler = signal.signal(signal.SIGALRM, interrupt)
    try:
        for delay in rng.uniform(1e-6, 3e-5, size=3000):
            caught = None
            try:
                signal.setitimer(signal.ITIMER_REAL, delay)
                work()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt as error:
                caught = error  # keeps the traceback and its frames alive
            assert (torch.get_num_threads(), chosen_threads(), n_blocks()) == (before, None, 0), caught
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    assert n_inside > 100
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1


def torch_cpu_out_of_memory():
    torch.empty(2**50)


def torch_gpu_out_of_memory():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def torch_windows_out_of_memory():
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:116] data. DefaultCPUAllocator: not enough memory: you tried to")


def python_out_of_memory():
    raise MemoryError


def cpp_out_of_memory():
    raise RuntimeError("std::bad_alloc")


@pytest.mark.parametrize(
    "work",
    [
        torch_cpu_out_of_memory,
        torch_gpu_out_of_memory,
        torch_windows_out_of_memory,
        cpp_out_of_memory,
        python_out_of_memory,
    ],
)
def test_guarded_turns_out_of_memory_errors_into_memory_error(work):
    with pytest.raises(MemoryError, match=r"There was too little memory: .") as caught:
        guarded(work)()
    assert is_out_of_memory(caught.value.__cause__)


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes"), ValueError("can't allocate memory"), MemoryError("1 GB")]
)
def test_guarded_reraises_other_errors(error):
    def work():
        raise error

    with pytest.raises(type(error)) as caught:
        guarded(work)()
    assert caught.value is error


def test_fit_and_predict_are_guarded(monkeypatch):
    model = RNNClassifier(units=2, max_epochs=1, random_state=0, wide=False, conv_filters=0).fit(X, y)
    before = dict(vars(model))
    expected = model.predict_proba(X)

    def fail(*_, **__):
        torch.empty(2**50)

    def fail_without_message(*_, **__):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("seqclf._nn.network.Network.features", fail)
        patch.setattr("seqclf._inference.network.InferenceNetwork._features", fail_without_message)
        with pytest.raises(MemoryError, match="There was too little memory: an allocation failed"):
            model.predict(X)
        with pytest.raises(MemoryError, match="can't allocate memory"):
            model.fit(X, y)
    assert vars(model) == before
    np.testing.assert_array_equal(model.predict_proba(X), expected)
