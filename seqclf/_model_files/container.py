"""Writing and reading model files: documents and arrays to a folder or a .zip, and back after all checks."""

import os
from errno import ENOENT
from stat import S_ISDIR
from time import sleep
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from seqclf._model_file_error import ModelFileError
from seqclf._model_files import config, strict_json, weights
from seqclf._model_files.atomic import being_replaced
from seqclf._model_files.config import CONFIG, WEIGHTS, Documents
from seqclf._model_files.folder import Folder, write_folder
from seqclf._model_files.regular_file import open_regular

if TYPE_CHECKING:
    from seqclf._model_files.zip_file import Zip

Path = str | os.PathLike[str]
Arrays = dict[str, NDArray[Any]]

_TRIES, _PAUSE = 20, 0.01  # while a writer replaces a folder, in seconds
_PICKLES = (b"\x80", b"\x78", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"]\0\0", b"\x04\x22\x4d\x18", b"ZF")


def write(path: Path, documents: Documents, arrays: Arrays) -> None:
    """Write a model as a folder, or as one file if the path ends in .zip.

    Parameters
    ----------
    path : str or PathLike
        Where to. A model that is there is replaced, and stays as it is if anything goes wrong.
    documents : dict
        JSON values by their names. "model" becomes a part of config.json, each other one a file of its own.
    arrays : dict
        Contiguous arrays of numbers or booleans by their names.
    """
    path = os.fspath(path)
    others = {config.file_name(name): value for name, value in documents.items() if name != "model"}
    files = {name: strict_json.dump(value) for name, value in sorted(others.items())}
    files[WEIGHTS] = weights.dump(arrays)
    files = {CONFIG: config.make(documents["model"], files), **files}
    if os.path.splitext(path)[1].lower() == ".zip":
        from seqclf._model_files.zip_file import write_zip  # zipfile is slow to import, and folders don't need it

        write_zip(path, files)
    else:
        write_folder(path, files)


def read(path: Path) -> tuple[Documents, Arrays]:
    """The documents and arrays of a model file.

    Raises
    ------
    ModelFileError
        If it is damaged, too new, or no model file.
    OSError
        If there is nothing at `path`, or it may not be read.
    """
    path = os.fspath(path)
    n_missing = 0
    for attempt in range(_TRIES):
        try:
            status = os.stat(path)
        except FileNotFoundError:
            # A writer may have finished in the meantime, and another one begun: so look three times.
            n_missing += 1
            if attempt == _TRIES - 1 or (n_missing > 2 and not being_replaced(path)):
                raise FileNotFoundError(ENOENT, "there is no model", path) from None
        else:
            if not S_ISDIR(status.st_mode):
                return _read_file(path)
            found = _read_folder(path, is_last=attempt == _TRIES - 1)
            if found is not None:
                return found
        sleep(_PAUSE)
    raise AssertionError("the last attempt returns or raises")


def _read_folder(path: str, is_last: bool) -> tuple[Documents, Arrays] | None:
    """What is in a folder, or None if a writer has replaced it before all was read."""
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
            if is_last or not folder.was_replaced():
                raise
    return None


def _read_file(path: str) -> tuple[Documents, Arrays]:
    with open_regular(path, path) as file:
        head = file.read(8)
        if not head.startswith(b"PK\3\4"):
            raise ModelFileError(f"{path} is no saved model: {_guess(path, head)}")
        from seqclf._model_files.zip_file import Zip

        with Zip(file, path) as archive:
            return _read(archive)


def _guess(path: str, head: bytes) -> str:
    """What a file that is no .zip may be, for the error."""
    if os.path.basename(path) == CONFIG or path.lower().endswith((".json", ".safetensors")):
        return "it may be one file of a model. Give the path of the folder that it is in"
    if head.startswith(_PICKLES):
        return (
            "it is a pickle, of joblib for example, or compressed. A pickle can run any code, so it is never read here"
        )
    return "a model is a folder or a .zip. Pickles are never read here, because they can run any code"


def _read(source: "Folder | Zip") -> tuple[Documents, Arrays]:
    """All documents and arrays; nothing is given back before everything has been checked."""
    stated = config.read(source.read(CONFIG, config.limit_of(CONFIG)), source.where(CONFIG))
    source.check_names({CONFIG, *stated["files"]})
    documents: Documents = {"model": stated["model"]}
    arrays: Arrays = {}
    for name, entry in stated["files"].items():
        data = source.read(name, entry["bytes"])
        config.check_data(data, entry, source.where(name))
        if name == WEIGHTS:
            arrays = weights.load(data, source.where(name))
        else:
            documents[name.removesuffix(".json")] = strict_json.load(data, source.where(name))
    return config.migrate(documents, stated["format_version"]), arrays
