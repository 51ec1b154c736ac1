"""The structures that ctypes lays out, against the header that the kernels were compiled with."""

import ctypes
import re
from pathlib import Path

import pytest

from seqclf._native import abi, library

KINDS = {"int64_t": "int", "double": "float"}


def fields_of_the_header():
    """Name and kind ("int", "float", "pointer" or a structure) of each field of each structure in abi.h."""
    text = (Path(abi.__file__).parent / "csrc" / "abi.h").read_text()
    text = re.sub(r"//.*", "", text)
    found = {}
    for name, body in re.findall(r"struct (\w+) \{(.*?)\};", text, re.DOTALL):
        fields = found[name] = []
        for kind, names in re.findall(r"(?:const )?(\w+)\s+([^;]+);", body):
            for field in names.split(","):
                pointer = "*" in field
                assert pointer or kind in KINDS or kind in found, (name, kind)
                field, _, length = field.strip(" *\n").rstrip("]").partition("[")
                text = "pointer" if pointer else KINDS.get(kind, kind)
                fields.append((field, f"{length} {text}" if length else text))
    return found


def test_the_structures_are_those_of_the_header():
    """ctypes has no header to read; a field out of place would give the kernels a wrong address."""
    kinds = {ctypes.c_int64: "int", ctypes.c_double: "float", ctypes.c_void_p: "pointer"}

    def text_of(kind):
        if issubclass(kind, ctypes.Array):
            return f"{kind._length_} {text_of(kind._type_)}"
        return kinds.get(kind, kind.__name__)

    in_header = fields_of_the_header()
    assert len(in_header) >= 10
    for name, fields in in_header.items():
        found = [(field, text_of(kind)) for field, kind in getattr(abi, name)._fields_]
        assert found == fields, name
    defined = {
        name for name, value in vars(abi).items() if isinstance(value, type) and issubclass(value, ctypes.Structure)
    }
    assert defined == in_header.keys(), "the structures on both sides are the same"


@pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")
def test_the_entry_points_are_those_of_the_list():
    """Each is in the library, with the type of its result, and reads a structure of this file."""
    text = (Path(abi.__file__).parent / "csrc" / "entry_points.h").read_text()
    listed = re.findall(r"\bENTRY\((\w+), (\w+), (\w+)\)", text)
    assert len(listed) > 10
    for result, name, structure in listed:
        function = getattr(library.load()[0], f"seqclf_{name}")
        assert function.restype == (ctypes.c_int64 if result == "int64_t" else ctypes.c_int), name
        assert issubclass(getattr(abi, structure), ctypes.Structure)
