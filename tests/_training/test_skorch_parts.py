"""skorch is imported in one place; tests/faults/test_interpreter.py runs Python without docstrings."""

import re
from pathlib import Path

import seqclf


def test_only_skorch_parts_imports_skorch():
    """Another import would fail with an error of skorch under `python -OO`."""
    package = Path(seqclf.__file__).parent
    importing = re.compile(r"^\s*(from|import) skorch\b", re.MULTILINE)
    files = {
        file.relative_to(package).as_posix() for file in package.rglob("*.py") if importing.search(file.read_text())
    }
    assert files == {"_training/skorch_parts.py"}
