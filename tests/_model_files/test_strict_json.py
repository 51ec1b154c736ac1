"""strict_json writes one representation per value, and rejects ambiguous JSON."""

import json
import sys
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqclf._model_file_error import ModelFileError
from seqclf._model_files import strict_json

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=[]), max_size=6)
    | st.sampled_from(['"', "\\", '\\"', "[[[", "}", "\\\\", "1" * 50, "[" * 200, "1e999"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("a[{\\\"'", max_size=4), inner, max_size=4),
)


@settings(max_examples=200, deadline=None)
@given(json_values)
def test_load_agrees_with_json_loads(value):
    for write in (strict_json.dump, strict_json.dump_indented, strict_json.dump_sorted):
        data = write(value)
        read = strict_json.load(data, "file")
        assert repr(read) == repr(json.loads(data)) and strict_json.dump_sorted(read) == strict_json.dump_sorted(value)


def depth(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@settings(max_examples=200, deadline=None)
@given(json_values)
def test_depth_equals_the_nesting_of_the_value(value):
    assert strict_json._depth(strict_json.dump(value)) == depth(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"nul",
        b'{"a": 1, "a": 1}',
        b'{"a": {"b": 1, "c": 2, "b": 3}}',
        b'{"a": 1, "\\u0061": 2}',
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"1e999",
        b"-1E+400",
        b"[1e0999]",
        b"1" * 41,
        b'["' + b"1" * 50 + b'", ' + b"2" * 10_000_000 + b"]",
        b"0." + b"1" * 41,
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": 1} x',
        b'{"a": 1}\0',
        b"{'a': 1}",
        b'{"a": 1,}',
        b"// 1\n1",
        b"[" * 97 + b"]" * 97,
        b"[" * 10_000_000,
        b'{"a":' * 1_000_000,
        b'["' + b"[" * 100 + b'", ' + b"[" * 1_000_000,
        b"\\" + b"[" * 1_000_000,
        b'[\\"' + b"[" * 1_000_000,
        b'["\\\\"' + b",[" * 1_000_000,
        b'["\\\\\\""' + b",[" * 1_000_000,
        b"]" * 1000 + b"[" * 1_000_000,
    ],
    ids=lambda data: repr(data[:30]),
)
def test_load_rejects_ambiguous_json_quickly(data):
    start = perf_counter()
    with pytest.raises(ModelFileError, match=r"^file "):
        strict_json.load(data, "file")
    assert perf_counter() - start < 5


def test_load_rejects_deep_json_with_a_high_recursion_limit():
    """A recursive parser would crash with such a limit."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**9)
    try:
        with pytest.raises(ModelFileError, match="nested"):
            strict_json.load(b"[" * 5_000_000 + b"]" * 5_000_000, "file")
    finally:
        sys.setrecursionlimit(limit)


def test_load_rejects_long_numbers_without_the_limit_of_python():
    if not hasattr(sys, "set_int_max_str_digits"):
        pytest.skip("this Python has no such limit")
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        start = perf_counter()
        with pytest.raises(ModelFileError, match="40 digits"):
            strict_json.load(b"-" + b"7" * 5_000_000, "file")
        assert perf_counter() - start < 5
    finally:
        sys.set_int_max_str_digits(limit)


def test_load_accepts_valid_json_up_to_the_limits():
    assert strict_json.load(b" [1E5, -0, -0.0, 1e308, 1e-999]\n", "file") == [1e5, 0, 0.0, 1e308, 0.0]
    assert strict_json.load(b"[" * 96 + b"]" * 96, "file") is not None
    assert strict_json.load(b'"' + b"1e999 " * 50 + b"1" * 100 + b'"', "file").endswith("1" * 100)
    assert strict_json.load(b'"\\ud800"', "file") == "\ud800" and strict_json.load('"é"'.encode(), "file") == "é"


def test_dump_and_load_enforce_the_same_limits(tune):
    deep = 1
    for _ in range(97):
        deep = [deep]
    with pytest.raises(ValueError, match="nested"):
        strict_json.dump(deep)
    tune(max_json_bytes=10)
    with pytest.raises(ValueError, match="11 bytes"):
        strict_json.dump("a" * 9)
    with pytest.raises(ModelFileError, match="11 bytes"):
        strict_json.load(b'"' + b"a" * 9 + b'"', "file")
