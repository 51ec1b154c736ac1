"""Which kernel computes, and what is said about it."""

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


def test_the_chosen_kernel_ran(monkeypatch):
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


def test_an_unknown_kernel_is_named(monkeypatch):
    with pytest.raises(ValueError, match=r"'fast'.*'cpu', 'reference', 'torch_native'"), _kernels.use("fast"):
        pass
    monkeypatch.setenv("SEQCLF_KERNELS", "slow")
    with pytest.raises(ValueError, match="environment variable SEQCLF_KERNELS names the kernel 'slow'"):
        _kernels.choose("lstm", "tanh")


def test_the_kernels_that_can_be_asked_for_are_those_that_are_there():
    assert tuple(dispatch._KERNELS) == forced.KERNELS


def test_describe_says_which_and_why():
    rows = dict(_kernels.describe())
    assert rows["lstm (tanh)"].startswith("cpu: fused kernels for " if library.available()[0] else "torch_native: ")
    slow = "reference: no fast kernel has gru with activation 'softsign'"
    assert rows["gru (softsign)"] == (rows["lstm (tanh)"] if library.available()[0] else slow)
    assert len(rows) == len(CELLS) * len(_kernels.ACTIVATIONS)


def test_missing_kernels_are_said_once(monkeypatch):
    monkeypatch.delenv("SEQCLF_KERNELS_LIBRARY", raising=False)
    monkeypatch.setattr(library, "available", lambda: (False, "no compiler"))
    monkeypatch.setattr(dispatch, "_warned", set())
    with pytest.warns(UserWarning, match="several times slower on a CPU: no compiler. Install it with a C") as caught:
        _kernels.warn_where_slow("lstm", "tanh", CPU)
    _kernels.warn_where_slow("lstm", "tanh", CPU)  # a second warning would be an error here
    assert len(caught) == 1


@pytest.fixture
def plain_cell(monkeypatch):
    """A cell of one file in Python: h' = a(x W + b). No kernel has it."""
    cell = Cell("plain", ("h",), lambda projected, state, weights, activation: (activation(projected),))
    monkeypatch.setitem(CELLS, "plain", cell)
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    monkeypatch.setattr(dispatch, "_warned", set())
    return cell


def test_a_cell_without_a_header_runs_on_the_reference_and_says_so_once(plain_cell, monkeypatch):
    monkeypatch.setattr(library, "available", lambda: (True, "test"))
    assert _kernels.choose("plain", "tanh") == ("reference", "no fast kernel has plain with activation 'tanh'")
    layout, weights, inputs = StepLayout([2]), make_weights("plain")._replace(bias=torch.ones(3)), torch.zeros(2, 2)
    outputs = _kernels.recurrence("plain", inputs, layout, weights)
    torch.testing.assert_close(outputs, torch.ones(2, 3).tanh())
    with pytest.warns(UserWarning, match=r"cell='plain' .* many times slower than others here: no fast") as caught:
        _kernels.warn_where_slow("plain", "tanh", CPU)
    _kernels.warn_where_slow("plain", "tanh", CPU)
    assert len(caught) == 1
    with _kernels.use("reference"):  # what was asked for is no surprise
        _kernels.warn_where_slow("lstm", "tanh", CPU)


def test_a_cell_that_torch_lacks_runs_on_the_reference_on_a_gpu_and_says_so(plain_cell, monkeypatch):
    monkeypatch.setitem(CELLS, "plain", replace(plain_cell, code=0))  # the compiled kernels have it: they are for CPUs
    name, reason = _kernels.choose("plain", "tanh", "cuda")
    assert name == "reference" and reason.endswith("for torch.float32 on cuda")
    assert _kernels.choose("gru", "tanh", "cuda")[0] == "torch_native"
    with pytest.warns(UserWarning, match="no fast kernel has plain .* on cuda. With .*'rnn', 'lstm', 'gru'"):
        _kernels.warn_where_slow("plain", "tanh", torch.device("cuda"))
    _kernels.warn_where_slow("gru", "tanh", torch.device("cuda"))


@pytest.mark.parametrize("activation", _kernels.ACTIVATIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_an_activation_is_slow_only_where_neither_we_nor_torch_have_it(cell, activation, monkeypatch):
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    monkeypatch.setattr(library, "available", lambda: (True, "test"))
    monkeypatch.setattr(dispatch, "supports", lambda cell, activation: True)
    monkeypatch.setattr(dispatch, "_warned", set())
    _kernels.warn_where_slow(cell, activation, CPU)  # a warning would be an error here
    if activation in CELLS[cell].torch_operations:
        return _kernels.warn_where_slow(cell, activation, torch.device("cuda"))
    with pytest.warns(UserWarning, match=f"cell='{cell}' with activation='{activation}' is many times slower"):
        _kernels.warn_where_slow(cell, activation, torch.device("cuda"))


@pytest.mark.skipif(not library.available()[0], reason="no compiled kernels")
def test_our_kernels_come_before_torchs(plain_cell, monkeypatch):
    """A cell that torch lacks runs on them if the library has its code, and not if that was built without it."""
    monkeypatch.setitem(CELLS, "plain", replace(plain_cell, code=0))
    assert _kernels.choose("plain", "tanh")[0] == "cpu"
    assert _kernels.choose("plain", "tanh", dtype=torch.float64)[0] == "reference"
    monkeypatch.setitem(CELLS, "plain", replace(plain_cell, code=99))
    assert _kernels.choose("plain", "tanh")[0] == "reference"
    monkeypatch.setitem(CELLS, "plain", replace(plain_cell, code=99, torch_operations={"tanh": "gru"}))
    name, reason = _kernels.choose("plain", "tanh")
    assert (name, reason) == (
        "torch_native",
        "torch's own operations: the compiled kernels have no plain with activation 'tanh'",
    )


def test_a_forced_kernel_that_lacks_the_cell_says_so():
    layout = StepLayout([2])
    with (
        _kernels.use("torch_native"),
        pytest.raises(ValueError, match=r"'torch_native'.*has no gru with activation 'relu'"),
    ):
        _kernels.recurrence("gru", torch.zeros(2, 2), layout, make_weights("gru"), activation="relu")


@pytest.mark.skipif(not library.available()[0], reason="no compiled kernels")
@pytest.mark.parametrize(("dtype", "device"), [(torch.float64, "cpu"), (torch.float16, "cpu"), (torch.float32, "meta")])
@pytest.mark.parametrize("operation", ["recurrence", "bidirectional"])
def test_our_kernels_that_are_forced_refuse_what_they_cannot_read(dtype, device, operation):
    """They would read the numbers as float32, and the address of another device as one of this."""
    weights = Weights(*(None if each is None else each.to(device, dtype) for each in make_weights("lstm")))
    inputs, layout = torch.zeros(2, 2, dtype=dtype, device=device), StepLayout([2])
    calls = {
        "recurrence": lambda: _kernels.recurrence("lstm", inputs, layout, weights),
        "bidirectional": lambda: _kernels.bidirectional("lstm", inputs, layout, (weights, weights)),
    }
    with (
        _kernels.use("cpu"),
        pytest.raises(ValueError, match=rf"float32 on the CPU alone; .* {dtype} on {device}\. Unset"),
    ):
        calls[operation]()
