"""Atomic replacement of files and folders: after an error or Ctrl-C the old one is still there."""

import os
from collections.abc import Callable
from contextlib import suppress
from errno import EEXIST, EISDIR, ENOENT, ENOTEMPTY
from typing import BinaryIO

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_TRIES = 100
_EXISTS = (EEXIST, ENOTEMPTY)


def replace_file(path: str, write: Callable[[BinaryIO], None]) -> None:
    """Replace the file at `path` with a new one that `write` fills."""
    path = os.path.realpath(path)
    if os.path.isdir(path):
        raise IsADirectoryError(EISDIR, "the path is a folder", path)
    new = _temporary_path(path)
    try:
        _write(new, write)
        os.replace(new, path)
    except BaseException:
        _remove(new)
        raise
    _sync_folder(os.path.dirname(path))


def replace_folder(path: str, files: dict[str, bytes], check: Callable[[str], None]) -> None:
    """Replace the folder at `path` with a new one that has these files.

    `check` raises an error if the content of `path` must not be replaced. Not every system can swap two folders
    atomically, so the old one is renamed first; see `is_being_replaced`.
    """
    path = os.path.realpath(path)
    check(path)
    new = _temporary_path(path)
    try:
        os.mkdir(new)
        for name, data in files.items():
            _write(os.path.join(new, name), lambda file, data=data: file.write(data))  # type: ignore[misc]
        _sync_folder(new)
        _swap_in(new, path, check)
    except BaseException:
        _remove(new)
        raise
    _sync_folder(os.path.dirname(path))


def is_being_replaced(path: str) -> bool:
    """Whether a writer may be between its two renames, when the old folder is gone and the new one is not there yet."""
    folder, name = os.path.split(os.path.realpath(path))
    try:
        return any(entry.startswith(_prefix(name)) for entry in os.listdir(folder))
    except OSError:
        return False


def _swap_in(new: str, path: str, check: Callable[[str], None]) -> None:
    """Rename the folder `new` to `path`, while other writers may do the same."""
    for _ in range(_TRIES):
        check(path)
        old = _temporary_path(path)
        try:
            with suppress(FileNotFoundError):
                os.rename(path, old)
            os.rename(new, path)
        except BaseException as error:
            _undo_rename(old, path)
            if isinstance(error, OSError) and error.errno in _EXISTS:
                continue  # another writer was faster
            raise
        else:
            _remove(old)
            return
    raise FileExistsError(EEXIST, "other writers keep replacing the folder", path)


def _undo_rename(old: str, path: str) -> None:
    """Undo the first rename. If that fails too, the old folder is kept under its temporary name."""
    try:
        os.rename(old, path)
    except OSError as error:
        if error.errno in _EXISTS:  # the new folder or another writer's folder is in place
            _remove(old)


def _write(path: str, write: Callable[[BinaryIO], None]) -> None:
    with os.fdopen(os.open(path, _NEW_FILE, 0o666), "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def _temporary_path(path: str) -> str:
    """An unused path in the same folder, and therefore on the same file system."""
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(ENOENT, "no such folder", folder)
    return os.path.join(folder, f"{_prefix(name)}{os.urandom(8).hex()}.tmp")


def _prefix(name: str) -> str:
    return f".{name[:30]}.seqclf-"  # fits file systems that limit names to 255 bytes


def _remove(path: str) -> None:
    """Remove a file, or a folder that contains only files; subfolders are never removed.

    The removal is retried once after an error, so that Ctrl-C leaves nothing behind.
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
    """Flush the entries of a folder to disk, if the system supports it."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
