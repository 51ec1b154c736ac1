"""Files and folders that appear as a whole or not at all, whatever stops the writer."""

import os
from collections.abc import Callable
from contextlib import suppress
from errno import EEXIST, EISDIR, ENOENT, ENOTEMPTY
from typing import BinaryIO

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_TRIES = 100
_THERE = (EEXIST, ENOTEMPTY)


def replace_file(path: str, write: Callable[[BinaryIO], None]) -> None:
    """Put what `write` writes into a new file, and that in the place of `path`."""
    path = os.path.realpath(path)
    if os.path.isdir(path):
        raise IsADirectoryError(EISDIR, "a folder is there", path)
    new = _temporary(path)
    try:
        _write(new, write)
        os.replace(new, path)
    except BaseException:
        _remove(new)
        raise
    _sync_folder(os.path.dirname(path))


def replace_folder(path: str, files: dict[str, bytes], check: Callable[[str], None]) -> None:
    """Put a new folder of these files in the place of `path`.

    `check` raises an error if what is at `path` must not be replaced. Systems can't exchange two folders in one step
    everywhere, so the old one is renamed first; see `being_replaced`.
    """
    path = os.path.realpath(path)
    check(path)
    new = _temporary(path)
    try:
        os.mkdir(new)
        for name, data in files.items():
            _write(os.path.join(new, name), lambda file, data=data: file.write(data))  # type: ignore[misc]
        _sync_folder(new)
        _take_place(new, path, check)
    except BaseException:
        _remove(new)
        raise
    _sync_folder(os.path.dirname(path))


def being_replaced(path: str) -> bool:
    """Whether a writer may have renamed the folder at `path` and not yet put the new one there."""
    folder, name = os.path.split(os.path.realpath(path))
    try:
        return any(entry.startswith(_prefix(name)) for entry in os.listdir(folder))
    except OSError:
        return False


def _take_place(new: str, path: str, check: Callable[[str], None]) -> None:
    """Rename a folder to `path`, where another writer may do the same at any time."""
    for _ in range(_TRIES):
        check(path)
        old = _temporary(path)
        try:
            with suppress(FileNotFoundError):
                os.rename(path, old)
            os.rename(new, path)
        except BaseException as error:
            _put_back(old, path)
            if isinstance(error, OSError) and error.errno in _THERE:
                continue  # another writer's folder is there now
            raise
        else:
            _remove(old)
            return
    raise FileExistsError(EEXIST, "other writers replace the folder all the time", path)


def _put_back(old: str, path: str) -> None:
    """Undo the first rename. If that fails too, the old folder stays under its temporary name, and is not lost."""
    try:
        os.rename(old, path)
    except OSError as error:
        if error.errno in _THERE:  # the new folder, or that of another writer
            _remove(old)


def _write(path: str, write: Callable[[BinaryIO], None]) -> None:
    with os.fdopen(os.open(path, _NEW_FILE, 0o666), "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def _temporary(path: str) -> str:
    """A name that nothing has, in the same folder and so on the same disk."""
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(ENOENT, "there is no such folder", folder)
    return os.path.join(folder, f"{_prefix(name)}{os.urandom(8).hex()}.tmp")


def _prefix(name: str) -> str:
    return f".{name[:30]}.seqclf-"  # short enough for file systems with names of up to 255 bytes


def _remove(path: str) -> None:
    """Remove a file, or a folder that holds only files; never what is in folders inside.

    After an error it is tried once more, so that nothing is left after Ctrl-C.
    """
    try:
        _remove_once(path)
    except BaseException as error:
        with suppress(OSError):
            _remove_once(path)
        if not isinstance(error, OSError):
            raise


def _remove_once(path: str) -> None:
    with suppress(FileNotFoundError):
        if not os.path.isdir(path):
            os.unlink(path)
            return
        for name in os.listdir(path):
            os.unlink(os.path.join(path, name))
        os.rmdir(path)


def _sync_folder(path: str) -> None:
    """Have the names in a folder written to disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
