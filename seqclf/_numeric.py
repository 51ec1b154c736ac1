"""Logistic functions in numpy alone: what predictions are made of, without scipy.

Results are float64. The results of a row do not depend on the other rows of an array: values are made contiguous first,
because numpy may compute strided values by other instructions, and a row is summed in one order.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def expit(x: ArrayLike) -> Floats:
    """``1 / (1 + exp(-x))``; 0 where exp overflows."""
    with np.errstate(under="ignore", over="ignore"):
        result: Floats = 1.0 / (1.0 + np.exp(-_contiguous(x)))
    return result


def log_expit(x: ArrayLike) -> Floats:
    """``log(expit(x))``, exact where expit rounds to 0 or 1."""
    x = _contiguous(x)
    with np.errstate(under="ignore"):
        result: Floats = np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))
    return result


def softmax(x: ArrayLike, axis: int) -> Floats:
    """``exp(x)`` divided by its sum along the axis."""
    with np.errstate(under="ignore", over="ignore"):
        powers = np.exp(_less_largest(x, axis))
        result: Floats = np.moveaxis(powers / powers.sum(axis=-1, keepdims=True), -1, axis)
    return result


def log_softmax(x: ArrayLike, axis: int) -> Floats:
    """``log(softmax(x))``, exact where softmax rounds to 0 or 1."""
    with np.errstate(under="ignore", over="ignore"):
        differences = _less_largest(x, axis)
        sums = np.exp(differences).sum(axis=-1, keepdims=True)
        result: Floats = np.moveaxis(differences - np.log(sums), -1, axis)
    return result


def _less_largest(x: ArrayLike, axis: int) -> Floats:
    """The values less the largest along the axis, which becomes the last one."""
    values = _contiguous(np.moveaxis(np.asarray(x), axis, -1))
    return values - values.max(axis=-1, keepdims=True)


def _contiguous(x: Any) -> Floats:
    # not numpy.ascontiguousarray, which gives a single number a dimension
    return np.asarray(x, dtype=np.float64, order="C")
