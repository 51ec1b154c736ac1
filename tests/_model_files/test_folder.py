"""A model as a folder: only the regular files of the model are read, and only a model is replaced."""

import os
import sys

import numpy as np
import pytest

from seqclf._model_file_error import ModelFileError
from seqclf._model_files import container
from seqclf._model_files.folder import Folder

NEW = {"model": {"kind": "new"}}, {"model.w": np.arange(3)}
posix = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes need POSIX")


def test_read_ignores_additional_files(folder, is_original):
    (folder.path / "README.md").write_text("about")
    (folder.path / "evil.pkl").write_bytes(b"\x80")
    (folder.path / ".git").mkdir()
    if sys.platform != "win32":
        os.mkfifo(folder.path / "pipe.json")
    assert is_original(folder.read())


@posix
@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["config.json", "weights.safetensors", "tokenizer.json"])
def test_read_rejects_pipes_folders_devices_and_links_to_them(folder, tmp_path, name):
    path = folder.path / name
    path.rename(tmp_path / "same")
    path.symlink_to("/dev/zero")
    with pytest.raises(ModelFileError, match=f"{name} is not a regular file"):
        folder.read()
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(ModelFileError, match=f"{name} is a link that points to itself"):
        folder.read()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ModelFileError, match=f"{name} is not a regular file"):
        folder.read()
    path.unlink()
    path.mkdir()
    with pytest.raises(ModelFileError, match=f"{name} is not a regular file"):
        folder.read()
    path.rmdir()
    with pytest.raises(ModelFileError, match=f"it has no {name}"):
        folder.read()


@posix
def test_read_follows_and_checks_links_to_files(folder, tmp_path, is_original):
    """The caches of model registries are folders of links."""
    for name in ("config.json", "weights.safetensors"):
        (folder.path / name).rename(tmp_path / name)
        (folder.path / name).symlink_to(tmp_path / name)
    assert is_original(folder.read())
    (tmp_path / "weights.safetensors").write_bytes(b"another file")
    with pytest.raises(ModelFileError, match=r"weights\.safetensors has 12 bytes"):
        folder.read()


@posix
def test_read_follows_a_link_to_the_folder(folder, tmp_path, is_original):
    (tmp_path / "link").symlink_to(folder.path)
    assert is_original(container.read(tmp_path / "link"))


@posix
def test_read_of_an_unreadable_file_raises_permission_error(folder):
    if os.geteuid() == 0:
        pytest.skip("root can read every file")
    (folder.path / "config.json").chmod(0)
    with pytest.raises(PermissionError):
        folder.read()


@posix
def test_read_rejects_a_huge_file_by_its_size(folder):
    for name in ("config.json", "weights.safetensors"):
        with open(folder.path / name, "r+b") as file:
            file.truncate(2**40)  # sparse
        with pytest.raises(ModelFileError, match=f"{name} is damaged: it has 1,099,511,627,776 bytes"):
            folder.read()
        folder.put(folder.files)


@posix
def test_folder_reads_all_files_from_the_folder_that_was_opened(folder):
    with Folder(str(folder.path)) as opened:
        before = opened.read("config.json", 10**6)
        folder.path.rename(folder.path.with_name("old"))
        assert opened.has_been_replaced()
        container.write(folder.path, *NEW)
        assert opened.read("config.json", 10**6) == before and opened.has_been_replaced()
    with Folder(str(folder.path)) as opened:
        assert not opened.has_been_replaced() and opened.read("config.json", 10**6) != before


def test_write_replaces_an_empty_folder(tmp_path):
    (tmp_path / "a").mkdir()
    container.write(tmp_path / "a", *NEW)
    assert container.read(tmp_path / "a")[0] == NEW[0]


@pytest.mark.parametrize(
    "files",
    [
        {"notes.txt": b"mine"},
        {"config.json": b'{"model_type": "bert"}', "model.safetensors": b""},
        {"config.json": b"not JSON"},
        {"config.json": b"[1]", "x": b""},
    ],
)
def test_write_does_not_replace_a_folder_without_a_model(tmp_path, files):
    (tmp_path / "a").mkdir()
    for name, data in files.items():
        (tmp_path / "a" / name).write_bytes(data)
    with pytest.raises(FileExistsError, match="not empty and does not contain a model of seqclf"):
        container.write(tmp_path / "a", *NEW)
    assert {file.name: file.read_bytes() for file in (tmp_path / "a").iterdir()} == files
    assert os.listdir(tmp_path) == ["a"]


def test_write_does_not_replace_a_model_with_additional_files(folder, is_original):
    (folder.path / "README.md").write_text("about")
    (folder.path / "more").mkdir()
    with pytest.raises(FileExistsError, match=r"would be lost: README\.md, more"):
        container.write(folder.path, *NEW)
    assert is_original(folder.read()) and (folder.path / "README.md").read_text() == "about"


def test_write_replaces_a_damaged_or_newer_model(folder):
    (folder.path / "weights.safetensors").write_bytes(b"")
    (folder.path / "tokenizer.json").unlink()
    container.write(folder.path, *NEW)
    assert folder.read()[0] == NEW[0] and len(os.listdir(folder.path)) == 2
    text = (folder.path / "config.json").read_text()
    (folder.path / "config.json").write_text(text.replace('"format_version": 1', '"format_version": 9'))
    container.write(folder.path, *NEW)
    assert folder.read()[0] == NEW[0]


def test_write_does_not_replace_a_file_by_a_folder(tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="the path is a file"):
        container.write(tmp_path / "a", *NEW)
    assert (tmp_path / "a").read_bytes() == b"mine"
