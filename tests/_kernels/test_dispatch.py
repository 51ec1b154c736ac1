"""Which kernel computes, and what is said about it."""

import pytest
import torch

from seqclf import _kernels
from seqclf._kernels import N_GATES, StepLayout, Weights, dispatch
from seqclf._native import library


def make_weights(cell, dtype=torch.float32):
    rows = N_GATES[cell] * 3
    return Weights(*(torch.zeros(*shape, dtype=dtype) for shape in ((rows, 2), (rows, 3), (rows,), (rows,))))


def test_the_chosen_kernel_ran(monkeypatch):
    layout = StepLayout([2, 3])
    ran = []
    for name, kernel in dispatch._KERNELS.items():
        monkeypatch.setattr(kernel, "run", lambda *args, name=name: ran.append(name))
    monkeypatch.setattr(library, "available", lambda: (True, "test"))
    inputs, single, double = torch.zeros(5, 2), make_weights("lstm"), make_weights("lstm", torch.float64)
    _kernels.recurrence("lstm", inputs, layout, single)
    _kernels.recurrence("lstm", inputs, layout, double)
    with _kernels.use("reference"):
        _kernels.recurrence("lstm", inputs, layout, single)
    _kernels.recurrence("lstm", inputs, layout, single, activation="relu")
    monkeypatch.setenv("SEQCLF_KERNELS", "reference")
    _kernels.recurrence("lstm", inputs, layout, single)
    monkeypatch.delenv("SEQCLF_KERNELS")
    monkeypatch.setattr(library, "available", lambda: (False, "test"))
    _kernels.recurrence("lstm", inputs, layout, single)
    assert ran == ["cpu", "torch_native", "reference", "reference", "reference", "torch_native"]


def test_an_unknown_kernel_is_named(monkeypatch):
    with pytest.raises(ValueError, match=r"'fast'.*'cpu', 'reference', 'torch_native'"), _kernels.use("fast"):
        pass
    monkeypatch.setenv("SEQCLF_KERNELS", "slow")
    with pytest.raises(ValueError, match="environment variable SEQCLF_KERNELS names the kernel 'slow'"):
        _kernels.choose("lstm", "tanh")


def test_describe_says_which_and_why():
    rows = dict(_kernels.describe())
    assert rows["lstm (tanh)"].startswith("cpu: fused kernels for " if library.available()[0] else "torch_native: ")
    assert rows["gru (relu)"] == "reference: no fast kernel has gru with activation 'relu'"


def test_missing_kernels_are_said_once(monkeypatch):
    monkeypatch.setattr(library, "available", lambda: (False, "no compiler"))
    monkeypatch.setattr(dispatch, "_warned", False)
    with pytest.warns(UserWarning, match="several times slower on a CPU: no compiler. Install it with a C") as caught:
        _kernels.warn_where_slow()
    _kernels.warn_where_slow()  # a second warning would be an error here
    assert len(caught) == 1


def test_a_forced_kernel_that_lacks_the_cell_says_so():
    layout = StepLayout([2])
    with (
        _kernels.use("torch_native"),
        pytest.raises(ValueError, match=r"'torch_native'.*has no gru with activation 'relu'"),
    ):
        _kernels.recurrence("gru", torch.zeros(2, 2), layout, make_weights("gru"), activation="relu")
