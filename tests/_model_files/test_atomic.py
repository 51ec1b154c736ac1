"""Atomic writes: after any error the old or the new model is complete, and no temporary files remain."""

import os
import sys
import threading
from time import perf_counter

import numpy as np
import pytest

from seqclf._model_file_error import ModelFileError
from seqclf._model_files import atomic, container

NEW = {"model": {"kind": "new"}}, {"model.w": np.arange(1000)}


def is_new(content):
    return content[0] == NEW[0]


def fail_at(monkeypatch, function, call, error):
    """Let call number `call` of a function of `os` raise an error. Returns a list with the number of calls."""
    original, calls = getattr(os, function), [0]

    def failing(*args, **kwargs):
        calls[0] += 1
        if calls[0] == call:
            raise error
        return original(*args, **kwargs)

    monkeypatch.setattr(os, function, failing)
    return calls


FUNCTIONS = ["open", "fdopen", "mkdir", "fsync", "rename", "replace", "listdir", "unlink", "rmdir", "close", "urandom"]


@pytest.mark.skipif(sys.platform == "win32", reason="the steps are those of POSIX")
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "Ctrl-C"])
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("exists", [True, False])
def test_write_leaves_a_complete_model_after_any_os_error(model, monkeypatch, is_original, function, error, exists):
    """Each function fails at its first call, then at its second, and so on, until a write makes fewer calls."""
    path = model.path if exists else model.path.with_name("other" + model.path.suffix)
    n_errors = n_unchanged = 0
    for call in range(1, 40):
        with monkeypatch.context() as patch:
            calls = fail_at(patch, function, call, error)
            try:
                container.write(path, *NEW)
            except type(error):
                n_errors += 1
        names = set(os.listdir(path.parent))
        assert names <= {model.path.name, path.name}, (call, names)
        if exists or path.name in names:
            content = container.read(path)
            assert is_new(content) or (exists and is_original(content))
            n_unchanged += not is_new(content)
        if calls[0] < call:
            break
        _reset(model, path, exists)
    else:
        raise AssertionError("a write makes more calls than were tried")
    assert function not in ("open", "fsync") or n_errors > 0
    assert not exists or function not in ("open", "fdopen") or n_unchanged > 0


def _reset(model, path, exists):
    """Restore the state before a write."""
    if path.is_dir():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    elif path.exists():
        path.unlink()
    if exists:
        if model.kind == "folder":
            path.mkdir()
        model.put(model.files)


def test_replace_folder_preserves_the_old_folder_if_it_cannot_be_moved_back(folder, monkeypatch, is_original):
    original, calls = os.rename, []

    def rename(source, target):
        calls.append(source)
        if len(calls) > 1:
            raise PermissionError(13, "no")
        original(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        with pytest.raises(PermissionError):
            container.write(folder.path, *NEW)
    [name] = os.listdir(folder.path.parent)
    assert is_original(container.read(folder.path.parent / name))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "Ctrl-C"])
def test_replace_file_preserves_the_old_file_if_write_raises(tmp_path, error):
    path = str(tmp_path / "file")
    atomic.replace_file(path, lambda file: file.write(b"old"))

    def write(file):
        file.write(b"new")
        raise error

    with pytest.raises(type(error)):
        atomic.replace_file(path, write)
    assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_bytes() == b"old"


def test_replace_folder_checks_again_a_folder_that_appears_before_the_rename(tmp_path):
    """The path does not exist at first; before the rename another writer creates a folder."""
    path, n_checks = str(tmp_path / "a"), []

    def check(path):
        n_checks.append(path)
        if len(n_checks) == 2:
            os.mkdir(path)
            (tmp_path / "a" / "x").write_bytes(b"theirs")

    atomic.replace_folder(path, {"x": b"ours"}, check)
    assert (tmp_path / "a" / "x").read_bytes() == b"ours" and os.listdir(tmp_path) == ["a"]


def test_replace_folder_calls_check_before_writing(tmp_path):
    def check(path):
        raise FileExistsError(path)

    with pytest.raises(FileExistsError):
        atomic.replace_folder(str(tmp_path / "a"), {"x": b""}, check)
    assert os.listdir(tmp_path) == []


def test_replace_names_a_missing_parent_folder(tmp_path):
    for write in (lambda path: atomic.replace_file(path, print), lambda path: atomic.replace_folder(path, {}, print)):
        with pytest.raises(FileNotFoundError, match="no such folder") as caught:
            write(str(tmp_path / "missing" / "a"))
        assert caught.value.filename == str(tmp_path / "missing")


def test_write_supports_long_file_names(tmp_path):
    for name in ("a" * 250, "é" * 120):
        container.write(tmp_path / name, *NEW)
        container.write(tmp_path / name, *NEW)
        assert is_new(container.read(tmp_path / name))


@pytest.mark.skipif(sys.platform == "win32", reason="an open file can't be replaced")
def test_concurrent_readers_get_one_of_the_models(model, is_original, content):
    """Two writers and two readers run for a second."""
    end, errors, n_read = perf_counter() + 1.0, [], [0]

    def run(work):
        try:
            while perf_counter() < end:
                work()
        except BaseException as error:
            errors.append(error)

    def read():
        loaded = model.read()
        assert is_new(loaded) or is_original(loaded)
        n_read[0] += 1

    works = [lambda: container.write(model.path, *NEW), lambda: container.write(model.path, *content), read, read]
    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and n_read[0] > 1
    assert os.listdir(model.path.parent) == [model.path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="links need privileges on Windows")
def test_write_replaces_the_target_of_a_link(model, tmp_path):
    link = tmp_path / ("link" + model.path.suffix)
    link.symlink_to(model.path)
    container.write(link, *NEW)
    assert link.is_symlink() and is_new(model.read()) and is_new(container.read(link))


def test_read_raises_file_not_found_despite_temporary_files_of_a_killed_writer(tmp_path):
    (tmp_path / ".a.seqclf-0123.tmp").mkdir()
    assert atomic.is_being_replaced(str(tmp_path / "a")) and not atomic.is_being_replaced(str(tmp_path / "b"))
    with pytest.raises(FileNotFoundError):
        container.read(tmp_path / "a")
    assert not atomic.is_being_replaced(str(tmp_path / "missing" / "b"))


def test_read_does_not_retry_a_damaged_folder_that_was_not_replaced(folder):
    (folder.path / "weights.safetensors").write_bytes(b"")
    start = perf_counter()
    with pytest.raises(ModelFileError):
        folder.read()
    assert perf_counter() - start < 0.15
