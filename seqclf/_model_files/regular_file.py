"""Opening files that may have been put there to do harm: never a pipe or a device, and no link to one."""

import os
from stat import S_ISREG
from typing import BinaryIO

from seqclf._model_file_error import ModelFileError

# A pipe without a writer would block when it is opened.
_FLAGS = os.O_RDONLY
for _name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOCTTY"):
    _FLAGS |= getattr(os, _name, 0)


def open_regular(path: str, where: str, folder: int | None = None) -> BinaryIO:
    """A regular file, open for reading; a link to one is followed, as in the caches of registries of models.

    Parameters
    ----------
    path : str
        Its path.
    where : str
        Its name in messages.
    folder : int, default=None
        The descriptor of the open folder that `path` is relative to.
    """
    _check(os.stat(path, dir_fd=folder), where)  # before: to open a device may do something
    file = os.fdopen(os.open(path, _FLAGS, dir_fd=folder), "rb")
    try:
        _check(os.fstat(file.fileno()), where)
    except BaseException:
        file.close()
        raise
    return file


def _check(status: os.stat_result, where: str) -> None:
    if not S_ISREG(status.st_mode):
        raise ModelFileError(f"{where} is no regular file")
