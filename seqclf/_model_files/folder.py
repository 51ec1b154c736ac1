"""Reading and writing a model as a folder."""

import os
from errno import EEXIST, ELOOP
from stat import S_ISDIR
from types import TracebackType
from typing import Self

from seqclf._model_file_error import ModelFileError
from seqclf._model_files import config, strict_json
from seqclf._model_files.atomic import replace_folder
from seqclf._model_files.regular_file import open_regular

_SUPPORTS_DIR_FD = (
    os.open in os.supports_dir_fd
    and os.stat in os.supports_dir_fd
    and hasattr(os, "O_DIRECTORY")
    and os.listdir in os.supports_fd
)
_TRIES = 100  # for concurrent writers that replace the folder


class Folder:
    """A folder that is open for reading.

    If the system supports it, all files are read from the folder that was opened, even if a writer replaces it
    at the same time. Files that config.json doesn't name, such as README.md, are never opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY) if _SUPPORTS_DIR_FD else None
        status = os.stat(path if self._descriptor is None else self._descriptor)
        self._identity = status.st_dev, status.st_ino

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def where(self, name: str) -> str:
        """The path of a file, for messages."""
        return os.path.join(self._path, name)

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a file."""
        where = self.where(name)
        try:
            file = open_regular(where if self._descriptor is None else name, where, self._descriptor)
        except FileNotFoundError:
            raise ModelFileError(f"{self._path} is damaged, or is not a model of seqclf: it has no {name}.") from None
        except OSError as error:
            if error.errno == ELOOP:
                raise ModelFileError(f"{where} is a link that points to itself.") from None
            raise
        with file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise ModelFileError(f"{where} is damaged: it has {size:,} bytes; expected {limit:,} or fewer.")
            return file.read(size)

    def names(self) -> list[str]:
        """The names of the files and folders inside."""
        try:
            return os.listdir(self._path if self._descriptor is None else self._descriptor)
        except FileNotFoundError:  # it has been removed
            return []

    def check_names(self, names: set[str]) -> None:
        """Do nothing: additional files are allowed, because model registries add some."""

    def has_been_replaced(self) -> bool:
        """Whether the path now points to another folder or to nothing."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return True
        return (status.st_dev, status.st_ino) != self._identity


def write_folder(path: str, files: dict[str, bytes]) -> None:
    """Write a model as a folder; an existing model at `path` is replaced."""
    replace_folder(path, files, _check_replaceable)


def _check_replaceable(path: str) -> None:
    """Raise an error unless `path` does not exist, or is an empty folder or a model without additional files."""
    try:
        is_folder = S_ISDIR(os.stat(path).st_mode)  # a single call, because another writer may move the folder
    except FileNotFoundError:
        return
    if not is_folder:
        raise FileExistsError(EEXIST, "the path is a file; a model is a folder, or a file named *.zip", path)
    for _ in range(_TRIES):
        try:
            folder = Folder(path)
        except FileNotFoundError:
            return
        with folder:
            obstacle = _obstacle(folder)
            if obstacle is None:
                return
            if not folder.has_been_replaced():  # otherwise another writer has just moved and emptied it
                raise FileExistsError(EEXIST, obstacle, path)


def _obstacle(folder: Folder) -> str | None:
    """Why a folder must not be replaced, or None."""
    names = set(folder.names())
    if not names:
        return None
    try:
        content = strict_json.load(folder.read(config.CONFIG, config.max_bytes(config.CONFIG)), config.CONFIG)
    except ModelFileError:
        content = None
    if not config.is_seqclf_config(content):
        return "the folder is not empty and does not contain a model of seqclf"
    files = content["files"] if isinstance(content.get("files"), dict) else {}
    extra = sorted(names - set(files) - {config.CONFIG})
    return (
        f"the folder contains files besides the model, which would be lost: {', '.join(extra[:5])}" if extra else None
    )
