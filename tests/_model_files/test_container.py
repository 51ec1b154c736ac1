"""Model files are read exactly as they were content; any damage raises an error or is harmless."""

import io
import json
import os
import pickle
import sys
import tracemalloc
import zipfile
from pathlib import Path
from random import Random

import joblib
import numpy as np
import pytest

from seqclf._model_file_error import ModelFileError
from seqclf._model_files import config, container


def test_read_returns_what_write_saved(model, is_original):
    assert is_original(model.read()) and is_original(container.read(str(model.path)))
    documents, arrays = model.read()
    assert list(documents) == ["model", "tokenizer"]
    assert all(array.flags.aligned and array.flags.writeable for array in arrays.values())


def test_write_is_deterministic(model, content):
    before = model._files(), model.path.read_bytes() if model.kind == "zip" else None
    container.write(model.path, *content)
    assert (model._files(), model.path.read_bytes() if model.kind == "zip" else None) == before


def test_write_saves_a_zip_if_the_path_ends_in_zip(tmp_path, content):
    for name in ("a.zip", "b.ZIP", "c.Zip"):
        container.write(tmp_path / name, *content)
        assert zipfile.is_zipfile(tmp_path / name)
    for name in ("a", "b.zip.d", "zip", ".zip"):
        container.write(str(tmp_path / name), *content)
        assert (tmp_path / name / "config.json").is_file()


def test_read_accepts_a_zip_with_any_name(archive, is_original, tmp_path):
    archive.path.rename(tmp_path / "model.seqclf")
    assert is_original(container.read(tmp_path / "model.seqclf"))


def test_read_accepts_an_unpacked_zip(archive, is_original, tmp_path):
    with zipfile.ZipFile(archive.path) as opened:
        opened.extractall(tmp_path / "unpacked.zip")  # a folder, despite its name
    assert is_original(container.read(tmp_path / "unpacked.zip"))


def test_read_and_write_accept_relative_paths(tmp_path, monkeypatch, content, is_original):
    monkeypatch.chdir(tmp_path)
    container.write("a", *content)
    container.write(Path("b.zip"), *content)
    assert is_original(container.read("a")) and is_original(container.read("./b.zip"))
    monkeypatch.chdir(tmp_path / "a")
    assert is_original(container.read("."))


def test_config_json_is_indented(folder):
    text = (folder.path / "config.json").read_text()
    assert '\n "format": "seqclf",\n' in text and json.loads(text)["model"]["kind"] == "gru"


def test_read_of_a_missing_path_raises_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        container.read(tmp_path / "missing")
    assert caught.value.filename == str(tmp_path / "missing")


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3)])
def test_read_rejects_joblib_files_as_pickles(tmp_path, compress):
    joblib.dump({"a": np.arange(3)}, tmp_path / "a.joblib", compress=compress)
    with pytest.raises(ModelFileError, match=r"it may be a pickle.*never read"):
        container.read(tmp_path / "a.joblib")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_read_rejects_pickles(tmp_path, protocol):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([1], protocol))
    with pytest.raises(ModelFileError, match="never read"):
        container.read(tmp_path / "a.pkl")


def test_read_of_a_single_file_recommends_the_folder(folder):
    for name in ("config.json", "weights.safetensors", "tokenizer.json"):
        with pytest.raises(ModelFileError, match="path of the folder"):
            container.read(folder.path / name)


def test_read_rejects_files_and_folders_that_are_not_models(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text.zip").write_bytes(b"no zip at all")
    (tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "torch.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80")
    for name, message in {
        "empty": "is not a saved model",
        "text.zip": "is not a saved model",
        "folder": "it has no config.json",
        "torch.pt": "invalid name",
    }.items():
        with pytest.raises(ModelFileError, match=message):
            container.read(tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes need POSIX")
@pytest.mark.timeout(20)
def test_read_rejects_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "a.zip")
    with pytest.raises(ModelFileError, match="not a regular file"):
        container.read(tmp_path / "a.zip")


def test_read_rejects_a_newer_format(model):
    model.put_with_checksums(change=lambda content: content.update(format_version=7))
    with pytest.raises(ModelFileError, match=r"has format 7; .* up to 1\. Update seqclf"):
        model.read()


def test_read_migrates_an_older_format(model, monkeypatch, content):
    monkeypatch.setattr(config, "FORMAT", 2)
    monkeypatch.setattr(config, "MIGRATIONS", {1: lambda documents: {**documents, "model": "migrated"}})
    assert model.read()[0] == {**content[0], "model": "migrated"}


def test_read_names_the_invalid_file(model):
    files = {**model.files, "tokenizer.json": b"[}"}
    model.put_with_checksums(files)
    with pytest.raises(ModelFileError) as caught:
        model.read()
    assert str(model.path) in str(caught.value) and "tokenizer.json is not valid JSON" in str(caught.value)


@pytest.mark.parametrize("name", ["tokenizer.json", "weights.safetensors"])
def test_read_rejects_a_changed_file(model, name):
    model.put({**model.files, name: model.files[name][:-1] + b" "})
    with pytest.raises(ModelFileError, match=f"{name} is damaged"):
        model.read()


def test_read_rejects_every_truncation(model):
    if model.kind == "zip":
        data = model.path.read_bytes()
        for length in range(len(data)):
            model.path.write_bytes(data[:length])
            with pytest.raises(ModelFileError):
                model.read()
        return
    for name, data in model.files.items():
        for length in range(len(data) - (name == "config.json")):  # config.json ends with a line break
            (model.path / name).write_bytes(data[:length])
            with pytest.raises(ModelFileError):
                model.read()
        (model.path / name).write_bytes(data)


def flip_bits(model, is_original, masks):
    """Flip the bits of each mask in every byte. Returns how many flips were detected and how many were harmless."""
    paths = [model.path] if model.kind == "zip" else sorted(model.path.iterdir())
    n_detected = n_harmless = 0
    for path in paths:
        data = bytearray(path.read_bytes())
        for offset in range(len(data)):
            for mask in masks():
                data[offset] ^= mask
                path.write_bytes(data)
                data[offset] ^= mask
                try:
                    content = model.read()
                except ModelFileError:
                    n_detected += 1
                else:
                    assert is_original(content), (path.name, offset, mask)
                    n_harmless += 1
        path.write_bytes(data)
    return n_detected, n_harmless


def test_read_detects_a_changed_bit_of_any_byte_or_ignores_it(model, is_original):
    random = Random(0)
    n_detected, n_harmless = flip_bits(model, is_original, lambda: [1 << random.randrange(8)])
    assert n_detected > 5 * n_harmless


@pytest.mark.slow
def test_read_detects_any_changed_bit_or_ignores_it(model, is_original):
    n_detected, n_harmless = flip_bits(model, is_original, lambda: [1 << bit for bit in range(8)])
    assert n_detected > 5 * n_harmless


def test_read_limits_memory_to_twice_the_weights(tmp_path):
    size = 8_000_000
    for name in ("a", "a.zip"):
        container.write(tmp_path / name, {"model": 1}, {f"a{i}": np.zeros(size // 8, np.float32) for i in range(2)})
        tracemalloc.start()
        try:
            _, arrays = container.read(tmp_path / name)
            current, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(arrays) == 2 and current < 1.2 * size and peak < 2.5 * size


def test_write_checks_document_names_before_writing(tmp_path):
    for documents in ({"model": 1, "../x": 2}, {"model": 1, "config": 2}):
        with pytest.raises(ValueError, match="name of a document"):
            container.write(tmp_path / "a", documents, {})
    with pytest.raises(KeyError):
        container.write(tmp_path / "a", {"tokenizer": 1}, {})
    assert os.listdir(tmp_path) == []


def test_read_rejects_file_objects():
    with pytest.raises(TypeError):
        container.read(io.BytesIO())
