"""weights.load restores arrays bit by bit and rejects invalid safetensors files."""

import json
import struct
from random import Random

import numpy as np
import pytest
from safetensors.numpy import load, save

from seqclf._model_file_error import ModelFileError
from seqclf._model_files import weights
from seqclf._model_files.kinds import STORED

ARRAYS = {name: (np.arange(6).reshape(2, 3) * 7 - 3).astype(dtype) for name, dtype in STORED.items()}
ARRAYS |= {"empty": np.zeros((0, 4), np.float32), "scalar": np.array(2.5), "nan": np.array([np.nan, -0.0, np.inf])}


def test_load_returns_what_dump_was_given():
    loaded = weights.load(weights.dump(ARRAYS), "file")
    assert set(loaded) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert loaded[name].dtype == array.dtype and loaded[name].dtype.isnative and loaded[name].shape == array.shape
        assert loaded[name].tobytes() == array.tobytes()
        assert loaded[name].flags.aligned and loaded[name].flags.c_contiguous and loaded[name].flags.writeable


def test_safetensors_loads_the_same_arrays():
    loaded = load(weights.dump(ARRAYS))
    assert all(loaded[name].tobytes() == array.tobytes() for name, array in ARRAYS.items())


def test_dump_does_not_depend_on_the_order_of_arrays():
    assert weights.dump(ARRAYS) == weights.dump(dict(reversed(ARRAYS.items())))
    assert weights.dump({}) == weights.dump({}) and weights.load(weights.dump({}), "file") == {}


def test_dump_normalizes_booleans():
    odd = np.array([0, 1, 2, 255], np.uint8).view(bool)
    assert weights.load(weights.dump({"a": odd}), "file")["a"].view(np.uint8).tolist() == [0, 1, 1, 1]


def test_dump_limits_the_number_of_bytes(tune):
    tune(max_weights_bytes=7)
    with pytest.raises(ValueError, match="8 bytes"):
        weights.dump({"a": np.zeros(8, bool)})


def file(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


INVALID = {
    "nothing": b"",
    "short": b"\1\0\0",
    "huge header": struct.pack("<Q", 2**63) + b"{}",
    "no JSON": file(b"{"),
    "a list": file([1]),
    "too short": file({"a": entry()}, b"\0" * 7),
    "too long": file({"a": entry()}, b"\0" * 9),
    "wrong length": file({"a": entry(offsets=(0, 4))}, b"\0" * 4),
    "negative": file({"a": entry(offsets=(-8, 0))}, b"\0" * 8),
    "overlap": file({"a": entry(), "b": entry()}, b"\0" * 8),
    "hole": file({"a": entry(), "b": entry(offsets=(16, 24))}, b"\0" * 24),
    "huge shape": file({"a": entry(shape=(2**62, 2**62))}, b"\0" * 8),
    "overflow to zero": file({"a": entry(shape=(2**32, 2**32), offsets=(0, 0))}),
    "shape that overflows next to a zero": file({"a": entry(shape=(0, 2**62, 2**62), offsets=(0, 0))}),
    "many axes": file({"a": entry(shape=[1] * 100 + [2])}, b"\0" * 8),
    "unknown dtype": file({"a": entry("Q7")}, b"\0" * 8),
    "no dtype of numpy": file({"a": entry("BF16", (4,))}, b"\0" * 8),
    "complex": file({"a": entry("C64", (1,))}, b"\0" * 8),
    "bad bool": file({"a": entry("BOOL", (2,), (0, 2))}, b"\1\2"),
    "metadata that is no text": file({"__metadata__": {"a": 1}, "a": entry()}, b"\0" * 8),
    "deep": file(b"[" * 1_000_000),
    "long number": file(b'{"a":{"dtype":"F32","shape":[' + b"1" * 1_000_000 + b'],"data_offsets":[0,8]}}', b"\0" * 8),
}


@pytest.mark.parametrize("data", INVALID.values(), ids=INVALID)
def test_load_rejects_invalid_files(data):
    with pytest.raises(ModelFileError, match=r"^file"):
        weights.load(data, "file")


def test_load_rejects_every_truncation():
    data = weights.dump(ARRAYS)
    for length in range(len(data)):
        with pytest.raises(ModelFileError):
            weights.load(data[:length], "file")


def test_load_of_changed_headers_raises_or_stays_within_the_file():
    random, data = Random(0), save(ARRAYS)
    n_read = 0
    for _ in range(2000):
        changed = bytearray(data)
        for _ in range(random.randint(1, 3)):
            changed[random.randrange(len(data))] = random.choice(b'0123456789[]{},:"\0\xff FIB')
        try:
            arrays = weights.load(bytes(changed), "file")
        except ModelFileError:
            continue
        n_read += 1
        assert sum(array.nbytes for array in arrays.values()) <= len(data)
        # Reading all bytes does not crash.
        assert all(len(array.tobytes()) == array.nbytes for array in arrays.values())
    assert 0 < n_read < 2000
