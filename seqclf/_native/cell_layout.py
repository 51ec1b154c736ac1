"""The cells and activations of the compiled kernels."""

import ctypes
from functools import cache
from typing import NamedTuple

import numpy as np

from seqclf._native import abi
from seqclf._native.call import loaded


class CellLayout(NamedTuple):
    """How the kernels store a cell."""

    n_gates: int
    n_slots: int  # values per unit; in training they are saved for each step
    saves_slots: bool  # whether backward needs the slots; otherwise it needs only the outputs
    has_memory: bool
    has_recurrent_bias: bool


@cache
def cell_layout(code: int) -> CellLayout | None:
    """The layout of the cell with this code, or None if the library has no such cell."""
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
    """The number of units in the memory of the kernels: rounded up to a multiple of 8."""
    return -(-units // 8) * 8
