"""The cells of the compiled library match those of Python."""

import re
from pathlib import Path

import pytest

from seqclf._kernels import CELLS
from seqclf._native import abi, library
from seqclf._native.cell_layout import cell_layout

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")

SOURCES = Path(abi.__file__).parent / "csrc"
CODES = {cell.name: cell.code for cell in CELLS.values()}


def listed_cells():
    """The codes and names of csrc/cells/list.h."""
    found = re.findall(r"\bCELL\((\d+), (\w+)\)", (SOURCES / "cells" / "list.h").read_text())
    return {int(code): name for code, name in found}


@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("cell", CODES)
def test_cell_layout_matches_the_python_cell(cell):
    layout, cell = cell_layout.__wrapped__(CODES[cell]), CELLS[cell]
    assert layout.n_gates == cell.n_gates
    assert layout.has_memory == cell.has_memory
    assert layout.has_recurrent_bias == cell.has_recurrent_bias
    assert layout.n_slots >= layout.n_gates


@pytest.mark.parametrize("cell", CODES)
def test_cell_codes_match_the_list(cell):
    assert listed_cells()[CODES[cell]].lower() == cell


def test_library_lists_no_other_cell():
    assert listed_cells().keys() == set(CODES.values())


@pytest.mark.parametrize("code", [-1, 99])
def test_cell_layout_of_an_unknown_code_is_none(code):
    assert cell_layout.__wrapped__(code) is None


def test_only_files_in_cells_name_a_cell():
    names = "|".join(listed_cells().values())
    other_files = [path for path in SOURCES.rglob("*.*") if path.parent.name != "cells"]
    assert len(other_files) > 10
    assert not [path.name for path in other_files if re.search(rf"\b({names})\b", path.read_text())]
