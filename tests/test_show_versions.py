"""`show_versions` prints all that a bug report needs."""

import platform

import numpy
import sklearn
import torch

import seqclf


def test_names_every_version(capsys):
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


def test_names_a_missing_dependency_as_such(capsys, monkeypatch):
    monkeypatch.setattr("seqclf._show_versions._DEPENDENCIES", ("a-distribution-nobody-has",))
    seqclf.show_versions()
    assert "a-distribution-nobody-has: not installed" in capsys.readouterr().out


def test_says_which_kernels_are_in_use(capsys):
    from seqclf import _kernels

    rows = _kernels.describe()
    seqclf.show_versions()
    printed = capsys.readouterr().out
    assert rows
    for name, text in rows:
        assert f"{name}: {text}" in printed
