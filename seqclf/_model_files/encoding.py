"""Encodes plain values and arrays as JSON, from which `decoding` restores exactly the same values."""

import re
from itertools import pairwise
from math import isfinite
from struct import pack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._model_files.kinds import (
    ARRAY,
    BYTES,
    DICT,
    FLOAT,
    INT,
    PLAIN,
    SCALAR,
    SPLIT_PAIR,
    STORED,
    TAG,
    TEXT,
    TUPLE,
    VALUES,
    VIEW,
    to_stored,
    view_name,
)
from seqclf._model_files.limits import MAX_DEPTH, is_padding_bounded

Arrays = dict[str, NDArray[Any]]


def to_json(value: Any, arrays: Arrays, path: str) -> Any:
    """JSON for a value. Its numeric arrays are added to `arrays`, under names that begin with `path`.

    Raises
    ------
    TypeError
        For a value other than None, bool, int, float, str, bytes, list, tuple, dict, numpy arrays and numpy scalars.
    ValueError
        If values are nested too deeply or contain themselves.
    """
    return _Encoder(arrays).encode(value, path, 0)


class _Encoder:
    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays

    def encode(self, value: Any, path: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError(f"{path[:200]}: values are nested too deeply, or contain themselves.")
        encode = _ENCODERS.get(type(value))
        if encode is not None:
            return encode(self, value, path, depth)
        if isinstance(value, np.ndarray) and type(value) in (np.ndarray, np.memmap):
            return self._array(np.asarray(value), path, depth)
        if isinstance(value, np.generic):
            return self._scalar(value, path)
        raise _not_supported(value, path)

    def _same(self, value: Any, path: str, depth: int) -> Any:
        return value

    def _integer(self, value: int, path: str, depth: int) -> Any:
        return value if value.bit_length() <= 64 else {INT: hex(value)}

    def _float(self, value: float, path: str, depth: int) -> Any:
        return value if isfinite(value) else {FLOAT: pack(">d", value).hex()}

    def _text(self, value: str, path: str, depth: int) -> Any:
        if value.isascii() or not SPLIT_PAIR.search(value):
            return value
        bounds = [0, *(match.start() + 1 for match in SPLIT_PAIR.finditer(value)), len(value)]
        return {TEXT: [value[start:stop] for start, stop in pairwise(bounds)]}

    def _bytes(self, value: bytes, path: str, depth: int) -> Any:
        return {BYTES: value.hex()}

    def _list(self, value: list[Any] | tuple[Any, ...], path: str, depth: int) -> list[Any]:
        return [
            item if type(item) is str and item.isascii() else self.encode(item, f"{path}.{index}", depth + 1)
            for index, item in enumerate(value)
        ]

    def _tuple(self, value: tuple[Any, ...], path: str, depth: int) -> Any:
        return {TUPLE: self._list(value, path, depth + 1)}

    def _dict(self, value: dict[Any, Any], path: str, depth: int) -> Any:
        if all(type(key) is str and not key.startswith(TAG) and self._text(key, path, 0) is key for key in value):
            return {key: self.encode(item, f"{path}.{key}", depth + 1) for key, item in value.items()}
        return {
            DICT: [
                [self.encode(key, f"{path}.key", depth + 3), self.encode(item, f"{path}.{_short(key)}", depth + 3)]
                for key, item in value.items()
            ]
        }

    def _scalar(self, value: np.generic, path: str) -> Any:
        if isinstance(value, np.str_):
            return {SCALAR: ["str", self._text(str(value), path, 0)]}
        if isinstance(value, np.bytes_):
            return {SCALAR: ["bytes", bytes(value).hex()]}
        dtype = value.dtype
        name = dtype.name if dtype.name in STORED else view_name(dtype)
        if name is None:
            raise _not_supported(value, path)
        if dtype.kind in "biu" or (dtype.kind == "f" and np.isfinite(value)):
            return {SCALAR: [name, value.item()]}
        return {SCALAR: [name, np.asarray(value).astype(dtype.newbyteorder("<")).tobytes().hex()]}

    def _array(self, value: NDArray[Any], path: str, depth: int) -> Any:
        if value.dtype.kind in "OUT":
            return self._values(value, path, depth)
        native = value.dtype.newbyteorder("=")
        name = view_name(native)
        if native.name not in STORED and name is None:
            raise TypeError(f"{path}: an array of {value.dtype} can't be saved.")
        array = np.array(value, dtype=native, order="C", copy=None)
        if name is None:
            return {ARRAY: self._store(array, path)}
        return {VIEW: [self._store(to_stored(array, name), path), name]}

    def _store(self, array: NDArray[Any], path: str) -> str:
        """Store an array and return its name: its path, with characters that every safetensors reader supports."""
        plain = name = re.sub(r"[^A-Za-z0-9_.-]", "_", path)[:200]
        n_equal = 1
        while name in self._arrays or name == "__metadata__":
            n_equal += 1
            name = f"{plain}~{n_equal}"
        self._arrays[name] = array
        return name

    def _values(self, value: NDArray[Any], path: str, depth: int) -> Any:
        if value.dtype.kind == "U":
            width = value.dtype.itemsize // 4
            texts = value.ravel().tolist()
            if not is_padding_bounded(len(texts), width, sum(map(len, texts))):
                raise ValueError(
                    f"{path}: an array of {value.dtype} that is mostly padding can't be saved. "
                    "Convert it to an object array."
                )
            dtype: Any = ["text", width]
        elif value.dtype.kind == "T":
            texts = value.ravel().tolist()
            dtype = ["string", value.dtype.coerce]  # type: ignore[attr-defined]
            if hasattr(value.dtype, "na_object"):
                dtype.append(self.encode(value.dtype.na_object, f"{path}.na_object", depth + 3))
        else:
            texts, dtype = value.ravel().tolist(), ["object"]
        return {VALUES: [dtype, list(value.shape), self._list(texts, path, depth + 2)]}


_ENCODERS: dict[type, Any] = {
    type(None): _Encoder._same,
    bool: _Encoder._same,
    int: _Encoder._integer,
    float: _Encoder._float,
    str: _Encoder._text,
    bytes: _Encoder._bytes,
    list: _Encoder._list,
    tuple: _Encoder._tuple,
    dict: _Encoder._dict,
}


def _short(key: Any) -> str:
    text = str(key) if type(key) in PLAIN else type(key).__name__
    return text[:60]


def _not_supported(value: Any, path: str) -> TypeError:
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    hint = ""
    if isinstance(value, np.random.RandomState | np.random.Generator):
        hint = " Pass an int, e.g. estimator.set_params(random_state=0), which does not change a fitted model."
    return TypeError(f"{path[:200]}: a value of type {kind} can't be saved.{hint}")
