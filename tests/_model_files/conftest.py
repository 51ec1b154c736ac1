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


def same(found, documents=DOCUMENTS, arrays=ARRAYS):
    """Whether what was read is exactly what was written."""
    if json.dumps(found[0], sort_keys=True) != json.dumps(documents, sort_keys=True) or set(found[1]) != set(arrays):
        return False
    pairs = [(found[1][name], arrays[name]) for name in arrays]
    return all(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs)


class Model:
    """A model file in a temporary folder, its parts, and ways to spoil them."""

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
        """Write these files in the place of the old ones."""
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
        """The same, after `change(config)`; lengths and checksums are made right, so that later checks are reached."""
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
    """config.json with the checksum that belongs to it."""
    rest = {name: value for name, value in config.items() if name != "sha256"}
    return json.dumps({**rest, "sha256": sha256(strict_json.dump_sorted(rest)).hexdigest()}).encode()


@pytest.fixture(params=["folder", "zip"])
def model(tmp_path, request):
    return Model(tmp_path, request.param)


@pytest.fixture
def folder(tmp_path):
    return Model(tmp_path, "folder")


@pytest.fixture
def archive(tmp_path):
    return Model(tmp_path, "zip")


@pytest.fixture
def is_same():
    return same


@pytest.fixture
def written():
    return DOCUMENTS, ARRAYS
