"""from_json rejects JSON that to_json never produces, quickly and without using much memory."""

from time import perf_counter

import numpy as np
import pytest

from seqclf._model_file_error import ModelFileError
from seqclf._model_files.decoding import from_json


def arrays():
    return {"a": np.arange(3.0), "i": np.arange(3), "b": np.arange(6, dtype=np.uint8).reshape(3, 2)}


INVALID = [
    {"~array": "missing"},
    {"~array": 1},
    {"~array": ["a"]},
    {"~array": "a", "x": 1},
    {"x": 1, "~array": "a"},
    [{"~array": "a"}, {"~array": "a"}],
    {"~unknown": 1},
    {"~": 1},
    {"~view": "a"},
    {"~view": ["a", "M8[ns]"]},
    {"~view": ["i", "M8[xx]"]},
    {"~view": ["i", "M8[0s]"]},
    {"~view": ["i", "M8"]},
    {"~view": ["i", "O"]},
    {"~view": ["a", "complex128"]},
    {"~view": ["a", "complex64"]},
    {"~view": ["b", "S3"]},
    {"~view": ["b", "S999999999"]},
    {"~view": ["b", "V2"]},
    {"~view": ["i", 8]},
    {"~tuple": 1},
    {"~tuple": {"a": 1}},
    {"~tuple": "ab"},
    {"~dict": 1},
    {"~dict": [1]},
    {"~dict": [[1, 2, 3]]},
    {"~dict": [["a", 1], ["a", 2]]},
    {"~dict": [[1, 1], [True, 2]]},
    {"~dict": [[[], 1]]},
    {"~dict": [[{"~array": "a"}, 1]]},
    {"~float": 1.0},
    {"~float": "7ff8"},
    {"~float": "zz"},
    {"~float": "7FF8000000000000"},
    {"~int": 5},
    {"~int": "5"},
    {"~int": "0x"},
    {"~int": "0x_1"},
    {"~int": " 0x1"},
    {"~text": "a"},
    {"~text": [1]},
    {"~text": [["a"]]},
    {"~bytes": "0"},
    {"~bytes": [0]},
    {"~bytes": "0 0"},
    {"~scalar": ["float32", 1]},
    {"~scalar": ["float32", "00"]},
    {"~scalar": ["float32", 1e300]},
    {"~scalar": ["float32", 0.1]},
    {"~scalar": ["int8", 300]},
    {"~scalar": ["int8", 1.0]},
    {"~scalar": ["int8", True]},
    {"~scalar": ["uint8", -1]},
    {"~scalar": ["bool", 1]},
    {"~scalar": ["bool", "02"]},
    {"~scalar": ["object", 1]},
    {"~scalar": ["O", "0000000000000000"]},
    {"~scalar": [["a"], 1]},
    {"~scalar": ["str", 1]},
    {"~scalar": ["str", ["a"]]},
    {"~scalar": ["bytes", "a"]},
    {"~scalar": ["float32"]},
    {"~scalar": 1},
    {"~values": [["object"], [2], [1]]},
    {"~values": [["object"], [-1], []]},
    {"~values": [["object"], [0, 10**30], []]},
    {"~values": [["object"], [0] * 100, []]},
    {"~values": [["object"], [1.0], [1]]},
    {"~values": [["object"], [True], [1]]},
    {"~values": [["object"], 1, [1]]},
    {"~values": [["object"], [1], 1]},
    {"~values": [["object", 1], [1], [1]]},
    {"~values": [[], [1], [1]]},
    {"~values": ["object", [1], [1]]},
    {"~values": [["text", 1], [1], ["ab"]]},
    {"~values": [["text", 1], [1], [1]]},
    {"~values": [["text", 10**9], [1], ["ab"]]},
    {"~values": [["text", 10**30], [1], ["ab"]]},
    {"~values": [["text", -1], [1], ["ab"]]},
    {"~values": [["text", True], [1], ["a"]]},
    {"~values": [["text"], [1], ["a"]]},
    {"~values": [["string", True], [1], [None]]},
    {"~values": [["string", 1], [1], ["a"]]},
    {"~values": [["string", True, 5], [1], ["a"]]},
    {"~values": [["string", True, None], [1], [1]]},
    {"~values": [["string", True, None], [1], [{"~float": "7ff8000000000000"}]]},
    {"~values": [["string", True, ["a"]], [1], ["a"]]},
    {"~values": [["numbers"], [1], [1]]},
    {"~values": [[["object"]], [1], [1]]},
    {"~values": [["object"], [1]]},
    {"~values": None},
    {1, 2},
]


@pytest.mark.parametrize("value", INVALID, ids=lambda value: str(value)[:60])
def test_from_json_rejects_invalid_values(value):
    with pytest.raises(ModelFileError, match=r"^here: "):
        from_json({"x": [value]}, arrays(), "here")


def test_from_json_rejects_deeply_nested_values():
    for wrap in (lambda value: [value], lambda value: {"a": value}, lambda value: {"~tuple": [value]}):
        deep = 1
        for _ in range(500):
            deep = wrap(deep)
        with pytest.raises(ModelFileError, match="too deep"):
            from_json(deep, {}, "here")


def test_from_json_rejects_many_keys_with_equal_hashes_quickly():
    pairs = [[index * (2**61 - 1), index] for index in range(200_000)]
    start = perf_counter()
    with pytest.raises(ModelFileError, match="equal hashes"):
        from_json({"~dict": pairs}, {}, "here")
    assert perf_counter() - start < 5
    assert len(from_json({"~dict": pairs[:50]}, {})) == 50
    assert len(from_json({"~dict": [[index, 0] for index in range(1000)]}, {})) == 1000


def test_from_json_removes_each_array_that_it_uses():
    available = arrays()
    array = available["a"]
    assert from_json([{"~array": "a"}], available)[0] is array
    assert set(available) == {"i", "b"}
