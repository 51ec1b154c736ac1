"""Reading and writing a model as one .zip.

Its members are stored without compression: it would hardly shrink the weights, and decompressing 20 MB takes longer
than all checks. It also means that a small file can't expand to a large one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EEXIST, EINVAL
from io import SEEK_END
from stat import S_IFMT, S_IFREG
from struct import error as StructError
from struct import unpack
from types import TracebackType
from typing import BinaryIO, Self
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from seqclf._model_file_error import ModelFileError
from seqclf._model_files.atomic import replace_file
from seqclf._model_files.config import CONFIG, WEIGHTS
from seqclf._model_files.limits import MAX_FILES

_END = 22  # bytes of the end-of-directory record, without a comment
_MAX_DIRECTORY = 2**16
_MAX_BYTES = 2**32 - 2**20  # larger archives need the ZIP64 format
_ENCRYPTED_OR_PATCHED = 0x1 | 0x20 | 0x40 | 0x2000

# The exceptions that zipfile raises for damaged archives.
_DAMAGED = (BadZipFile, NotImplementedError, EOFError, ValueError, IndexError, KeyError, RuntimeError, StructError)


class Zip:
    """A .zip that is open for reading; the names and types of all its members have been checked."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._path = path
        size = file.seek(0, SEEK_END)
        self._check_end(file, size)
        with self._translated_errors():
            self._archive = ZipFile(file)
            members = self._archive.infolist()
        if len(members) > MAX_FILES:
            raise ModelFileError(f"{path} has {len(members)} members; the limit is {MAX_FILES}.")
        self._members: dict[str, ZipInfo] = {}
        for member in members:
            self._check(member)
            self._members[member.filename] = member
        if len(self._members) != len(members):
            raise ModelFileError(f"{path} has two members with the same name.")
        if sum(member.file_size for member in members) > size:
            raise ModelFileError(f"{path} is damaged: its members are larger than the file.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._archive.close()

    def where(self, name: str) -> str:
        """The path of a member, for messages."""
        return f"{self._path}: {name}"

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a member."""
        member = self._members.get(name)
        if member is None:
            raise ModelFileError(f"{self._path} is damaged, or is not a model of seqclf: it has no {name}.")
        if member.file_size > limit:
            raise ModelFileError(
                f"{self.where(name)} is damaged: it has {member.file_size:,} bytes; expected {limit:,} or fewer."
            )
        with self._translated_errors(), self._archive.open(member) as file:
            return file.read(member.file_size)

    def check_names(self, names: set[str]) -> None:
        """Raise an error if there are members that config.json doesn't name."""
        unknown = sorted(set(self._members) - names)
        if unknown:
            raise ModelFileError(f"{self._path} has a member that config.json doesn't name: {unknown[0][:80]!r}.")

    def _check_end(self, file: BinaryIO, size: int) -> None:
        """Reject an archive with a large directory before zipfile reads it into memory."""
        file.seek(max(0, size - _END - 20))
        end = file.read(_END + 20)
        record, before = end[-_END:], end[:-_END]
        if len(record) < _END or not record.startswith(b"PK\5\6") or record[-2:] != b"\0\0":
            raise ModelFileError(f"{self._path} is damaged: the end of the .zip is missing, or it has a comment.")
        if unpack("<I", record[12:16])[0] > _MAX_DIRECTORY or before.startswith(b"PK\6\7"):
            raise ModelFileError(
                f"{self._path} is not a model of seqclf: the .zip is too large, or has too many members."
            )

    def _check(self, member: ZipInfo) -> None:
        name = member.orig_filename
        if name != member.filename or not name.isascii() or not name.replace(".", "").replace("_", "").isalnum():
            raise ModelFileError(
                f"{self._path} has a member with an invalid name: {name[:80]!r}. The files of a model must be at the "
                "top level of the .zip, not in a folder."
            )
        if S_IFMT(member.external_attr >> 16) not in (0, S_IFREG):
            raise ModelFileError(f"{self.where(name)} is a link or another special file.")
        if member.flag_bits & _ENCRYPTED_OR_PATCHED:
            raise ModelFileError(f"{self.where(name)} is encrypted.")
        if member.compress_type != ZIP_STORED or member.compress_size != member.file_size:
            raise ModelFileError(
                f"{self.where(name)} is compressed; models are stored without compression. "
                "Unpack the .zip and pass the folder."
            )

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGED as error:
            raise ModelFileError(f"{self._path} is damaged: {str(error)[:200]}.") from None
        except OSError as error:
            if error.errno != EINVAL:  # EINVAL comes from a negative offset, other codes from the disk
                raise
            raise ModelFileError(f"{self._path} is damaged: an offset is out of range.") from None


def write_zip(path: str, files: dict[str, bytes]) -> None:
    """Write a model as one .zip; an existing model at `path` is replaced. The same files give the same bytes."""
    if sum(map(len, files.values())) > _MAX_BYTES:
        raise ValueError("A model of more than 4 GB can't be saved as a .zip: save it as a folder.")

    def write(file: BinaryIO) -> None:
        with ZipFile(file, "w", ZIP_STORED, allowZip64=False) as archive:
            for name, data in files.items():
                member = ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
                member.create_system = 3  # Unix, on all systems
                member.external_attr = (S_IFREG | 0o644) << 16
                archive.writestr(member, data)

    _check_replaceable(path)
    replace_file(path, write)


def _check_replaceable(path: str) -> None:
    """Raise an error if `path` is a file other than a model."""
    if not os.path.isfile(path):
        return
    try:
        with ZipFile(path) as archive:
            is_model = {CONFIG, WEIGHTS} <= set(archive.namelist())
    except (BadZipFile, OSError):
        is_model = False
    if not is_model:
        raise FileExistsError(EEXIST, "the file is not a model of seqclf", path)
