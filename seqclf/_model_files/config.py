"""config.json: what a model file is, its version, its other files and their checksums.

The policy for versions: files of all older formats are read, by the migrations below. What is added to the state of
an estimator, with a default for files that don't have it, leaves the number as it is. A change of what a value means,
or of the files, raises `FORMAT` by 1 and adds a migration from the format before. A newer format is refused, because
a file that is read with the wrong meaning gives wrong predictions without an error.
"""

from collections.abc import Callable
from hashlib import sha256
from re import fullmatch
from typing import Any

from seqclf._model_file_error import ModelFileError
from seqclf._model_files import strict_json
from seqclf._model_files.limits import MAX_FILES, MAX_JSON_BYTES, MAX_WEIGHTS_BYTES

Documents = dict[str, Any]

FORMAT = 1
# From each older format to the next one: a function of all documents. The arrays stay as they are.
MIGRATIONS: dict[int, Callable[[Documents], Documents]] = {}

CONFIG, WEIGHTS = "config.json", "weights.safetensors"
_NO_DOCUMENTS = {"config", "weights", "con", "prn", "aux", "nul"}  # our own files, and devices of Windows


def file_name(document: str) -> str:
    """The file of a document other than "model"; ValueError for a name that isn't one on every system."""
    if not fullmatch("[a-z][a-z_]{0,39}", document) or document in _NO_DOCUMENTS:
        raise ValueError(f"{document!r} can't be the name of a document")
    return f"{document}.json"


def make(model: Any, files: dict[str, bytes]) -> bytes:
    """config.json for the document "model" and the other files."""
    config = {
        "format": "seqclf",
        "format_version": FORMAT,
        "files": {name: {"bytes": len(data), "sha256": sha256(data).hexdigest()} for name, data in files.items()},
        "model": model,
    }
    if len(files) >= MAX_FILES:
        raise ValueError(f"{len(files)} documents; the limit is {MAX_FILES}")
    return strict_json.dump_indented({"sha256": _checksum(config), **config})


def read(data: bytes, where: str) -> dict[str, Any]:
    """The values of config.json, all of them checked but "model"."""
    config = strict_json.load(data, where)
    if not is_ours(config):
        raise ModelFileError(f'{where} is not of a model of seqclf: it has no "format": "seqclf"')
    version = config.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelFileError(f"{where}: the format_version is {str(version)[:40]}; expected 1 or more")
    if version > FORMAT:
        raise ModelFileError(
            f"{where} has format {version}; this version of seqclf reads formats up to {FORMAT}. "
            "Update seqclf, or save the model again with the older version"
        )
    if set(config) != {"format", "format_version", "sha256", "files", "model"}:
        raise ModelFileError(f"{where} has missing or unknown entries")
    rest = {name: value for name, value in config.items() if name != "sha256"}
    if config["sha256"] != _checksum(rest):
        raise ModelFileError(f"{where} is damaged: it doesn't have the checksum that it states")
    _check_files(config["files"], where)
    return config


def is_ours(config: Any) -> bool:
    """Whether a JSON value names our format."""
    return isinstance(config, dict) and config.get("format") == "seqclf"


def check_data(data: bytes, stated: dict[str, Any], where: str) -> None:
    """Raise an error if a file does not have the length and the checksum that config.json states."""
    if len(data) != stated["bytes"]:
        raise ModelFileError(f"{where} has {len(data):,} bytes; config.json says {stated['bytes']:,}")
    if sha256(data).hexdigest() != stated["sha256"]:
        raise ModelFileError(f"{where} is damaged: it doesn't have the checksum that config.json states")


def migrate(documents: Documents, version: int) -> Documents:
    """Documents of an older format in the form of this one."""
    for older in range(version, FORMAT):
        documents = MIGRATIONS[older](documents)
    return documents


def limit_of(name: str) -> int:
    """How many bytes a file of this name may have."""
    return MAX_WEIGHTS_BYTES if name == WEIGHTS else MAX_JSON_BYTES


def _checksum(rest: dict[str, Any]) -> str:
    return sha256(strict_json.dump_sorted(rest)).hexdigest()


def _check_files(files: Any, where: str) -> None:
    if not isinstance(files, dict) or WEIGHTS not in files or len(files) >= MAX_FILES:
        raise ModelFileError(f"{where}: bad list of files")
    for name, stated in files.items():
        try:
            known = name == WEIGHTS or file_name(name.removesuffix(".json")) == name
        except ValueError:
            known = False
        if not known:
            raise ModelFileError(f"{where} names an unknown file {name[:80]!r}")
        if not (
            isinstance(stated, dict)
            and set(stated) == {"bytes", "sha256"}
            and type(stated["bytes"]) is int
            and 0 <= stated["bytes"] <= limit_of(name)
            and type(stated["sha256"]) is str
        ):
            raise ModelFileError(f"{where}: bad length or checksum of {name}")
