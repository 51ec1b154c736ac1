"""to_json and from_json restore every value exactly."""

import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seqclf._model_files import strict_json
from seqclf._model_files.decoding import from_json
from seqclf._model_files.encoding import to_json


def round_trip(value):
    """The value after it was encoded as the bytes of JSON and decoded; every array must be used."""
    arrays = {}
    document = strict_json.load(strict_json.dump(to_json(value, arrays, "model")), "model")
    decoded = from_json(document, arrays)
    assert not arrays
    return decoded


def identical(a, b):
    """Whether two values are the same in type, order and bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        dtype = a.dtype if a.dtype.kind == "T" else a.dtype.newbyteorder("=")
        if dtype != b.dtype or a.shape != b.shape:
            return False
        if a.dtype.kind in "OTU":
            return all(identical(x, y) for x, y in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
        return a.astype(dtype).tobytes() == b.tobytes()
    if isinstance(a, np.generic):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, dict):
        return identical(list(a.items()), list(b.items()))
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    return a == b


texts = st.text(st.characters(), max_size=5) | st.sampled_from(["~array", "~", "~dict", "\ud800", "\ud83d\ude00", ""])
scalars = hnp.scalar_dtypes().filter(lambda dtype: dtype.name not in ("float128", "complex256"))
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**300), 2**300)
    | st.floats()
    | texts
    | st.binary(max_size=4)
    | scalars.flatmap(lambda dtype: hnp.arrays(dtype, ())).map(lambda array: array[()])
    | scalars.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=3)))
)
keys = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts | st.tuples(texts, st.integers())
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(texts, inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(values)
def test_round_trip_restores_any_value(value):
    assert identical(value, round_trip(value))


SPECIAL = {
    "nan": math.nan,
    "nan with bits": struct.unpack("d", struct.pack("Q", 0xFFF8000000000123))[0],
    "signalling nan": np.array([0x7FA00001], np.uint32).view(np.float32)[0],
    "infinity": -math.inf,
    "minus zero": -0.0,
    "smallest": 5e-324,
    "largest": 1.7976931348623157e308,
    "integer of 64 bits": 2**64 - 1,
    "large integer": -(10**5000),
    "one as three types": [1, 1.0, True, np.int64(1), np.True_],
    "list and tuple": ([(), []], ({},)),
    "keys of several types": {1: "a", "1": "b", None: "c", (1, ("x",)): "d", True is None: 0, b"k": 1, np.str_("s"): 2},
    "order of keys": {"b": 1, "a": 2},
    "a tag of the user": {"~array": "model.x"},
    "a reference of the user": [{"~array": ["x", "y"]}, "~array"],
    "lone surrogate": "\ud800 \udc00",
    "split pair": ["\ud83d\ude00", "\U0001f600", {"\ud83d\ude00": 1}],
    "numpy texts": [np.str_("ab"), np.bytes_(b"ab"), np.str_("")],
    "time": [np.datetime64("2020-01-01T00:00:00.5"), np.timedelta64(3, "D"), np.datetime64("NaT", "s")],
    "objects": np.array([1, "a", None, 2.5, True, [1, [2]], (1,), np.arange(3), np.array(5), {"a": 1}, 10**30], object),
    "table of objects": np.array([["a", 1], [None, 2.0]], object),
    "objects without any": np.zeros((2, 0), object),
    "an object": np.array("text", object),
    "texts": np.array([["a", "bcd"], ["", "\ud800"]]),
    "wide texts": np.array(["a", "b"], "<U20"),
    "foreign texts": np.array(["ab", "é"], ">U2"),
    "no texts": np.array([], "<U7"),
    "bytes": np.array([[b"ab", b"c"]]),
    "strings": np.array(["a", "longer than that"], np.dtypes.StringDType()),
    "strings or None": np.array(["a", None], np.dtypes.StringDType(na_object=None, coerce=False)),
    "strings or nan": np.array(["a", math.nan], np.dtypes.StringDType(na_object=math.nan)),
    "strings or a text": np.array(["a", "?"], np.dtypes.StringDType(na_object="?")),
    "transposed": np.arange(12.0).reshape(3, 4).T,
    "strided": np.arange(20, dtype=np.int16)[::-3],
    "Fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "swapped": np.arange(5, dtype=">f8"),
    "swapped times": np.array(["2020", "NaT"], ">M8[25s]"),
    "no axes": np.array(2.5, np.float16),
    "no values": np.zeros((3, 0, 2), np.uint8),
    "complex": [np.array([1 + 2j, complex(math.nan, -0.0)]), np.array(1j, np.complex64), np.zeros((0, 2), complex)],
    "read only": np.broadcast_to(np.float32(2), (2, 3)),
    "same name": {"a": {"b": np.arange(2)}, "a.b": np.arange(3), "a b": np.arange(4), "a_b": np.arange(5)},
    "odd names": {"__metadata__": np.arange(2), "é\ud800": np.arange(3), "": np.arange(4), "x" * 500: np.arange(5)},
}


@pytest.mark.parametrize("value", SPECIAL.values(), ids=SPECIAL)
def test_round_trip_restores_special_values(value):
    assert identical(value, round_trip(value))


def test_identical_distinguishes_values():
    assert not identical(1, True) and not identical((1,), [1]) and not identical(0.0, -0.0)
    assert not identical({"a": 1, "b": 2}, {"b": 2, "a": 1}) and not identical(np.int8(1), np.int16(1))
    assert not identical(np.arange(2), np.arange(2.0)) and not identical(np.zeros((1, 2)), np.zeros((2, 1)))


def test_to_json_saves_a_memory_map_as_an_array(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    decoded = round_trip(np.load(tmp_path / "a.npy", mmap_mode="r"))
    assert type(decoded) is np.ndarray and decoded.tolist() == [0, 1, 2]


def test_to_json_names_arrays_by_their_paths():
    arrays = {}
    document = to_json({"head": {"weight": np.ones(2)}, "layers": [np.ones(1), np.ones(1)]}, arrays, "network")
    assert list(arrays) == ["network.head.weight", "network.layers.0", "network.layers.1"]
    assert document["head"] == {"weight": {"~array": "network.head.weight"}}


def test_to_json_leaves_plain_values_unchanged():
    state = {"a": [1, 0.5, None, True, "text"], "b": {"c": -1}}
    assert json.loads(json.dumps(to_json(state, {}, "model"))) == state


class Text(str):
    pass


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"rng": np.random.RandomState(0)}, "model.rng: a value of type numpy.random.*RandomState.*Pass an int"),
        ({"rng": np.random.default_rng(0)}, "model.rng: a value of type numpy.random.*Generator.*Pass an int"),
        ({"a": [1, (2, len)]}, "model.a.1.1: a value of type builtin_function_or_method"),
        ({"a": Path("x")}, r"model.a: a value of type pathlib\S*Path"),
        ({"a": Text("x")}, "model.a: a value of type .*Text"),
        ({"a": {1, 2}}, "model.a: a value of type set"),
        ({"a": 1j}, "model.a: a value of type complex"),
        ({"a": int}, "model.a: a value of type type"),
        ({"a": np.zeros(2, "i4,f4")}, "model.a: an array of"),
        ({"a": np.zeros(2, "V3")}, "model.a: an array of"),
        ({"a": np.zeros(2, "m8")}, "model.a: an array of"),  # without a unit, which is deprecated in numpy
        ({"a": np.ma.masked_array([1, 2])}, "model.a: a value of type numpy.ma"),
        ({"a": np.array([1, len], dtype=object)}, "model.a.1: a value of type builtin"),
        ({"a": {(1, len): 2}}, "model.a.key.1: a value of type builtin"),
    ],
)
def test_to_json_names_the_path_of_unsupported_values(value, message):
    with pytest.raises(TypeError, match=message):
        to_json(value, {}, "model")


@pytest.mark.skipif(np.longdouble(0).dtype == np.float64, reason="longdouble is float64 here")
@pytest.mark.parametrize("value", [np.longdouble(1), np.ones(2, np.longdouble), np.ones(2, np.clongdouble)])
def test_to_json_rejects_long_doubles(value):
    with pytest.raises(TypeError, match=r"model.a: "):
        to_json({"a": value}, {}, "model")


def test_to_json_rejects_deep_and_circular_values():
    circle = []
    circle.append(circle)
    deep = 1
    for _ in range(60):
        deep = [deep]
    assert identical(deep, round_trip(deep))
    for value in (circle, {"a": circle}, (circle,), {1: {2: circle}}, np.array([None, circle], object)):
        with pytest.raises(ValueError, match="nested too deeply"):
            to_json(value, {}, "model")
    deep = 1
    for _ in range(20):
        deep = {1: (deep,)}
    with pytest.raises(ValueError, match="nested too deeply"):
        to_json(deep, {}, "model")


def test_to_json_rejects_string_arrays_that_are_mostly_padding():
    with pytest.raises(ValueError, match="mostly padding"):
        to_json(np.zeros(5, "U1000000"), {}, "model")
