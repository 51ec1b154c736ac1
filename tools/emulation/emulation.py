"""A pytest plugin: the tests call the kernels of another processor or system, which run in an emulator next to them.

``SEQCLF_EMULATION`` is the command that starts `driver.cpp`, built for that processor, with the library as argument.
``SEQCLF_EMULATION_INSTRUCTIONS`` is what the library has to choose there, or "any". The tests, the reference and torch
run here. The size of the memory behind a pointer is known from the tensor or array whose address was taken: all of it
is sent, and what was changed comes back.
"""

import ctypes
import os
import shlex
import struct
import subprocess
import threading
from functools import cache, partial

import pytest
import torch
from hypothesis import settings

from seqclf._native import abi, library


class FarLibrary:
    """The `ctypes.CDLL` of the library that runs in the emulator.

    There are three kinds of functions: one takes a structure by address and returns a number; one takes a text and
    returns a number; one returns a text.
    """

    def __init__(self, command):
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._lock = threading.Lock()
        self._memory = {}  # address -> (start, size) of the piece that it lies in
        self.n_calls = 0

    def __getattr__(self, name):
        if not name.startswith("seqclf_"):
            raise AttributeError(name)
        return partial(self._call, name.encode())

    def close(self):
        self._process.stdin.close()
        assert self._process.wait(30) == 0, f"the driver ended with status {self._process.returncode}"

    def record(self, address, start, size):
        """The memory from `start` on belongs to `address`, until another piece is recorded for it."""
        self._memory[address] = (start, size)

    def _call(self, name, *arguments):
        with self._lock:
            try:
                if not arguments:
                    self._send(b"g" + _text(name))
                    return self._receive(*struct.unpack("<I", self._receive(4)))
                if isinstance(arguments[0], bytes):
                    self._send(b"t" + _text(name) + _text(arguments[0]))
                    return struct.unpack("<i", self._receive(4))[0]
                result = self._call_with_structure(name, arguments[0]._obj)
            except (BrokenPipeError, EOFError) as error:
                status = self._process.wait(30)
                raise RuntimeError(f"{name.decode()}: the driver ended with status {status}") from error
        self.n_calls += 1
        return result

    def _call_with_structure(self, name, structure):
        pieces, pointers = {}, []  # (start, size) -> its number; (field, piece, offset)
        for field, offset, address in pointers_of(structure):
            if not address:
                continue
            if address not in self._memory:
                raise LookupError(f"{name.decode()}: nothing is known of the memory behind {field!r}")
            piece = self._memory[address]
            pointers.append((offset, pieces.setdefault(piece, len(pieces)), address - piece[0]))
        sent = [ctypes.string_at(start, size) for start, size in pieces]
        message = [b"s", _text(name), _text(bytes(structure)), struct.pack("<I", len(pieces))]
        for (start, size), content in zip(pieces, sent, strict=True):
            message += [struct.pack("<QQ", size, start % 64), content]
        message += [struct.pack("<I", len(pointers)), *(struct.pack("<IIQ", *pointer) for pointer in pointers)]
        self._send(b"".join(message))
        for (start, size), before in zip(pieces, sent, strict=True):
            content = self._receive(size)
            if content != before:  # what a call only reads may be in use by another one
                ctypes.memmove(start, content, size)
        return struct.unpack("<q", self._receive(8))[0]

    def _send(self, message):
        self._process.stdin.write(message)
        self._process.stdin.flush()

    def _receive(self, size):
        content = self._process.stdout.read(size)
        if len(content) < size:
            raise EOFError
        return content


def _text(content):
    return struct.pack("<I", len(content)) + content


def pointers_of(structure, start=0):
    """(name, position, address) of every pointer in a ctypes structure and those inside it."""
    for name, kind in structure._fields_:
        value, position = getattr(structure, name), start + getattr(type(structure), name).offset
        if issubclass(kind, ctypes.Structure):
            yield from pointers_of(value, position)
        elif issubclass(kind, ctypes.Array):
            for index, each in enumerate(value):
                yield from pointers_of(each, position + index * ctypes.sizeof(each))
        elif kind is ctypes.c_void_p:
            yield name, position, value


def replace_library(far):
    """Have the package call `far`, and record the memory whose addresses are taken: of tensors, and of arrays."""
    true_data_ptr, true_address = torch.Tensor.data_ptr, abi.address

    def data_ptr(tensor):
        found = true_data_ptr(tensor)
        if found:
            storage = tensor.untyped_storage()
            far.record(found, storage.data_ptr(), storage.nbytes())
        return found

    def address(values):
        found = true_address(values)
        if found and values.size:  # There may be gaps between the values.
            steps = zip(values.shape, values.strides, strict=True)
            far.record(found, found, values.itemsize + sum((n - 1) * stride for n, stride in steps))
        elif found:
            far.record(found, found, 0)
        return found

    text = f"fused kernels for {far.seqclf_instructions().decode()}"
    torch.Tensor.data_ptr, abi.address, library.load = data_ptr, address, cache(lambda: (far, text))


class Report:
    """Which tests called the far library: one that passed without it says nothing of it."""

    def __init__(self, far):
        self._far, self._n_passed, self._without = far, 0, []

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item):
        before = self._far.n_calls
        outcome = yield
        if outcome.excinfo is None:
            self._n_passed += 1
            if self._far.n_calls == before:
                self._without.append(item.nodeid)

    def pytest_sessionfinish(self, session):
        if self._n_passed == len(self._without) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        n_with, n_calls = self._n_passed - len(self._without), self._far.n_calls
        terminalreporter.write_line(
            f"emulated: {n_with} of the {self._n_passed} passed tests called the library, {n_calls} times; not these:"
        )
        for name in self._without:
            terminalreporter.write_line(f"  {name}")

    def pytest_unconfigure(self):
        self._far.close()


def pytest_configure(config):
    """Start the driver before the tests are collected: they ask the library what it has."""
    far = FarLibrary(shlex.split(os.environ["SEQCLF_EMULATION"]))
    chosen, expected = far.seqclf_instructions().decode(), os.environ["SEQCLF_EMULATION_INSTRUCTIONS"]
    if expected not in ("any", chosen):
        pytest.exit(f"The library has chosen the instructions {chosen}; expected {expected}.", 4)
    replace_library(far)
    settings.register_profile("emulated", deadline=None)  # an emulator takes long, and that says nothing
    settings.load_profile("emulated")
    config.pluginmanager.register(Report(far), "seqclf-emulation-report")
