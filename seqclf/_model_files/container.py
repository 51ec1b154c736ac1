"""Writes documents and arrays to a folder or a .zip, and reads them back with all checks."""

import os
from errno import ENOENT
from stat import S_ISDIR
from time import sleep
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from seqclf._model_file_error import ModelFileError
from seqclf._model_files import config, strict_json, weights
from seqclf._model_files.atomic import is_being_replaced
from seqclf._model_files.config import CONFIG, WEIGHTS, Documents
from seqclf._model_files.folder import Folder, write_folder
from seqclf._model_files.regular_file import open_regular

if TYPE_CHECKING:
    from seqclf._model_files.zip_file import Zip

Path = str | os.PathLike[str]
Arrays = dict[str, NDArray[Any]]

_TRIES, _PAUSE = 20, 0.01  # reading while a writer replaces the folder: attempts, and seconds between them
# The first bytes of pickles and of the compressed files that joblib writes.
_PICKLES = (b"\x80", b"\x78", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"]\0\0", b"\x04\x22\x4d\x18", b"ZF")


def write(path: Path, documents: Documents, arrays: Arrays) -> None:
    """Write a model as a folder, or as one file if the path ends in .zip.

    Parameters
    ----------
    path : str or PathLike
        An existing model is replaced; after an error it is unchanged.
    documents : dict
        JSON values by name. "model" becomes part of config.json, every other document a separate file.
    arrays : dict
        Contiguous arrays of numbers or booleans by name.
    """
    path = os.fspath(path)
    separate = {config.file_name(name): value for name, value in documents.items() if name != "model"}
    files = {name: strict_json.dump(value) for name, value in sorted(separate.items())}
    files[WEIGHTS] = weights.dump(arrays)
    files = {CONFIG: config.make(documents["model"], files), **files}
    if os.path.splitext(path)[1].lower() == ".zip":
        from seqclf._model_files.zip_file import write_zip  # folders don't need zipfile, which is slow to import

        write_zip(path, files)
    else:
        write_folder(path, files)


def read(path: Path) -> tuple[Documents, Arrays]:
    """The documents and arrays of a model file.

    Raises
    ------
    ModelFileError
        If it is damaged, too new, or not a model file.
    OSError
        If `path` does not exist or can't be read.
    """
    path = os.fspath(path)
    n_missing = 0
    for attempt in range(_TRIES):
        try:
            status = os.stat(path)
        except FileNotFoundError:
            # One writer may have finished and another one started between two calls of `stat`: try three times.
            n_missing += 1
            if attempt == _TRIES - 1 or (n_missing > 2 and not is_being_replaced(path)):
                raise FileNotFoundError(ENOENT, "no such model", path) from None
        else:
            if not S_ISDIR(status.st_mode):
                return _read_file(path)
            content = _read_folder(path, is_last=attempt == _TRIES - 1)
            if content is not None:
                return content
        sleep(_PAUSE)
    raise AssertionError("the last attempt returns or raises")


def _read_folder(path: str, is_last: bool) -> tuple[Documents, Arrays] | None:
    """The content of a folder, or None if a writer replaced the folder while it was being read."""
    try:
        folder = Folder(path)
    except (FileNotFoundError, NotADirectoryError):
        if is_last:
            raise
        return None
    with folder:
        try:
            return _read(folder)
        except ModelFileError:
            if is_last or not folder.has_been_replaced():
                raise
    return None


def _read_file(path: str) -> tuple[Documents, Arrays]:
    with open_regular(path, path) as file:
        head = file.read(8)
        if not head.startswith(b"PK\3\4"):
            raise ModelFileError(f"{path} is not a saved model: {_guess(path, head)}.")
        from seqclf._model_files.zip_file import Zip

        with Zip(file, path) as archive:
            return _read(archive)


def _guess(path: str, head: bytes) -> str:
    """What a file other than a .zip probably is, for the error message."""
    if os.path.basename(path) == CONFIG or path.lower().endswith((".json", ".safetensors")):
        return "it may be one file of a model. Pass the path of the folder"
    if head.startswith(_PICKLES):
        return "it may be a pickle, for example of joblib. Pickles are never read, because they can run any code"
    return "a model is a folder or a .zip. Pickles are never read, because they can run any code"


def _read(source: "Folder | Zip") -> tuple[Documents, Arrays]:
    """All documents and arrays, which are returned only after everything has been checked."""
    content = config.read(source.read(CONFIG, config.max_bytes(CONFIG)), source.where(CONFIG))
    source.check_names({CONFIG, *content["files"]})
    documents: Documents = {"model": content["model"]}
    arrays: Arrays = {}
    for name, entry in content["files"].items():
        data = source.read(name, entry["bytes"])
        config.check_data(data, entry, source.where(name))
        if name == WEIGHTS:
            arrays = weights.load(data, source.where(name))
        else:
            documents[name.removesuffix(".json")] = strict_json.load(data, source.where(name))
    return config.migrate(documents, content["format_version"]), arrays
