"""Opens files that may be malicious: never a pipe, a device, or a link to one."""

import os
from stat import S_ISREG
from typing import BinaryIO

from seqclf._model_file_error import ModelFileError

# O_NONBLOCK: opening a pipe without a writer would block.
_FLAGS = os.O_RDONLY
for _name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOCTTY"):
    _FLAGS |= getattr(os, _name, 0)


def open_regular(path: str, where: str, folder: int | None = None) -> BinaryIO:
    """Open a regular file for reading; links are followed, because caches of model registries contain links.

    Parameters
    ----------
    path : str
        The path of the file.
    where : str
        The name of the file in messages.
    folder : int, default=None
        Descriptor of an open folder to which `path` is relative.
    """
    _check(os.stat(path, dir_fd=folder), where)  # before opening: opening a device can have side effects
    file = os.fdopen(os.open(path, _FLAGS, dir_fd=folder), "rb")
    try:
        _check(os.fstat(file.fileno()), where)
    except BaseException:
        file.close()
        raise
    return file


def _check(status: os.stat_result, where: str) -> None:
    if not S_ISREG(status.st_mode):
        raise ModelFileError(f"{where} is not a regular file.")
