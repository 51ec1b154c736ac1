"""Decodes JSON and arrays to the values that `encoding` encoded. No value of a file is trusted."""

import re
from collections import Counter
from collections.abc import Callable
from math import prod
from struct import unpack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._model_file_error import ModelFileError
from seqclf._model_files.kinds import (
    ARRAY,
    BYTES,
    DICT,
    FLOAT,
    INT,
    PLAIN,
    SCALAR,
    TAG,
    TEXT,
    TUPLE,
    VALUES,
    VIEW,
    from_stored,
    scalar_dtype,
)
from seqclf._model_files.limits import MAX_EQUAL_HASHES, MAX_JSON_DEPTH, is_padding_bounded

_HEX_INTEGER = re.compile(r"-?0x[0-9a-f]+")
_HEX_BYTES = re.compile(r"(?:[0-9a-f]{2})*")


def from_json(value: Any, arrays: dict[str, NDArray[Any]], where: str = "the model") -> Any:
    """Decode a value that `to_json` encoded. Arrays are removed from `arrays`, so each can be used only once.

    Raises
    ------
    ModelFileError
        If `to_json` never returns such a value. The message starts with `where`.
    """
    return _Decoder(arrays, where).decode(value, 0)


class _Decoder:
    def __init__(self, arrays: dict[str, NDArray[Any]], where: str) -> None:
        self._arrays = arrays
        self._where = where

    def decode(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in PLAIN:
            return value
        if depth > MAX_JSON_DEPTH:
            raise self._fault("values are nested too deeply")
        if kind is list:
            return self._list(value, depth)
        if kind is not dict:
            raise self._fault(f"a value of type {kind.__name__}")
        for key in value:
            if key.startswith(TAG):
                return self._tagged(value, depth)
        return {key: item if type(item) in PLAIN else self.decode(item, depth + 1) for key, item in value.items()}

    def _tagged(self, value: dict[str, Any], depth: int) -> Any:
        if len(value) != 1:
            raise self._fault("an object that mixes a tag with other keys")
        [(tag, content)] = value.items()
        decode = _DECODERS.get(tag)
        if decode is None:
            raise self._fault(f"an unknown tag {tag[:40]!r}")
        try:
            return decode(self, content, depth)
        except ModelFileError:
            raise
        except (ValueError, TypeError, OverflowError, MemoryError) as error:
            raise self._fault(f"an invalid value with the tag {tag}: {str(error)[:200]}") from None

    def _list(self, value: Any, depth: int) -> list[Any]:
        self._require(type(value) is list, "expected a list")
        return [item if type(item) in PLAIN else self.decode(item, depth + 1) for item in value]

    def _tuple(self, value: Any, depth: int) -> tuple[Any, ...]:
        return tuple(self._list(value, depth + 1))

    def _dict(self, value: Any, depth: int) -> dict[Any, Any]:
        self._require(type(value) is list, "expected pairs")
        self._require(all(type(pair) is list and len(pair) == 2 for pair in value), "expected pairs")
        keys = [self.decode(pair[0], depth + 3) for pair in value]
        # Building a dict takes quadratic time if all hashes are equal, and an attacker can choose such keys.
        n_equal = max(Counter(map(hash, keys)).values(), default=0)
        self._require(n_equal <= MAX_EQUAL_HASHES, "too many keys with equal hashes")
        decoded = {key: self.decode(pair[1], depth + 3) for key, pair in zip(keys, value, strict=True)}
        self._require(len(decoded) == len(value), "a key occurs twice")
        return decoded

    def _float(self, value: Any, depth: int) -> float:
        data = self._hex(value)
        self._require(len(data) == 8, "expected 8 bytes")
        number: float = unpack(">d", data)[0]
        return number

    def _integer(self, value: Any, depth: int) -> int:
        self._require(type(value) is str and _HEX_INTEGER.fullmatch(value) is not None, "expected a hexadecimal number")
        return int(value, 16)

    def _text(self, value: Any, depth: int) -> str:
        self._require(type(value) is list and all(type(piece) is str for piece in value), "expected strings")
        return "".join(value)

    def _bytes(self, value: Any, depth: int) -> bytes:
        return self._hex(value)

    def _hex(self, value: Any) -> bytes:
        self._require(type(value) is str and _HEX_BYTES.fullmatch(value) is not None, "expected hexadecimal digits")
        return bytes.fromhex(value)

    def _scalar(self, value: Any, depth: int) -> Any:
        self._require(type(value) is list and len(value) == 2, "expected a dtype and a value")
        name, content = value
        if name == "str":
            content = self.decode(content, depth + 2)
            self._require(type(content) is str, "expected a string")
            return np.str_(content)
        if name == "bytes":
            return np.bytes_(self._hex(content))
        dtype = scalar_dtype(name)
        if type(content) is str:
            data = self._hex(content)
            self._require(len(data) == dtype.itemsize and dtype.kind != "b", "the wrong number of bytes")
            return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype)[0]
        expected = {"b": bool, "i": int, "u": int, "f": float}.get(dtype.kind)
        self._require(type(content) is expected, f"expected a value of {dtype}")
        with np.errstate(over="ignore"):
            scalar = dtype.type(content)
        self._require(scalar.item() == content, f"{content!r} can't be represented as {dtype}")
        return scalar

    def _array(self, value: Any, depth: int) -> NDArray[Any]:
        self._require(type(value) is str, "expected the name of an array")
        array = self._arrays.pop(value, None)
        if array is None:
            raise self._fault(f"the array {value[:80]!r} does not exist or is used twice")
        return array

    def _view(self, value: Any, depth: int) -> NDArray[Any]:
        self._require(type(value) is list and len(value) == 2 and type(value[1]) is str, "expected a name and a dtype")
        return from_stored(self._array(value[0], depth), value[1])

    def _values(self, value: Any, depth: int) -> NDArray[Any]:
        self._require(type(value) is list and len(value) == 3, "expected a dtype, a shape and values")
        dtype, shape, items = value[0], value[1], self._list(value[2], depth + 2)
        self._require(
            type(shape) is list and len(shape) <= 32 and all(type(n) is int and 0 <= n < 2**62 for n in shape),
            "an invalid shape",
        )
        self._require(prod(shape) == len(items), "the shape doesn't match the number of values")
        self._require(type(dtype) is list and len(dtype) > 0, "an invalid dtype")
        array = np.empty(len(items), self._values_dtype(dtype, items, depth))
        for index, item in enumerate(items):  # a loop, because numpy would convert values that are lists to arrays
            array[index] = item
        return array.reshape(shape)

    def _values_dtype(self, dtype: list[Any], items: list[Any], depth: int) -> Any:
        if dtype == ["object"]:
            return np.dtype(object)
        if dtype[0] == "text" and len(dtype) == 2 and type(dtype[1]) is int and dtype[1] >= 0:
            self._require(all(type(item) is str for item in items), "expected strings")
            lengths = list(map(len, items))
            self._require(max(lengths, default=0) <= dtype[1], "a string is longer than its dtype allows")
            self._require(is_padding_bounded(len(items), dtype[1], sum(lengths)), "the strings are mostly padding")
            return np.dtype(f"U{dtype[1]}")
        self._require(dtype[0] == "string" and len(dtype) in (2, 3) and type(dtype[1]) is bool, "an invalid dtype")
        if len(dtype) == 2:
            self._require(all(type(item) is str for item in items), "expected strings")
            return np.dtypes.StringDType(coerce=dtype[1])
        missing = self.decode(dtype[2], depth + 3)
        self._require(missing is None or type(missing) in (str, float), "an invalid missing-value marker")
        is_nan = type(missing) is float and missing != missing
        for item in items:
            is_missing = item is missing or (is_nan and type(item) is float and item != item)
            self._require(is_missing or type(item) is str, "expected strings")
        return np.dtypes.StringDType(coerce=dtype[1], na_object=missing)

    def _require(self, holds: bool, fault: str) -> None:
        if not holds:
            raise self._fault(fault)

    def _fault(self, fault: str) -> ModelFileError:
        return ModelFileError(f"{self._where}: {fault}.")


_DECODERS: dict[str, Callable[[_Decoder, Any, int], Any]] = {
    ARRAY: _Decoder._array,
    VIEW: _Decoder._view,
    VALUES: _Decoder._values,
    SCALAR: _Decoder._scalar,
    TUPLE: _Decoder._tuple,
    DICT: _Decoder._dict,
    FLOAT: _Decoder._float,
    INT: _Decoder._integer,
    TEXT: _Decoder._text,
    BYTES: _Decoder._bytes,
}
