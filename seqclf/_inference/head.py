"""The last layer of a trained network, in float64."""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._native import abi
from seqclf._native.call import loaded

Array = NDArray[Any]


def linear(values: Array, weight: Array, bias: Array) -> NDArray[np.float64]:
    """``values weight' + bias`` in float64; for float32 arrays a row has the same bits in any batch.

    The shapes are (n, features), (n_outputs, features), (n_outputs,), and (n, n_outputs) for the result.
    """
    if values.dtype != np.float32:
        return values @ weight.T + bias
    arrays: list[Array] = [np.ascontiguousarray(each, dtype=np.float32) for each in (values, weight, bias)]
    if values.shape[1] != weight.shape[1] or len(weight) != len(bias):
        raise ValueError(f"The shapes {values.shape}, {weight.shape} and {bias.shape} do not match.")
    outputs: Array = np.empty((len(values), len(weight)))
    call = abi.Linear(*values.shape, len(weight), *map(abi.address, (*arrays, outputs)))
    loaded().seqclf_linear(ctypes.byref(call))
    return outputs
