import io
import json
import zipfile
from hashlib import sha256

import numpy as np
import pytest

from seqclf._model_files import container, strict_json

DOCUMENTS = {
    "model": {"kind": "gru", "n": 3, "text": "a\ud800é", "unit": [0.5, -0.0, None, True]},
    "tokenizer": {"words": ["a", "b"], "at": {"~array": "tokenizer.at"}},
}
ARRAYS = {
    "model.weights": np.arange(6, dtype=np.float32).reshape(2, 3),
    "tokenizer.at": np.array([1, 2], dtype=np.int64),
    "empty": np.zeros((0, 3), dtype=np.float16),
    "flag": np.array(True),
}


def is_original(content):
    """Whether documents and arrays are exactly those that were saved."""
    documents, arrays = content
    if json.dumps(documents, sort_keys=True) != json.dumps(DOCUMENTS, sort_keys=True) or set(arrays) != set(ARRAYS):
        return False
    pairs = [(arrays[name], ARRAYS[name]) for name in ARRAYS]
    return all(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs)


class Model:
    """A model file in a temporary folder, its files, and ways to damage them."""

    def __init__(self, folder, kind):
        self.kind = kind
        self.path = folder / ("model.zip" if kind == "zip" else "model")
        container.write(self.path, DOCUMENTS, ARRAYS)
        self.files = self._files()

    def _files(self):
        if self.kind == "folder":
            return {file.name: file.read_bytes() for file in self.path.iterdir()}
        with zipfile.ZipFile(self.path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def put(self, files):
        """Replace the files of the model by these files."""
        if self.kind == "folder":
            for file in self.path.iterdir():
                file.unlink()
            for name, data in files.items():
                (self.path / name).write_bytes(data)
            return
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        self.path.write_bytes(buffer.getvalue())

    def put_with_checksums(self, files=None, change=lambda config: None):
        """Like `put`, after `change(config)`; lengths and checksums are corrected, so that later checks are reached."""
        files = dict(self.files if files is None else files)
        config = json.loads(files["config.json"])
        for name, entry in config["files"].items():
            if name in files:
                entry.update(bytes=len(files[name]), sha256=sha256(files[name]).hexdigest())
        change(config)
        files["config.json"] = signed(config)
        self.put(files)

    def read(self):
        return container.read(self.path)


def signed(config):
    """The bytes of config.json with a valid checksum."""
    content = {name: value for name, value in config.items() if name != "sha256"}
    return json.dumps({**content, "sha256": sha256(strict_json.dump_sorted(content)).hexdigest()}).encode()


@pytest.fixture(params=["folder", "zip"])
def model(tmp_path, request):
    return Model(tmp_path, request.param)


@pytest.fixture
def folder(tmp_path):
    return Model(tmp_path, "folder")


@pytest.fixture
def archive(tmp_path):
    return Model(tmp_path, "zip")


@pytest.fixture(name="is_original")
def is_original_fixture():
    return is_original


@pytest.fixture
def content():
    """The documents and arrays of `model`."""
    return DOCUMENTS, ARRAYS
