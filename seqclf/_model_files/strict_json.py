"""JSON as text: one form for each value when written, and nothing doubtful when read."""

import json
from math import isfinite
from typing import Any, NoReturn

import numpy as np

from seqclf._model_file_error import ModelFileError
from seqclf._model_files.limits import MAX_DIGITS, MAX_JSON_BYTES, MAX_JSON_DEPTH


def dump(value: Any) -> bytes:
    """ASCII: surrogates without a partner, which UTF-8 has no bytes for, are kept as escapes."""
    return _checked(json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")))


def dump_indented(value: Any) -> bytes:
    """The same on lines of its own, for a file that people look at."""
    return _checked(json.dumps(value, ensure_ascii=True, allow_nan=False, indent=1) + "\n")


def dump_sorted(value: Any) -> bytes:
    """The same bytes for equal values, whatever the order of the keys, spaces and escapes: what checksums are of."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"), sort_keys=True).encode("ascii")


def _checked(text: str) -> bytes:
    data = text.encode("ascii")
    if len(data) > MAX_JSON_BYTES:
        raise ValueError(f"a document of {len(data):,} bytes; the limit is {MAX_JSON_BYTES:,}")
    if _depth(data) > MAX_JSON_DEPTH:
        raise ValueError(f"a document that is nested more than {MAX_JSON_DEPTH} levels deep")
    return data


def load(data: bytes, where: str) -> Any:
    """The value of a JSON text in UTF-8.

    Refused are texts that are too large or nested too deeply, keys that occur twice, NaN, Infinity, numbers
    too large for a float, and integers of very many digits.
    """
    if len(data) > MAX_JSON_BYTES:
        raise ModelFileError(f"{where} has {len(data):,} bytes; the limit is {MAX_JSON_BYTES:,}")
    _check_depth(data, where)
    _check_digits(data, where)
    decoder = _WITH_LARGE_NUMBERS if b"0e000" in _digits(data) else _DECODER  # 1e999 would be infinite
    try:
        return decoder.decode(data.decode("utf-8"))
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are such
        raise ModelFileError(f"{where} is no valid JSON: {error}") from None


# What makes texts doubtful is rare even inside of strings, and quickly seen there. Only then strings are left out.


def _check_depth(data: bytes, where: str) -> None:
    if data.count(b"[") + data.count(b"{") > MAX_JSON_DEPTH and _depth(data) > MAX_JSON_DEPTH:
        raise ModelFileError(f"{where} is nested more than {MAX_JSON_DEPTH} levels deep")


def _check_digits(data: bytes, where: str) -> None:
    """Refuse long numbers: the time to read an integer grows with the square of its length."""
    if _TOO_LONG in _digits(data) and _TOO_LONG in _digits(_outside_strings(data)):
        raise ModelFileError(f"{where} has a number of more than {MAX_DIGITS} digits")


def _digits(data: bytes) -> bytes:
    """0 for each digit, e for the beginning of an exponent, and spaces."""
    return data.translate(_DIGITS, b"+")


def _outside_strings(data: bytes) -> bytes:
    """What is not inside a string. Up to the first byte that is no JSON this is right, and a parser goes no further."""
    pieces = data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
    return b'"'.join(pieces[::2])


def _depth(data: bytes) -> int:
    """How deeply brackets are nested, found without recursion."""
    brackets = np.frombuffer(_outside_strings(data).translate(None, _NO_BRACKETS), dtype=np.uint8)
    steps = np.where((brackets == ord("[")) | (brackets == ord("{")), np.int8(1), np.int8(-1))
    return int(steps.cumsum(dtype=np.int32).max(initial=0))


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key occurs twice in an object")
    return made


def _float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError("a number that is too large for a float")
    return number


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_DIGITS = bytes(
    ord("0") if chr(byte) in "0123456789" else ord("e") if chr(byte) in "eE" else ord(" ") for byte in range(256)
)
_TOO_LONG = b"0" * (MAX_DIGITS + 1)
_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant)
_WITH_LARGE_NUMBERS = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_float)
