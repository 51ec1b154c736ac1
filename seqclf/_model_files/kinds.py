"""How dtypes are stored, and the tags of values that JSON can't represent.

A tagged value is an object with a single key that begins with "~". A user's dict with such a key is stored as pairs, so
that it can't be mistaken for a tag.
"""

import re

import numpy as np
from numpy.typing import NDArray

TAG = "~"
ARRAY, VIEW, VALUES, SCALAR = "~array", "~view", "~values", "~scalar"
TUPLE, DICT, FLOAT, INT, TEXT, BYTES = "~tuple", "~dict", "~float", "~int", "~text", "~bytes"

# Dtypes that safetensors stores without conversion.
STORED = {
    name: np.dtype(name)
    for name in "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split()
}
PLAIN = frozenset({type(None), bool, int, float, str})  # represented by JSON directly

_TIME = re.compile(r"[mM]8\[([1-9]\d{0,8})?(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\]")
_BYTES = re.compile(r"S[1-9]\d{0,8}")
_COMPLEX = {"complex64": "float32", "complex128": "float64"}

# A high and a low surrogate as two characters; JSON would join them into one character.
SPLIT_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def view_name(dtype: np.dtype) -> str | None:
    """The name of a dtype that is stored as another dtype (times, complex numbers, bytes), or None."""
    name = dtype.name if dtype.kind == "c" else dtype.str[1:]
    return name if name in _COMPLEX or _TIME.fullmatch(name) or _BYTES.fullmatch(name) else None


def to_stored(array: NDArray, name: str) -> NDArray:
    """The stored form of a contiguous array in native byte order; complex numbers and bytes get an additional axis."""
    if name in _COMPLEX:
        return array.reshape(*array.shape, 1).view(_COMPLEX[name])
    if _BYTES.fullmatch(name):
        return array.reshape(*array.shape, 1).view(np.uint8)
    return array.view(np.int64)


def from_stored(stored: NDArray, name: str) -> NDArray:
    """The inverse of `to_stored`; ValueError or TypeError if the stored dtype does not match `name`."""
    if name in _COMPLEX:
        dtype, inner, n_last = np.dtype(name), np.dtype(_COMPLEX[name]), 2
    elif _BYTES.fullmatch(name):
        dtype, inner, n_last = np.dtype(name), np.dtype(np.uint8), int(name[1:])
    elif _TIME.fullmatch(name):
        dtype, inner, n_last = np.dtype(name), np.dtype(np.int64), 0
    else:
        raise ValueError(f"unknown dtype {name[:40]!r}")
    if stored.dtype != inner or (n_last and stored.shape[-1:] != (n_last,)):
        raise ValueError(f"{name} can't be an array of {stored.dtype} of shape {stored.shape}")
    if not n_last:
        return stored.view(dtype)
    return stored.view(dtype).reshape(stored.shape[:-1])


def scalar_dtype(name: object) -> np.dtype:
    """The dtype of a numpy scalar by its stored name; ValueError if such scalars are not stored."""
    if isinstance(name, str):
        if name in STORED:
            return STORED[name]
        if name in _COMPLEX or _TIME.fullmatch(name):
            return np.dtype(name)
    raise ValueError(f"unknown dtype {str(name)[:40]!r}")
