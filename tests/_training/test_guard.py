"""What is left of a call that an error or Ctrl-C has ended, and how torch's errors of memory are named."""

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


class CutOff:
    """A context manager whose end Ctrl-C prevents."""

    def __init__(self, inner):
        self.inner = inner

    def __enter__(self):
        return self.inner.__enter__()

    def __exit__(self, *_):
        raise KeyboardInterrupt


def test_blocks_that_ctrl_c_has_not_let_end_are_ended():
    before = torch.get_num_threads()

    @guarded
    def work():
        with CutOff(torch_threads(before + 1)), CutOff(kernel_threads(7)):
            assert (torch.get_num_threads(), chosen_threads()) == (before + 1, 7)

    with torch_threads(before + 2), kernel_threads(3):
        with pytest.raises(KeyboardInterrupt) as kept:  # with its traceback, and all that lives there
            work()
        assert (torch.get_num_threads(), chosen_threads(), n_blocks()) == (before + 2, 3, 1)
    del kept  # The blocks are collected now, when it is too late for them to do anything.
    assert (torch.get_num_threads(), chosen_threads(), n_blocks()) == (before, None, 0)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_modes_of_torch_that_ctrl_c_has_not_let_end_are_ended(mode):
    def modes():
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    @guarded
    def work():
        with CutOff(mode()):
            assert modes() != (True, False)

    with pytest.raises(KeyboardInterrupt) as kept:
        work()
    assert modes() == (True, False)
    del kept
    assert modes() == (True, False)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such timer")
@pytest.mark.parametrize("seed", range(3))
def test_ctrl_c_at_random_moments_leaves_thread_counts_as_they_were(seed):
    """The block takes some ten microseconds, nearly all of which begin or end it."""
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
            kept = None
            try:
                signal.setitimer(signal.ITIMER_REAL, delay)
                work()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt as error:
                kept = error  # with its traceback, and all that lives there
            assert (torch.get_num_threads(), chosen_threads(), n_blocks()) == (before, None, 0), kept
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    assert n_inside > 100
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1


def torch_without_memory():
    torch.empty(2**50)


def a_gpu_without_memory():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def torch_on_windows():
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:116] data. DefaultCPUAllocator: not enough memory: you tried to")


def python_without_memory():
    raise MemoryError


def cpp_without_memory():
    raise RuntimeError("std::bad_alloc")


@pytest.mark.parametrize(
    "work", [torch_without_memory, a_gpu_without_memory, torch_on_windows, cpp_without_memory, python_without_memory]
)
def test_what_torch_says_where_memory_runs_out_is_a_memory_error(work):
    with pytest.raises(MemoryError, match=r"There was too little memory: .") as caught:
        guarded(work)()
    assert is_out_of_memory(caught.value.__cause__)


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes"), ValueError("can't allocate memory"), MemoryError("1 GB")]
)
def test_other_errors_are_left_as_they_are(error):
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

    def fail_without_a_word(*_, **__):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("seqclf._nn.network.Network.features", fail)
        patch.setattr("seqclf._inference.network.InferenceNetwork._features", fail_without_a_word)
        with pytest.raises(MemoryError, match="There was too little memory: an allocation failed"):
            model.predict(X)
        with pytest.raises(MemoryError, match="can't allocate memory"):
            model.fit(X, y)
    assert vars(model) == before
    np.testing.assert_array_equal(model.predict_proba(X), expected)
