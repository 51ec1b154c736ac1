"""That skorch is imported in one place; tests/faults/test_interpreter.py starts Python without docstrings."""

import re
from pathlib import Path

import seqclf


def test_no_other_file_imports_skorch():
    """One that did would fail under `python -OO` with an error of skorch's own."""
    package = Path(seqclf.__file__).parent
    importing = re.compile(r"^\s*(from|import) skorch\b", re.MULTILINE)
    files = {
        file.relative_to(package).as_posix() for file in package.rglob("*.py") if importing.search(file.read_text())
    }
    assert files == {"_training/skorch_parts.py"}
