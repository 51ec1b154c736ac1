"""Whether a prediction needs torch to find its device."""

import subprocess
import sys

import pytest
import torch

from seqclf import _devices


@pytest.mark.parametrize(("device", "is_cpu"), [("cpu", True), ("cuda", False), ("cuda:1", False), ("mps", False)])
def test_names_stand_for_themselves(device, is_cpu):
    assert _devices.computes_on_cpu(device) is is_cpu


@pytest.mark.parametrize("there", [True, False])
def test_auto_asks_torch_where_it_is_loaded(monkeypatch, there):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert _devices.computes_on_cpu("auto") is not there


@pytest.mark.parametrize("there", [True, False])
def test_auto_asks_for_the_driver_where_torch_is_not_loaded(monkeypatch, there):
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(_devices, "has_gpu_driver", lambda: there)
    assert _devices.computes_on_cpu("auto") is not there


def test_to_ask_imports_no_torch():
    code = "import sys; from seqclf._devices import computes_on_cpu as ask; ask('auto'); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
