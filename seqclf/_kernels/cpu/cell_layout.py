"""What the compiled kernels say of their cells."""

import ctypes
from functools import cache
from typing import NamedTuple

import torch

from seqclf._kernels.cpu.call import address, loaded
from seqclf._native import abi


class CellLayout(NamedTuple):
    """How the kernels compute a cell."""

    n_gates: int
    n_slots: int  # numbers that they keep of a unit, in training for each step
    saves_slots: bool  # whether backward reads them; if not, the outputs are enough
    has_memory: bool
    has_recurrent_bias: bool


@cache
def cell_layout(code: int) -> CellLayout | None:
    """What the library says of the cell with this code; None if it has no such cell."""
    description = torch.empty(5, dtype=torch.int64)
    if not loaded().seqclf_describe_cell(ctypes.byref(abi.DescribeCell(code, address(description)))):
        return None
    n_gates, n_slots, *flags = description.tolist()
    return CellLayout(n_gates, n_slots, *map(bool, flags))
