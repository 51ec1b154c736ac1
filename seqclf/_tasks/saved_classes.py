"""The classes of a task in a saved state: accepts all classes that `fit` can produce, and nothing else."""

import sys
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._saved import Saved

_KINDS = "biuU"  # kinds of dtypes; floats of up to 64 bits, and objects that are strings, are allowed too
_EXPECTED = "an array of two or more classes, in order: booleans, finite numbers or texts"


def classes_to_state(classes: NDArray[Any]) -> NDArray[Any]:
    """The classes for a state; in an array of objects, instances of subclasses of str become plain str."""
    if classes.dtype == object:
        plain = np.empty(len(classes), dtype=object)
        plain[:] = [str.__str__(label) if isinstance(label, str) else label for label in classes]
        classes = plain
    return classes_from_state(Saved({"classes": classes}), "classes")  # an error if they could not be loaded


def classes_from_state(saved: Saved, name: str) -> NDArray[Any]:
    """The classes of a saved state, which must be sorted and unique; an array of objects must hold str only."""
    value = saved.value(name)
    if type(value) not in (np.ndarray, np.memmap) or value.ndim != 1 or len(value) < 2:
        saved.raise_invalid(name, _EXPECTED)
    if not _is_allowed(value):
        saved.raise_invalid(name, _EXPECTED)
    if any(label >= following for label, following in pairwise(value.tolist())):
        saved.raise_invalid(name, _EXPECTED)
    return np.array(value)  # in memory, not a memory map


def _is_allowed(values: NDArray[Any]) -> bool:
    if values.dtype == object:
        return all(type(label) is str for label in values)
    if values.dtype.kind == "f":
        return values.dtype.itemsize <= 8 and bool(np.isfinite(values).all())
    if values.dtype.kind == "U" and values.dtype.itemsize:
        codes = np.ascontiguousarray(values).view(f"{values.dtype.byteorder}u4")
        return int(codes.max()) <= sys.maxunicode
    return values.dtype.kind in _KINDS
