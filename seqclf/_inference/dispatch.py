"""Whether the compiled library is used."""

from seqclf._cells import ACTIVATIONS, CELLS
from seqclf._native import library
from seqclf._native.cell_layout import cell_layout, has_activation
from seqclf._native.forced import allows_compiled, forced_kernel


def supports(cell: str, activation: str) -> bool:
    """Whether the library supports this cell with this activation."""
    code = CELLS[cell].code
    return code is not None and cell_layout(code) is not None and has_activation(ACTIVATIONS[activation].code)


def is_compiled(cell: str, activation: str) -> bool:
    """Whether the library runs this cell on the CPU. Its result for a row has the same bits in any batch."""
    if (forced := forced_kernel()) is not None:
        return forced[0] == "cpu"
    return library.available()[0] and supports(cell, activation)


def is_native_enabled() -> bool:
    """Whether the library is available and no other kernel is forced."""
    return allows_compiled() and library.available()[0]
