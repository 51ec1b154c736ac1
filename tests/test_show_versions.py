"""show_versions prints everything that a bug report needs."""

import platform

import numpy
import sklearn
import torch

import seqclf


def test_show_versions_prints_versions_threads_and_devices(capsys):
    seqclf.show_versions()
    printed = capsys.readouterr().out
    for text in (
        platform.python_version(),
        f"seqclf: {seqclf.__version__}",
        f"numpy: {numpy.__version__}",
        f"scikit-learn: {sklearn.__version__}",
        "tokenizers: ",
        "matplotlib: ",
        f"threads: {torch.get_num_threads()}",
        "CUDA: ",
    ):
        assert text in printed


def test_show_versions_prints_missing_dependencies(capsys, monkeypatch):
    monkeypatch.setattr("seqclf._show_versions._DEPENDENCIES", ("no-such-distribution",))
    seqclf.show_versions()
    assert "no-such-distribution: not installed" in capsys.readouterr().out


def test_show_versions_prints_the_kernels_in_use(capsys):
    from seqclf import _kernels

    rows = _kernels.describe()
    seqclf.show_versions()
    printed = capsys.readouterr().out
    assert rows
    for name, text in rows:
        assert f"{name}: {text}" in printed
