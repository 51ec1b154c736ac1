"""What the steps of sequences are: tokens, token ids, or numbers of a series."""

from typing import Any

import numpy as np

from seqclf._validation.frames import is_frame


def holds_series(X: Any) -> bool:
    """Whether X holds series: several numbers a step, or numbers that are not of a whole type; those are ids.

    The first rows that have steps decide; what is neither is left to whoever reads texts, tokens and ids.
    """
    if is_frame(X):
        return True
    if isinstance(X, np.ndarray) and X.dtype != object:
        return X.ndim > 2 or X.dtype.kind == "f"
    if isinstance(X, str | bytes) or not hasattr(X, "__len__"):
        return False
    for row in X:
        if is_frame(row):
            return True
        if isinstance(row, str | bytes) or not hasattr(row, "__len__") or not len(row):
            continue
        if isinstance(row, np.ndarray) and row.dtype != object:
            return row.ndim > 1 or row.dtype.kind == "f"
        first = next(iter(row))
        return isinstance(first, float | np.floating | list | tuple | np.ndarray)
    return False
