"""`Cell`: what follows from the names of its gates."""

import dataclasses

import pytest

from seqclf._cells.cell import Cell


def test_n_gates_is_the_number_of_gate_names():
    assert Cell("plain", ("h",), lambda *_: ()).n_gates == 1
    assert Cell("gated", ("r", "z", "n"), lambda *_: ()).n_gates == 3


def test_cell_is_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Cell("plain", ("h",), lambda *_: ()).code = 1
