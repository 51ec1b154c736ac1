"""Logistic functions for predictions, with numpy only (no scipy).

Results are float64. The result of a row does not depend on the other rows of the array: values are made contiguous
first, because numpy can use other instructions for strided values, and each row is summed in the same order.
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
    """``log(expit(x))``, accurate where expit rounds to 0 or 1."""
    x = _contiguous(x)
    with np.errstate(under="ignore"):
        result: Floats = np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))
    return result


def softmax(x: ArrayLike, axis: int) -> Floats:
    """``exp(x)`` divided by its sum along the axis."""
    with np.errstate(under="ignore", over="ignore"):
        powers = np.exp(_subtract_max(x, axis))
        result: Floats = np.moveaxis(powers / powers.sum(axis=-1, keepdims=True), -1, axis)
    return result


def log_softmax(x: ArrayLike, axis: int) -> Floats:
    """``log(softmax(x))``, accurate where softmax rounds to 0 or 1."""
    with np.errstate(under="ignore", over="ignore"):
        differences = _subtract_max(x, axis)
        sums = np.exp(differences).sum(axis=-1, keepdims=True)
        result: Floats = np.moveaxis(differences - np.log(sums), -1, axis)
    return result


def _subtract_max(x: ArrayLike, axis: int) -> Floats:
    """The values minus their maximum along the axis, which is moved to the end."""
    values = _contiguous(np.moveaxis(np.asarray(x), axis, -1))
    return values - values.max(axis=-1, keepdims=True)


def _contiguous(x: Any) -> Floats:
    # numpy.ascontiguousarray would turn a scalar into an array of one dimension.
    return np.asarray(x, dtype=np.float64, order="C")
