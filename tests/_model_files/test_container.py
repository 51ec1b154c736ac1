"""Model files are written and read as a whole; damage anywhere is an error or changes nothing."""

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


def test_what_was_written_is_read(model, is_same):
    assert is_same(model.read()) and is_same(container.read(str(model.path)))
    documents, arrays = model.read()
    assert list(documents) == ["model", "tokenizer"]
    assert all(array.flags.aligned and array.flags.writeable for array in arrays.values())


def test_writing_again_gives_the_same_bytes(model, written):
    before = model._files(), model.path.read_bytes() if model.kind == "zip" else None
    container.write(model.path, *written)
    assert (model._files(), model.path.read_bytes() if model.kind == "zip" else None) == before


def test_the_path_says_what_is_written(tmp_path, written):
    for name in ("a.zip", "b.ZIP", "c.Zip"):
        container.write(tmp_path / name, *written)
        assert zipfile.is_zipfile(tmp_path / name)
    for name in ("a", "b.zip.d", "zip", ".zip"):
        container.write(str(tmp_path / name), *written)
        assert (tmp_path / name / "config.json").is_file()


def test_a_zip_is_read_whatever_its_name(archive, is_same, tmp_path):
    archive.path.rename(tmp_path / "model.seqclf")
    assert is_same(container.read(tmp_path / "model.seqclf"))


def test_a_zip_may_be_unpacked(archive, is_same, tmp_path):
    with zipfile.ZipFile(archive.path) as made:
        made.extractall(tmp_path / "unpacked.zip")  # a folder, in spite of its name
    assert is_same(container.read(tmp_path / "unpacked.zip"))


def test_relative_paths(tmp_path, monkeypatch, written, is_same):
    monkeypatch.chdir(tmp_path)
    container.write("a", *written)
    container.write(Path("b.zip"), *written)
    assert is_same(container.read("a")) and is_same(container.read("./b.zip"))
    monkeypatch.chdir(tmp_path / "a")
    assert is_same(container.read("."))


def test_config_is_for_people_too(folder):
    text = (folder.path / "config.json").read_text()
    assert '\n "format": "seqclf",\n' in text and json.loads(text)["model"]["kind"] == "gru"


def test_nothing_is_there(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        container.read(tmp_path / "missing")
    assert caught.value.filename == str(tmp_path / "missing")


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3)])
def test_a_joblib_file_is_refused_with_the_reason(tmp_path, compress):
    joblib.dump({"a": np.arange(3)}, tmp_path / "a.joblib", compress=compress)
    with pytest.raises(ModelFileError, match=r"it is a pickle.*never read"):
        container.read(tmp_path / "a.joblib")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused(tmp_path, protocol):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([1], protocol))
    with pytest.raises(ModelFileError, match="never read"):
        container.read(tmp_path / "a.pkl")


def test_one_file_of_a_model_is_refused_with_what_to_do(folder):
    for name in ("config.json", "weights.safetensors", "tokenizer.json"):
        with pytest.raises(ModelFileError, match="path of the folder"):
            container.read(folder.path / name)


def test_other_files_and_folders_are_refused(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text.zip").write_bytes(b"no zip at all")
    (tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "torch.pt", "w") as made:
        made.writestr("archive/data.pkl", b"\x80")
    for name, message in {
        "empty": "is no saved model",
        "text.zip": "is no saved model",
        "folder": "config.json is missing",
        "torch.pt": "bad name",
    }.items():
        with pytest.raises(ModelFileError, match=message):
            container.read(tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes need POSIX")
@pytest.mark.timeout(20)
def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.zip")
    with pytest.raises(ModelFileError, match="no regular file"):
        container.read(tmp_path / "a.zip")


def test_a_newer_format_is_refused_by_number(model):
    model.put_with_checksums(change=lambda stated: stated.update(format_version=7))
    with pytest.raises(ModelFileError, match=r"has format 7; .* up to 1\. Update seqclf"):
        model.read()


def test_an_older_format_is_migrated(model, monkeypatch, written):
    monkeypatch.setattr(config, "FORMAT", 2)
    monkeypatch.setattr(config, "MIGRATIONS", {1: lambda documents: {**documents, "model": "migrated"}})
    assert model.read()[0] == {**written[0], "model": "migrated"}


def test_errors_name_the_file(model):
    files = {**model.files, "tokenizer.json": b"[}"}
    model.put_with_checksums(files)
    with pytest.raises(ModelFileError) as caught:
        model.read()
    assert str(model.path) in str(caught.value) and "tokenizer.json is no valid JSON" in str(caught.value)


@pytest.mark.parametrize("name", ["tokenizer.json", "weights.safetensors"])
def test_swapped_files_are_refused(model, name):
    model.put({**model.files, name: model.files[name][:-1] + b" "})
    with pytest.raises(ModelFileError, match=f"{name} is damaged"):
        model.read()


def test_every_truncation_is_refused(model):
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


def flips_are_harmless(model, is_same, masks):
    """Each byte is changed by some masks; returns how many changes were noticed, and how many meant nothing."""
    paths = [model.path] if model.kind == "zip" else sorted(model.path.iterdir())
    n_noticed = n_harmless = 0
    for path in paths:
        data = bytearray(path.read_bytes())
        for place in range(len(data)):
            for mask in masks(place):
                data[place] ^= mask
                path.write_bytes(data)
                data[place] ^= mask
                try:
                    found = model.read()
                except ModelFileError:
                    n_noticed += 1
                else:
                    assert is_same(found), (path.name, place, mask)
                    n_harmless += 1
        path.write_bytes(data)
    return n_noticed, n_harmless


def test_a_flip_of_any_byte_is_noticed_or_means_nothing(model, is_same):
    random = Random(0)
    n_noticed, n_harmless = flips_are_harmless(model, is_same, lambda place: [1 << random.randrange(8)])
    assert n_noticed > 5 * n_harmless


@pytest.mark.slow
def test_a_flip_of_any_bit_is_noticed_or_means_nothing(model, is_same):
    n_noticed, n_harmless = flips_are_harmless(model, is_same, lambda place: [1 << bit for bit in range(8)])
    assert n_noticed > 5 * n_harmless


def test_reading_takes_twice_the_memory_of_the_weights_at_most(tmp_path):
    size = 8_000_000
    for name in ("a", "a.zip"):
        container.write(tmp_path / name, {"model": 1}, {f"a{i}": np.zeros(size // 8, np.float32) for i in range(2)})
        tracemalloc.start()
        try:
            found = container.read(tmp_path / name)
            kept, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(found[1]) == 2 and kept < 1.2 * size and most < 2.5 * size


def test_names_of_documents_are_checked_before_anything_is_written(tmp_path):
    for documents in ({"model": 1, "../x": 2}, {"model": 1, "config": 2}):
        with pytest.raises(ValueError, match="name of a document"):
            container.write(tmp_path / "a", documents, {})
    with pytest.raises(KeyError):
        container.write(tmp_path / "a", {"tokenizer": 1}, {})
    assert os.listdir(tmp_path) == []


def test_zips_in_memory_have_no_path():
    with pytest.raises(TypeError):
        container.read(io.BytesIO())
