"""config.json: the format and its version, the other files and their checksums, and the document "model".

Version policy: files of all older formats can be loaded; the migrations below convert them. A value that is added to a
state, with a default for files without it, does not change the format. If the meaning of a value or the set of files
changes, `FORMAT` is raised by 1 and a migration from the previous format is added. A newer format is rejected, because
misinterpreting a file would give wrong predictions without an error.
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
# Functions that convert all documents from one format to the next. The arrays are never converted.
MIGRATIONS: dict[int, Callable[[Documents], Documents]] = {}

CONFIG, WEIGHTS = "config.json", "weights.safetensors"
_RESERVED_NAMES = {"config", "weights", "con", "prn", "aux", "nul"}  # our own files, and device names of Windows


def file_name(document: str) -> str:
    """The file name of a document other than "model"; ValueError if the name is not valid on every system."""
    if not fullmatch("[a-z][a-z_]{0,39}", document) or document in _RESERVED_NAMES:
        raise ValueError(f"{document!r} can't be the name of a document.")
    return f"{document}.json"


def make(model: Any, files: dict[str, bytes]) -> bytes:
    """The bytes of config.json for the document "model" and the other files."""
    config = {
        "format": "seqclf",
        "format_version": FORMAT,
        "files": {name: {"bytes": len(data), "sha256": sha256(data).hexdigest()} for name, data in files.items()},
        "model": model,
    }
    if len(files) >= MAX_FILES:
        raise ValueError(f"The model has {len(files)} documents; the limit is {MAX_FILES}.")
    return strict_json.dump_indented({"sha256": _checksum(config), **config})


def read(data: bytes, where: str) -> dict[str, Any]:
    """The content of config.json, checked except for "model"."""
    config = strict_json.load(data, where)
    if not is_seqclf_config(config):
        raise ModelFileError(f'{where} does not belong to a model of seqclf: it has no "format": "seqclf".')
    version = config.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelFileError(f"{where}: format_version is {str(version)[:40]}; expected an integer >= 1.")
    if version > FORMAT:
        raise ModelFileError(
            f"{where} has format {version}; this version of seqclf can load formats up to {FORMAT}. "
            "Update seqclf, or save the model again with an older version."
        )
    if set(config) != {"format", "format_version", "sha256", "files", "model"}:
        raise ModelFileError(f"{where} has missing or unknown entries.")
    content = {name: value for name, value in config.items() if name != "sha256"}
    if config["sha256"] != _checksum(content):
        raise ModelFileError(f"{where} is damaged: its content doesn't match its checksum.")
    _check_files(config["files"], where)
    return config


def is_seqclf_config(config: Any) -> bool:
    """Whether a JSON value is a config.json of seqclf."""
    return isinstance(config, dict) and config.get("format") == "seqclf"


def check_data(data: bytes, entry: dict[str, Any], where: str) -> None:
    """Raise an error if a file does not match its length and checksum in config.json."""
    if len(data) != entry["bytes"]:
        raise ModelFileError(f"{where} has {len(data):,} bytes; expected {entry['bytes']:,}, as in config.json.")
    if sha256(data).hexdigest() != entry["sha256"]:
        raise ModelFileError(f"{where} is damaged: it doesn't match its checksum in config.json.")


def migrate(documents: Documents, version: int) -> Documents:
    """Documents of an older format, converted to the current one."""
    for older in range(version, FORMAT):
        documents = MIGRATIONS[older](documents)
    return documents


def max_bytes(name: str) -> int:
    """The maximum size of the file with this name, in bytes."""
    return MAX_WEIGHTS_BYTES if name == WEIGHTS else MAX_JSON_BYTES


def _checksum(content: dict[str, Any]) -> str:
    return sha256(strict_json.dump_sorted(content)).hexdigest()


def _check_files(files: Any, where: str) -> None:
    if not isinstance(files, dict) or WEIGHTS not in files or len(files) >= MAX_FILES:
        raise ModelFileError(f"{where}: invalid list of files.")
    for name, entry in files.items():
        try:
            is_valid = name == WEIGHTS or file_name(name.removesuffix(".json")) == name
        except ValueError:
            is_valid = False
        if not is_valid:
            raise ModelFileError(f"{where} names an unknown file {name[:80]!r}.")
        if not (
            isinstance(entry, dict)
            and set(entry) == {"bytes", "sha256"}
            and type(entry["bytes"]) is int
            and 0 <= entry["bytes"] <= max_bytes(name)
            and type(entry["sha256"]) is str
        ):
            raise ModelFileError(f"{where}: invalid length or checksum of {name}.")
