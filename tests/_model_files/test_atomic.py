"""Whatever stops a writer: the old model or the new one is there, whole, and nothing else is left."""

import os
import sys
import threading
from time import perf_counter

import numpy as np
import pytest

from seqclf._model_file_error import ModelFileError
from seqclf._model_files import atomic, container

NEW = {"model": {"kind": "new"}}, {"model.w": np.arange(1000)}


def is_new(found):
    return found[0] == NEW[0]


def stop_at(monkeypatch, function, call, error):
    """Let the `call`-th call of a function of `os` raise an error. Says afterwards how many calls there were."""
    true, calls = getattr(os, function), [0]

    def stopping(*args, **kwargs):
        calls[0] += 1
        if calls[0] == call:
            raise error
        return true(*args, **kwargs)

    monkeypatch.setattr(os, function, stopping)
    return calls


FUNCTIONS = ["open", "fdopen", "mkdir", "fsync", "rename", "replace", "listdir", "unlink", "rmdir", "close", "urandom"]


@pytest.mark.skipif(sys.platform == "win32", reason="the steps are those of POSIX")
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "Ctrl-C"])
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("there", [True, False])
def test_an_error_at_any_step_leaves_a_whole_model(model, monkeypatch, is_same, function, error, there):
    """Each function fails at its first call, then at its second, and so on, until a write needs no more calls."""
    path = model.path if there else model.path.with_name("other" + model.path.suffix)
    beside = {model.path.name}
    n_stopped = n_kept = 0
    for call in range(1, 40):
        with monkeypatch.context() as patch:
            calls = stop_at(patch, function, call, error)
            try:
                container.write(path, *NEW)
            except type(error):
                n_stopped += 1
        names = set(os.listdir(path.parent))
        assert names <= beside | {path.name}, (call, names)
        if there or path.name in names:
            found = container.read(path)
            assert is_new(found) or (there and is_same(found))
            n_kept += not is_new(found)
        if calls[0] < call:
            break
        _restore(model, path, there)
    else:
        raise AssertionError("a write needs more steps than were tried")
    assert function not in ("open", "fsync") or n_stopped > 0
    assert not there or function not in ("open", "fdopen") or n_kept > 0


def _restore(model, path, there):
    """The state before a write."""
    if path.is_dir():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    elif path.exists():
        path.unlink()
    if there:
        if model.kind == "folder":
            path.mkdir()
        model.put(model.files)


def test_an_old_model_that_cannot_be_put_back_is_not_lost(folder, monkeypatch, is_same):
    true, calls = os.rename, []

    def rename(source, target):
        calls.append(source)
        if len(calls) > 1:
            raise PermissionError(13, "no")
        true(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        with pytest.raises(PermissionError):
            container.write(folder.path, *NEW)
    [left] = os.listdir(folder.path.parent)
    assert is_same(container.read(folder.path.parent / left))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "Ctrl-C"])
def test_an_error_while_bytes_are_written(tmp_path, error):
    path = str(tmp_path / "file")
    atomic.replace_file(path, lambda file: file.write(b"old"))

    def write(file):
        file.write(b"new")
        raise error

    with pytest.raises(type(error)):
        atomic.replace_file(path, write)
    assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_bytes() == b"old"


def test_another_folder_that_appears_meanwhile_is_looked_at_again(tmp_path):
    """Nothing is there at first; before the rename another writer's folder is."""
    path, n_checks = str(tmp_path / "a"), []

    def check(path):
        n_checks.append(path)
        if len(n_checks) == 2:
            os.mkdir(path)
            (tmp_path / "a" / "x").write_bytes(b"theirs")

    atomic.replace_folder(path, {"x": b"ours"}, check)
    assert (tmp_path / "a" / "x").read_bytes() == b"ours" and os.listdir(tmp_path) == ["a"]


def test_what_must_not_be_replaced_is_checked_first(tmp_path):
    def check(path):
        raise FileExistsError(path)

    with pytest.raises(FileExistsError):
        atomic.replace_folder(str(tmp_path / "a"), {"x": b""}, check)
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path):
    for write in (lambda path: atomic.replace_file(path, print), lambda path: atomic.replace_folder(path, {}, print)):
        with pytest.raises(FileNotFoundError, match="no such folder") as caught:
            write(str(tmp_path / "missing" / "a"))
        assert caught.value.filename == str(tmp_path / "missing")


def test_long_names_are_possible(tmp_path):
    for name in ("a" * 250, "é" * 120):
        container.write(tmp_path / name, *NEW)
        container.write(tmp_path / name, *NEW)
        assert is_new(container.read(tmp_path / name))


@pytest.mark.skipif(sys.platform == "win32", reason="an open file can't be replaced")
def test_writers_and_readers_at_once(model, is_same, written):
    """Two writers and two readers for a second: each reader has one of the models, each time."""
    end, faults, n_read = perf_counter() + 1.0, [], [0]

    def run(work):
        try:
            while perf_counter() < end:
                work()
        except BaseException as error:
            faults.append(error)

    def read():
        found = model.read()
        assert is_new(found) or is_same(found)
        n_read[0] += 1

    works = [lambda: container.write(model.path, *NEW), lambda: container.write(model.path, *written), read, read]
    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults and n_read[0] > 1
    assert os.listdir(model.path.parent) == [model.path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_stays_and_its_target_is_replaced(model, tmp_path):
    link = tmp_path / ("link" + model.path.suffix)
    link.symlink_to(model.path)
    container.write(link, *NEW)
    assert link.is_symlink() and is_new(model.read()) and is_new(container.read(link))


def test_leftovers_of_a_killed_writer_do_not_hide_that_nothing_is_there(tmp_path):
    (tmp_path / ".a.seqclf-0123.tmp").mkdir()
    assert atomic.being_replaced(str(tmp_path / "a")) and not atomic.being_replaced(str(tmp_path / "b"))
    with pytest.raises(FileNotFoundError):
        container.read(tmp_path / "a")
    assert not atomic.being_replaced(str(tmp_path / "missing" / "b"))


def test_an_error_of_the_model_is_one_while_it_is_not_replaced(folder):
    (folder.path / "weights.safetensors").write_bytes(b"")
    start = perf_counter()
    with pytest.raises(ModelFileError):
        folder.read()
    assert perf_counter() - start < 0.15
