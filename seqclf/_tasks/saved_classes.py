"""The classes of a task in a saved state: what `fit` may have learned, and nothing else."""

import sys
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._saved import Saved

_KINDS = "biuU"  # besides floats that are not wider than Python's, and objects that are texts
_EXPECTED = "an array of two or more classes, in order: booleans, finite numbers or texts"


def saved_classes(classes: NDArray[Any]) -> NDArray[Any]:
    """The classes as a state has them; texts in an array of objects become texts of no other class."""
    if classes.dtype == object:
        plain = np.empty(len(classes), dtype=object)
        plain[:] = [str.__str__(label) if isinstance(label, str) else label for label in classes]
        classes = plain
    return read_saved_classes(Saved({"classes": classes}), "classes")  # what can't be read again is not saved


def read_saved_classes(saved: Saved, name: str) -> NDArray[Any]:
    """The classes of a saved state, sorted and all different; an array of objects must hold texts."""
    value = saved.value(name)
    if type(value) not in (np.ndarray, np.memmap) or value.ndim != 1 or len(value) < 2:
        saved.refuse(name, _EXPECTED)
    if not _is_allowed(value):
        saved.refuse(name, _EXPECTED)
    if any(label >= following for label, following in pairwise(value.tolist())):
        saved.refuse(name, _EXPECTED)
    return np.array(value)  # no memory map


def _is_allowed(values: NDArray[Any]) -> bool:
    if values.dtype == object:
        return all(type(label) is str for label in values)
    if values.dtype.kind == "f":
        return values.dtype.itemsize <= 8 and bool(np.isfinite(values).all())
    if values.dtype.kind == "U" and values.dtype.itemsize:
        codes = np.ascontiguousarray(values).view(f"{values.dtype.byteorder}u4")
        return int(codes.max()) <= sys.maxunicode
    return values.dtype.kind in _KINDS
