"""The cells of the compiled library and those of Python: both say the same of each."""

import re
from pathlib import Path

import pytest

from seqclf._kernels import CELLS
from seqclf._native import abi, library
from seqclf._native.cell_layout import cell_layout

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")

SOURCES = Path(abi.__file__).parent / "csrc"
CODES = {cell.name: cell.code for cell in CELLS.values()}


def in_the_list():
    """The codes and names of csrc/cells/list.h."""
    found = re.findall(r"\bCELL\((\d+), (\w+)\)", (SOURCES / "cells" / "list.h").read_text())
    return {int(code): name for code, name in found}


@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("cell", CODES)
def test_both_sides_mean_the_same_cell(cell):
    layout, cell = cell_layout.__wrapped__(CODES[cell]), CELLS[cell]
    assert layout.n_gates == cell.n_gates
    assert layout.has_memory == cell.has_memory
    assert layout.has_recurrent_bias == cell.has_recurrent_bias
    assert layout.n_slots >= layout.n_gates


@pytest.mark.parametrize("cell", CODES)
def test_each_code_has_one_name_here_and_there(cell):
    assert in_the_list()[CODES[cell]].lower() == cell


def test_the_library_lists_no_other_cell():
    assert in_the_list().keys() == set(CODES.values())


@pytest.mark.parametrize("code", [-1, 99])
def test_a_code_that_is_not_in_the_library(code):
    assert cell_layout.__wrapped__(code) is None


def test_no_file_outside_the_folder_of_cells_names_one():
    names = "|".join(in_the_list().values())
    others = [path for path in SOURCES.rglob("*.*") if path.parent.name != "cells"]
    assert len(others) > 10
    assert not [path.name for path in others if re.search(rf"\b({names})\b", path.read_text())]
