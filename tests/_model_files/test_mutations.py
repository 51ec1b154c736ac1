"""Random damage to model files: reading raises ModelFileError or returns values, with little time and memory.

Most changes are followed by corrected checksums, as an attacker would write, so that later checks are reached.
"""

import json
import tracemalloc
from random import Random
from time import perf_counter

import numpy as np
import pytest

from seqclf._model_file_error import ModelFileError
from seqclf._model_files import container
from seqclf._model_files.states import read_states, write_states

STATES = {
    "model": {
        "kind": "gru",
        "units": (4, 2),
        "w": np.arange(4, dtype=np.float32),
        "t": np.array(["2020"], "M8[D]"),
        "s": np.float32(0.5),
        "labels": np.array(["a", "bc"]),
        "objects": np.array([1, None], object),
        "strings": np.array(["a", None], np.dtypes.StringDType(na_object=None)),
    },
    "tokenizer": {"words": ["a", "~b"], "counts": np.arange(2), "by": {1: "x", (1, 2): float("nan")}, "n": 2**70},
}
ODD = [0, -1, 1.5, 10**19, 2**62, None, True, "", "~array", "x" * 100, [], {}, [[]], {"~array": "model.w"}, "model.w"]
ODD += [{"~tuple": [1]}, {"~values": [["text", 10**9], [1], ["a"]]}, {"~view": ["model.w", "S4"]}, 1e308, "M8[ns]"]
PIECES = [b"[", b"]", b"{", b'"', b"\\", b"\0", b"\xff", b"1" * 50, b"NaN", b"1e999", b"PK\1\2", b"[" * 200]


def change_bytes(data, random):
    """Flip, delete, insert or move some bytes."""
    data = bytearray(data)
    for _ in range(random.randint(1, 3)):
        if not data:
            break
        a, b = sorted(random.randrange(len(data)) for _ in range(2))
        kind = random.randrange(6)
        if kind == 0:
            data[a] ^= 1 << random.randrange(8)
        elif kind == 1:
            del data[a:b]
        elif kind == 2:
            data[a:a] = random.choice([*PIECES, bytes(data[a:b])])
        elif kind == 3:
            data[a:b] = bytes(reversed(data[a:b]))
        elif kind == 4:
            data[:] = data[b:] + data[a:b] + data[:a]
        else:
            data[a] = random.choice(b'0123456789[]{},:"~')
    return bytes(data)


def change_value(value, random):
    """Replace, remove or repeat one value or key inside a JSON value."""
    targets = []

    def visit(inner):
        for key in inner if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else []:
            targets.append((inner, key))
            visit(inner[key])

    visit(value)
    if not targets:
        return random.choice(ODD)
    parent, key = random.choice(targets)
    source, source_key = random.choice(targets)
    kind = random.randrange(5)
    if kind == 0:
        parent[key] = json.loads(json.dumps(random.choice(ODD)))
    elif kind == 1:
        del parent[key]
    elif kind == 2:
        parent[key] = json.loads(json.dumps(source[source_key]))
    elif isinstance(parent, dict):
        parent[random.choice(["~array", "~tuple", "~dict", "~values", "~scalar", "~view", "x"])] = parent.pop(key)
    else:
        parent.append(parent[key])
    return value


def mutate(model, random):
    """Damage a model."""
    files = dict(model.files)
    name = random.choice(sorted(files))
    kind = random.randrange(6)
    if kind == 0 and model.kind == "zip":
        model.path.write_bytes(change_bytes(model.whole, random))
    elif kind == 1:
        model.put({**files, name: change_bytes(files[name], random)})
    elif kind == 2:
        model.put_with_checksums({**files, "weights.safetensors": change_bytes(files["weights.safetensors"], random)})
    elif kind == 3:
        model.put_with_checksums({**files, "tokenizer.json": change_bytes(files["tokenizer.json"], random)})
    elif kind == 4:
        value = change_value(json.loads(files["tokenizer.json"]), random)
        model.put_with_checksums({**files, "tokenizer.json": json.dumps(value).encode()})
    else:
        top = random.random() < 0.2

        def change(config):
            if top:
                change_value(config, random)
            else:
                config["model"] = change_value(config["model"], random)

        model.put_with_checksums(files, change)


def read_damaged_models(model, n, seed):
    """Read `n` damaged models and count the outcomes."""
    write_states(model.path, STATES)
    model.files = model._files()
    model.whole = model.path.read_bytes() if model.kind == "zip" else b""
    random, outcomes = Random(seed), {"read": 0, "rejected by the container": 0, "rejected by the decoder": 0}
    for _ in range(n):
        mutate(model, random)
        start = perf_counter()
        try:
            read_states(model.path)
            outcomes["read"] += 1
        except ModelFileError:
            try:
                container.read(model.path)
                outcomes["rejected by the decoder"] += 1
            except ModelFileError:
                outcomes["rejected by the container"] += 1
        assert perf_counter() - start < 2
    return outcomes


def test_read_states_of_damaged_models_raises_or_returns(model):
    tracemalloc.start()
    try:
        outcomes = read_damaged_models(model, 250, seed=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert min(outcomes.values()) > 5, outcomes  # every stage is reached
    assert peak < 2**25


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_read_states_of_10000_damaged_models_raises_or_returns(model):
    assert min(read_damaged_models(model, 10_000, seed=1).values()) > 500
