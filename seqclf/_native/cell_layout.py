"""What the compiled kernels say of their cells and activations."""

import ctypes
from functools import cache
from typing import NamedTuple

import numpy as np

from seqclf._native import abi
from seqclf._native.call import loaded


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
    description = np.empty(5, dtype=np.int64)
    if not loaded().seqclf_describe_cell(ctypes.byref(abi.DescribeCell(code, abi.address(description)))):
        return None
    n_gates, n_slots, *flags = description.tolist()
    return CellLayout(n_gates, n_slots, *map(bool, flags))


@cache
def has_activation(code: int) -> bool:
    """Whether the library has an activation with this code."""
    return bool(loaded().seqclf_activate(ctypes.byref(abi.Activate(code, 0, None, None, None))))


def padded_units(units: int) -> int:
    """The units as they lie in the kernels' memory: rounded up to a multiple of 8."""
    return -(-units // 8) * 8
