"""Writes states, as returned by `to_state`, to a model file, and reads them back."""

from typing import Any

from seqclf._model_file_error import ModelFileError
from seqclf._model_files import container
from seqclf._model_files.container import Arrays, Path
from seqclf._model_files.decoding import from_json
from seqclf._model_files.encoding import to_json


def write_states(path: Path, states: dict[str, Any]) -> None:
    """Write states by document name; one name has to be "model". See `container.write`."""
    arrays: Arrays = {}
    documents = {name: to_json(state, arrays, name) for name, state in states.items()}
    container.write(path, documents, arrays)


def read_states(path: Path) -> dict[str, Any]:
    """The states that `write_states` wrote, to be checked by `Saved`. Raises the errors of `container.read`."""
    documents, arrays = container.read(path)
    states = {name: from_json(document, arrays, f"{path}: {name}") for name, document in documents.items()}
    if arrays:
        raise ModelFileError(f"{path} has an array that no document uses: {min(arrays)[:80]!r}.")
    return states
