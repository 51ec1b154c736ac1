"""Forged model files with valid checksums are rejected, or the loaded model works.

Each test replaces, removes or damages one value of a saved model and writes the file again with valid checksums. If the
forged model can be loaded, it predicts or raises a ValueError or TypeError for the rows: it never crashes.
"""

import copy

import numpy as np
import pytest

from seqclf import ModelFileError, RNNClassifier, RNNTagger, RNNTextClassifier, load_model, load_predictor, save_model
from seqclf._model_files.container import read, write

SMALL = {"units": 2, "max_epochs": 1, "random_state": 0, "n_threads": 1}
TEXTS = ["good film", "bad film", "good plot", "not so good"] * 5
TOKENS = [text.split() for text in TEXTS]
SERIES = np.sin(np.arange(20 * 9).reshape(20, 9) % 17)
ODD_VALUES = [None, True, 0, 1, -1, 2**31, 2**70, 1e300, -0.5, "", "x", "relu", [], [1], [[]], {}, {"kind": "x"}]


def saved_model(tmp_path, kind):
    """The documents and arrays of a saved model, and rows to predict."""
    if kind == "texts":
        model, rows = RNNTextClassifier(**SMALL).fit(TEXTS, ["a", "b", "c", "a"] * 5), TEXTS[:3]
    elif kind == "tags":
        model, rows = RNNTagger(**SMALL).fit(TOKENS, [["X", "Y", "X"][: len(row)] for row in TOKENS]), TOKENS[:3]
    else:
        model, rows = RNNClassifier(**SMALL).fit(SERIES, [0, 1] * 10), SERIES[:3]
    save_model(model, tmp_path / "model.zip")
    return *read(tmp_path / "model.zip"), rows


def paths_in(value, path=()):
    """The path to each nested value."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items)[:40]:
        yield from paths_in(item, (*path, key))


def altered_copy(documents, arrays, rng):
    """A copy of documents and arrays with one change."""
    documents, arrays = copy.deepcopy(documents), dict(arrays)
    if rng.random() < 0.5:
        name = rng.choice(sorted(arrays))
        arrays[name] = altered_array(arrays[name], rng)
        return documents, arrays
    paths = list(paths_in(documents))
    *path, last = paths[rng.integers(len(paths))]
    parent = documents
    for key in path:
        parent = parent[key]
    kind = rng.integers(3)
    if kind == 0 and isinstance(parent, dict):
        del parent[last]
    elif kind == 1 and isinstance(parent[last], int | float):
        parent[last] = parent[last] * [-1, 2, 10**6][rng.integers(3)] + int(rng.integers(-1, 2))
    else:
        parent[last] = copy.deepcopy(ODD_VALUES[rng.integers(len(ODD_VALUES))])
    return documents, arrays


def altered_array(array, rng):
    kind = rng.integers(7)
    if kind == 0:
        return array[: len(array) // 2].copy() if array.ndim else array
    if kind == 1:
        return np.concatenate([array, array]) if array.ndim else array
    if kind == 2:
        return array.astype(rng.choice(["int8", "int32", "int64", "float16", "float32", "float64", "bool"]))
    if kind == 3:
        return array.reshape(-1)[None] if rng.random() < 0.5 else array.T.copy()
    array = array.copy()
    if array.size:
        flat, index = array.reshape(-1), rng.integers(array.size)
        if array.dtype.kind == "f":
            flat[index] = rng.choice([np.nan, np.inf, -1e30, 1e30, 0])
        elif array.dtype.kind in "iu":
            info = np.iinfo(array.dtype)
            following = int(flat[index]) + 1 if flat[index] < info.max else 0
            flat[index] = [info.max, info.min, 0, following][rng.integers(4)]
        else:
            flat[index] = not flat[index]
        if kind == 4 and array.ndim and len(array) > 1:
            array[[0, -1]] = array[[-1, 0]]
    return array


def check_forged_model_files(tmp_path, kind, n, seed):
    documents, arrays, rows = saved_model(tmp_path, kind)
    rng = np.random.default_rng(seed)
    n_rejected = 0
    for _ in range(n):
        new_documents, new_arrays = altered_copy(documents, arrays, rng)
        if "model" not in new_documents:
            continue
        write(tmp_path / "model.zip", new_documents, new_arrays)
        for load in (load_predictor, load_model):
            try:
                model = load(tmp_path / "model.zip")
            except ModelFileError:
                n_rejected += 1
                continue
            if not hasattr(model, "predict"):
                continue
            try:
                predicted = model.predict(rows)
            except (ValueError, TypeError):
                continue
            assert len(predicted) == len(rows)
    assert n_rejected > n / 4


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["texts", "tags", "series"])
def test_forged_model_file_is_rejected_or_predicts(tmp_path, kind):
    check_forged_model_files(tmp_path, kind, n=170, seed=0)


@pytest.mark.slow
@pytest.mark.timeout(3_000)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["texts", "tags", "series"])
def test_6700_forged_model_files_are_rejected_or_predict(tmp_path, kind):
    check_forged_model_files(tmp_path, kind, n=6_700, seed=1)
