"""The ctypes structures match the header that the kernels were compiled with."""

import ctypes
import hashlib
import json
import re
from pathlib import Path

import pytest

from seqclf._native import abi, library

SOURCES = Path(abi.__file__).parent / "csrc"
# The version of the interface, and the digest of its structures and entry points.
DIGEST = {3: "4c2ba7ca5d0b2501"}
KINDS = {"int64_t": "int", "double": "float"}


def header_fields():
    """Name and kind ("int", "float", "pointer" or a structure) of each field of each structure in abi.h."""
    text = (SOURCES / "abi.h").read_text()
    text = re.sub(r"//.*", "", text)
    structures = {}
    for name, body in re.findall(r"struct (\w+) \{(.*?)\};", text, re.DOTALL):
        fields = structures[name] = []
        for kind, names in re.findall(r"(?:const )?(\w+)\s+([^;]+);", body):
            for field in names.split(","):
                pointer = "*" in field
                assert pointer or kind in KINDS or kind in structures, (name, kind)
                field, _, length = field.strip(" *\n").rstrip("]").partition("[")
                text = "pointer" if pointer else KINDS.get(kind, kind)
                fields.append((field, f"{length} {text}" if length else text))
    return structures


def test_structures_match_the_header():
    """ctypes does not read the header: a field at a wrong offset would give the kernels a wrong address."""
    kinds = {ctypes.c_int64: "int", ctypes.c_double: "float", ctypes.c_void_p: "pointer"}

    def text_of(kind):
        if issubclass(kind, ctypes.Array):
            return f"{kind._length_} {text_of(kind._type_)}"
        return kinds.get(kind, kind.__name__)

    in_header = header_fields()
    assert len(in_header) >= 10
    for name, fields in in_header.items():
        found = [(field, text_of(kind)) for field, kind in getattr(abi, name)._fields_]
        assert found == fields, name
    defined = {
        name for name, value in vars(abi).items() if isinstance(value, type) and issubclass(value, ctypes.Structure)
    }
    assert defined == in_header.keys(), "both sides have the same structures"


def header_entry_points():
    text = (SOURCES / "entry_points.h").read_text()
    return re.findall(r"\bENTRY\((\w+), (\w+), (\w+)\)", text)


def test_entry_points_match_the_list():
    listed = {name: structure for _, name, structure in header_entry_points()}
    assert len(listed) > 10
    (split,) = re.findall(r"seqclf_(\w+)\(const (\w+) \*", (SOURCES / "word_splitter.cpp").read_text())
    assert {name: kind.__name__ for name, kind in abi.ENTRY_POINTS.items()} == listed | dict([split])


def test_constants_match_the_header():
    constants = dict(re.findall(r"const int64_t (\w+) = (-?\d+);", (SOURCES / "abi.h").read_text()))
    assert {name: int(value) for name, value in constants.items()} == {
        name: getattr(abi, name) for name in ("INTERFACE", "OUT_OF_MEMORY")
    }


def test_interface_version_changes_with_structures_and_entry_points():
    """A library that was built for other structures would misinterpret a call."""
    interface = [header_fields(), header_entry_points()]
    digest = hashlib.sha256(json.dumps(interface, sort_keys=True).encode()).hexdigest()[:16]
    assert {abi.INTERFACE: digest} == DIGEST, (
        "structures or entry points have changed: add 1 to INTERFACE in csrc/abi.h and abi.py, and update DIGEST"
    )


@pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")
def test_library_exports_all_entry_points():
    for name in abi.ENTRY_POINTS:
        function = getattr(library.load()[0], f"seqclf_{name}")
        assert function.restype == ctypes.c_int64 and function.errcheck
