"""Distinguishes series of numbers from tokens and token ids."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.containers import is_sparse, tensor_array, to_plain_container
from seqclf._validation.frames import columns, is_frame


def holds_series(X: Any) -> bool:
    """Whether X holds series: several numbers per step, or floats. Integers are token ids.

    The first row with steps decides. For invalid input the result is False, so that the validation of texts, tokens and
    ids raises its error.
    """
    if is_frame(X):
        arrays = [values for _, values in columns(X, "X")]
        if len(arrays) == 1 and arrays[0].dtype == object:
            return holds_series(list(arrays[0]))
        return any(values.dtype.kind not in "iu" for values in arrays)
    if isinstance(X, str | bytes) or is_sparse(X) or not hasattr(X, "__len__"):
        return False
    X = to_plain_container(X, "X")
    if (array := _as_array(X)) is not None and array.dtype != object:
        return array.ndim > 2 or array.dtype.kind == "f"
    for row in X:
        if is_frame(row):
            return True
        if isinstance(row, str | bytes) or not hasattr(row, "__len__") or not len(row):
            continue
        if (array := _as_array(row)) is not None and array.dtype != object:
            return array.ndim > 1 or array.dtype.kind == "f"
        return any(isinstance(step, float | np.floating | list | tuple | np.ndarray) for step in row)
    return False


def _as_array(values: Any) -> NDArray[Any] | None:
    """An array, a tensor or a Series as an array; None for anything else."""
    if hasattr(values, "detach"):
        return tensor_array(values)
    return np.asarray(values) if hasattr(values, "__array__") else None
