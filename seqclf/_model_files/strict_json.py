"""JSON with one representation per value when it is written, and without ambiguity when it is read."""

import json
from math import isfinite
from typing import Any, NoReturn

import numpy as np

from seqclf._model_file_error import ModelFileError
from seqclf._model_files.limits import MAX_DIGITS, MAX_JSON_BYTES, MAX_JSON_DEPTH


def dump(value: Any) -> bytes:
    """JSON in ASCII: escapes preserve unpaired surrogates, which UTF-8 can't encode."""
    return _checked(json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")))


def dump_indented(value: Any) -> bytes:
    """Like :func:`dump`, but with line breaks, for a file that people read."""
    return _checked(json.dumps(value, ensure_ascii=True, allow_nan=False, indent=1) + "\n")


def dump_sorted(value: Any) -> bytes:
    """Canonical bytes for checksums: equal for equal values, regardless of the order of keys, spaces and escapes."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"), sort_keys=True).encode("ascii")


def _checked(text: str) -> bytes:
    data = text.encode("ascii")
    if len(data) > MAX_JSON_BYTES:
        raise ValueError(f"A document of the model has {len(data):,} bytes; the limit is {MAX_JSON_BYTES:,}.")
    if _depth(data) > MAX_JSON_DEPTH:
        raise ValueError(f"A document of the model is nested more than {MAX_JSON_DEPTH} levels deep.")
    return data


def load(data: bytes, where: str) -> Any:
    """The value of a JSON document in UTF-8.

    A document is rejected if it is too large or nested too deeply, or contains a duplicate key, NaN, Infinity, a number
    too large for a float, or an integer with too many digits.
    """
    if len(data) > MAX_JSON_BYTES:
        raise ModelFileError(f"{where} has {len(data):,} bytes; the limit is {MAX_JSON_BYTES:,}.")
    _check_depth(data, where)
    _check_digits(data, where)
    decoder = _WITH_LARGE_NUMBERS if b"0e000" in _digits(data) else _DECODER  # 1e999 would be infinite
    try:
        return decoder.decode(data.decode("utf-8"))
    except ValueError as error:  # includes JSONDecodeError and UnicodeDecodeError
        raise ModelFileError(f"{where} is not valid JSON: {error}.") from None


# The checks below first search the whole document, which is fast. Only if that finds something suspicious, which is
# rare, they search again outside of strings.


def _check_depth(data: bytes, where: str) -> None:
    if data.count(b"[") + data.count(b"{") > MAX_JSON_DEPTH and _depth(data) > MAX_JSON_DEPTH:
        raise ModelFileError(f"{where} is nested more than {MAX_JSON_DEPTH} levels deep.")


def _check_digits(data: bytes, where: str) -> None:
    """Reject long numbers: the time to parse an integer grows with the square of its length."""
    if _TOO_LONG in _digits(data) and _TOO_LONG in _digits(_outside_strings(data)):
        raise ModelFileError(f"{where} has a number of more than {MAX_DIGITS} digits.")


def _digits(data: bytes) -> bytes:
    """The document with each digit replaced by 0, E by e, any other byte by a space, and plus signs removed."""
    return data.translate(_DIGITS, b"+")


def _outside_strings(data: bytes) -> bytes:
    """The document without its strings. The result is correct up to the first invalid byte, where a parser stops."""
    pieces = data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
    return b'"'.join(pieces[::2])


def _depth(data: bytes) -> int:
    """The nesting depth of the brackets, computed without recursion."""
    brackets = np.frombuffer(_outside_strings(data).translate(None, _NOT_BRACKETS), dtype=np.uint8)
    steps = np.where((brackets == ord("[")) | (brackets == ord("{")), np.int8(1), np.int8(-1))
    return int(steps.cumsum(dtype=np.int32).max(initial=0))


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key occurs twice in an object")
    return value


def _float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError("a number that is too large for a float")
    return number


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not allowed in JSON")


_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_DIGITS = bytes(
    ord("0") if chr(byte) in "0123456789" else ord("e") if chr(byte) in "eE" else ord(" ") for byte in range(256)
)
_TOO_LONG = b"0" * (MAX_DIGITS + 1)
_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant)
_WITH_LARGE_NUMBERS = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_float)
