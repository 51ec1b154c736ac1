"""The choice of the kernel, and the warnings and errors about it."""

from dataclasses import replace

import pytest
import torch

from seqclf import _kernels
from seqclf._cells.cell import Cell
from seqclf._kernels import CELLS, StepLayout, Weights, dispatch
from seqclf._native import forced, library

CPU = torch.device("cpu")


def make_weights(cell, dtype=torch.float32):
    rows = CELLS[cell].n_gates * 3
    return Weights(*(torch.zeros(*shape, dtype=dtype) for shape in ((rows, 2), (rows, 3), (rows,), (rows,))))


def test_recurrence_runs_the_chosen_kernel(monkeypatch):
    layout = StepLayout([2, 3])
    ran = []
    for name, kernel in dispatch._KERNELS.items():
        monkeypatch.setattr(kernel, "run", lambda *args, name=name: ran.append(name))
    monkeypatch.setattr(library, "available", lambda: (True, "test"))
    monkeypatch.setattr(dispatch, "supports", lambda cell, activation: activation == "tanh")
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


def test_unknown_kernel_raises(monkeypatch):
    with pytest.raises(ValueError, match=r"'fast'.*'cpu', 'reference', 'torch_native'"), _kernels.use("fast"):
        pass
    monkeypatch.setenv("SEQCLF_KERNELS", "slow")
    with pytest.raises(ValueError, match="environment variable SEQCLF_KERNELS names the kernel 'slow'"):
        _kernels.choose("lstm", "tanh")


@pytest.mark.parametrize("name", forced.KERNELS)
def test_every_kernel_can_be_forced(name):
    with _kernels.use(name):
        assert _kernels.choose("lstm", "tanh") == (name, "forced by seqclf._kernels.use")
    assert set(dispatch._KERNELS) == set(forced.KERNELS)


def test_describe_names_kernel_and_reason():
    rows = dict(_kernels.describe())
    assert rows["lstm (tanh)"].startswith("cpu: fused kernels for " if library.available()[0] else "torch_native: ")
    slow = "reference: no fast kernel supports gru with activation 'softsign'"
    assert rows["gru (softsign)"] == (rows["lstm (tanh)"] if library.available()[0] else slow)
    assert len(rows) == len(CELLS) * len(_kernels.ACTIVATIONS)


def test_warn_if_slow_warns_once_about_a_missing_library(monkeypatch):
    monkeypatch.delenv("SEQCLF_KERNELS_LIBRARY", raising=False)
    monkeypatch.setattr(library, "available", lambda: (False, "no compiler"))
    monkeypatch.setattr(dispatch, "_warned", set())
    with pytest.warns(
        UserWarning, match="slower on a CPU: no compiler. To get its kernels, install it again"
    ) as caught:
        _kernels.warn_if_slow("lstm", "tanh", CPU)
    _kernels.warn_if_slow("lstm", "tanh", CPU)  # a second warning would be an error here
    assert len(caught) == 1


@pytest.fixture
def unsupported_cell(monkeypatch):
    """A cell that no kernel supports: h' = a(x W + b)."""
    cell = Cell("plain", ("h",), lambda projected, state, weights, activation: (activation(projected),))
    monkeypatch.setitem(CELLS, "plain", cell)
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    monkeypatch.setattr(dispatch, "_warned", set())
    return cell


def test_unsupported_cell_runs_on_the_reference_with_one_warning(unsupported_cell, monkeypatch):
    monkeypatch.setattr(library, "available", lambda: (True, "test"))
    assert _kernels.choose("plain", "tanh") == ("reference", "no fast kernel supports plain with activation 'tanh'")
    layout, weights, inputs = StepLayout([2]), make_weights("plain")._replace(bias=torch.ones(3)), torch.zeros(2, 2)
    outputs = _kernels.recurrence("plain", inputs, layout, weights)
    torch.testing.assert_close(outputs, torch.ones(2, 3).tanh())
    with pytest.warns(UserWarning, match=r"cell='plain' .* many times slower than other cells here: no fast") as caught:
        _kernels.warn_if_slow("plain", "tanh", CPU)
    _kernels.warn_if_slow("plain", "tanh", CPU)
    assert len(caught) == 1
    with _kernels.use("reference"):  # no warning for a forced kernel
        _kernels.warn_if_slow("lstm", "tanh", CPU)


def test_cell_that_torch_does_not_support_runs_on_the_reference_on_a_gpu(unsupported_cell, monkeypatch):
    # Only the compiled kernels support it, on the CPU.
    monkeypatch.setitem(CELLS, "plain", replace(unsupported_cell, code=0))
    name, reason = _kernels.choose("plain", "tanh", "cuda")
    assert name == "reference" and reason.endswith("for torch.float32 on cuda")
    assert _kernels.choose("gru", "tanh", "cuda")[0] == "torch_native"
    with pytest.warns(UserWarning, match="no fast kernel supports plain .* on cuda. With .*'rnn', 'lstm', 'gru'"):
        _kernels.warn_if_slow("plain", "tanh", torch.device("cuda"))
    _kernels.warn_if_slow("gru", "tanh", torch.device("cuda"))


@pytest.mark.parametrize("activation", _kernels.ACTIVATIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_warn_if_slow_warns_only_if_no_fast_kernel_supports_the_activation(cell, activation, monkeypatch):
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    monkeypatch.setattr(library, "available", lambda: (True, "test"))
    monkeypatch.setattr(dispatch, "supports", lambda cell, activation: True)
    monkeypatch.setattr(dispatch, "_warned", set())
    _kernels.warn_if_slow(cell, activation, CPU)  # a warning would be an error here
    if activation in CELLS[cell].torch_operations:
        return _kernels.warn_if_slow(cell, activation, torch.device("cuda"))
    with pytest.warns(UserWarning, match=f"cell='{cell}' with activation='{activation}' is many times slower"):
        _kernels.warn_if_slow(cell, activation, torch.device("cuda"))


@pytest.mark.skipif(not library.available()[0], reason="no compiled kernels")
def test_choose_prefers_the_compiled_kernel(unsupported_cell, monkeypatch):
    """It runs if the library has the code of the cell; otherwise torch's operation or the reference runs."""
    monkeypatch.setitem(CELLS, "plain", replace(unsupported_cell, code=0))
    assert _kernels.choose("plain", "tanh")[0] == "cpu"
    assert _kernels.choose("plain", "tanh", dtype=torch.float64)[0] == "reference"
    monkeypatch.setitem(CELLS, "plain", replace(unsupported_cell, code=99))
    assert _kernels.choose("plain", "tanh")[0] == "reference"
    monkeypatch.setitem(CELLS, "plain", replace(unsupported_cell, code=99, torch_operations={"tanh": "gru"}))
    name, reason = _kernels.choose("plain", "tanh")
    assert (name, reason) == (
        "torch_native",
        "torch's own operations: the compiled kernels do not support plain with activation 'tanh'",
    )


def test_forced_kernel_without_the_cell_raises():
    layout = StepLayout([2])
    with (
        _kernels.use("torch_native"),
        pytest.raises(ValueError, match=r"'torch_native'.*does not support gru with activation 'relu'"),
    ):
        _kernels.recurrence("gru", torch.zeros(2, 2), layout, make_weights("gru"), activation="relu")


@pytest.mark.skipif(not library.available()[0], reason="no compiled kernels")
@pytest.mark.parametrize(("dtype", "device"), [(torch.float64, "cpu"), (torch.float16, "cpu"), (torch.float32, "meta")])
@pytest.mark.parametrize("operation", ["recurrence", "bidirectional"])
def test_forced_compiled_kernel_raises_for_another_dtype_or_device(dtype, device, operation):
    """The library would misinterpret the memory."""
    weights = Weights(*(None if each is None else each.to(device, dtype) for each in make_weights("lstm")))
    inputs, layout = torch.zeros(2, 2, dtype=dtype, device=device), StepLayout([2])
    calls = {
        "recurrence": lambda: _kernels.recurrence("lstm", inputs, layout, weights),
        "bidirectional": lambda: _kernels.bidirectional("lstm", inputs, layout, (weights, weights)),
    }
    with (
        _kernels.use("cpu"),
        pytest.raises(ValueError, match=rf"float32 on the CPU only; .* {dtype} on {device}\. Unset"),
    ):
        calls[operation]()
