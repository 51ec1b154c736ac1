"""`computes_on_cpu`: the device of predictions, without an import of torch."""

import sys

import pytest
import torch

from _factories import run_python
from seqclf import _devices


@pytest.mark.parametrize(("device", "is_cpu"), [("cpu", True), ("cuda", False), ("cuda:1", False), ("mps", False)])
def test_computes_on_cpu_explicit_names(device, is_cpu):
    assert _devices.computes_on_cpu(device) is is_cpu


@pytest.mark.parametrize("has_gpu", [True, False])
def test_computes_on_cpu_auto_uses_torch_if_imported(monkeypatch, has_gpu):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert _devices.computes_on_cpu("auto") is not has_gpu


@pytest.mark.parametrize("has_gpu", [True, False])
def test_computes_on_cpu_auto_uses_the_driver_if_torch_is_not_imported(monkeypatch, has_gpu):
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(_devices, "has_gpu_driver", lambda: has_gpu)
    assert _devices.computes_on_cpu("auto") is not has_gpu


def test_computes_on_cpu_does_not_import_torch():
    code = """
    import sys
    from seqclf._devices import computes_on_cpu

    computes_on_cpu("auto")
    print("torch" in sys.modules)
    """
    assert run_python(code) == "False\n"
