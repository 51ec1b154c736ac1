"""A pytest plugin: the tests call the kernels of another processor or system, which run in an emulator.

``SEQCLF_EMULATION`` is the command that starts `driver.cpp`, built for that processor, with the library as argument.
``SEQCLF_EMULATION_INSTRUCTIONS`` is the instruction set that the library has to select there, or "any". The tests, the
reference implementation and torch run natively. The plugin records the memory of each tensor or array whose address is
taken. A call sends all memory that its pointers point to, and the driver sends it back.
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

# Structures that point to other structures, whose pointers the driver cannot translate.
NESTED = (abi.TableLookUp, abi.OptimizerUpdate, abi.SyncLazyRows)


class RemoteLibrary:
    """Replaces the `ctypes.CDLL` of the library, which runs in the emulator.

    There are three kinds of functions: they take a structure by address and return an integer, or take a string and
    return an integer, or return a string.
    """

    def __init__(self, command):
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._lock = threading.Lock()
        self._memory = {}  # address -> (start, size) of the block that contains it
        self.n_calls = 0

    def __getattr__(self, name):
        if not name.startswith("seqclf_"):
            raise AttributeError(name)
        return partial(self._call, name.encode())

    def close(self):
        self._process.stdin.close()
        assert self._process.wait(30) == 0, f"the driver ended with status {self._process.returncode}"

    def record(self, address, start, size):
        """Record the block of memory that contains `address`; it replaces an earlier one."""
        self._memory[address] = (start, size)

    def _call(self, name, *arguments):
        with self._lock:
            try:
                if not arguments:
                    self._send(b"g" + _with_size(name))
                    return self._receive(*struct.unpack("<I", self._receive(4)))
                if isinstance(arguments[0], bytes):
                    self._send(b"t" + _with_size(name) + _with_size(arguments[0]))
                    return struct.unpack("<i", self._receive(4))[0]
                result = self._call_with_structure(name, arguments[0]._obj)
            except (BrokenPipeError, EOFError) as error:
                status = self._process.wait(30)
                raise RuntimeError(f"{name.decode()}: the driver ended with status {status}") from error
        self.n_calls += 1
        return result

    def _call_with_structure(self, name, structure):
        if isinstance(structure, NESTED):
            pytest.skip(f"{name.decode()} is not emulated: its structure points to others")
        blocks, pointers = {}, []  # (start, size) -> its index; (field, block, offset)
        for field, offset, address in pointers_of(structure):
            if not address:
                continue
            if address not in self._memory:
                raise LookupError(f"{name.decode()}: no memory was recorded for the pointer {field!r}")
            block = self._memory[address]
            pointers.append((offset, blocks.setdefault(block, len(blocks)), address - block[0]))
        sent = [ctypes.string_at(start, size) for start, size in blocks]
        message = [b"s", _with_size(name), _with_size(bytes(structure)), struct.pack("<I", len(blocks))]
        for (start, size), content in zip(blocks, sent, strict=True):
            message += [struct.pack("<QQ", size, start % 64), content]
        message += [struct.pack("<I", len(pointers)), *(struct.pack("<IIQ", *pointer) for pointer in pointers)]
        self._send(b"".join(message))
        for (start, size), before in zip(blocks, sent, strict=True):
            content = self._receive(size)
            if content != before:  # memory that a call only reads can be in use by another call
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


def _with_size(content):
    return struct.pack("<I", len(content)) + content


def pointers_of(structure, start=0):
    """(name, offset, address) of every pointer in a ctypes structure and its nested structures."""
    for name, kind in structure._fields_:
        value, offset = getattr(structure, name), start + getattr(type(structure), name).offset
        if issubclass(kind, ctypes.Structure):
            yield from pointers_of(value, offset)
        elif issubclass(kind, ctypes.Array):
            for index, each in enumerate(value):
                yield from pointers_of(each, offset + index * ctypes.sizeof(each))
        elif kind is ctypes.c_void_p:
            yield name, offset, value


def replace_library(remote):
    """Make the package call `remote`, and record the memory of tensors and arrays whose address is taken."""
    true_data_ptr, true_address = torch.Tensor.data_ptr, abi.address

    def data_ptr(tensor):
        found = true_data_ptr(tensor)
        if found:
            storage = tensor.untyped_storage()
            remote.record(found, storage.data_ptr(), storage.nbytes())
        return found

    def address(values):
        found = true_address(values)
        if found and values.size:  # The array can have gaps.
            steps = zip(values.shape, values.strides, strict=True)
            remote.record(found, found, values.itemsize + sum((n - 1) * stride for n, stride in steps))
        elif found:
            remote.record(found, found, 0)
        return found

    text = f"fused kernels for {remote.seqclf_instructions().decode()}"
    torch.Tensor.data_ptr, abi.address, library.load = data_ptr, address, cache(lambda: (remote, text))


class Report:
    """Lists the tests that passed without a call of the library, because they do not test it."""

    def __init__(self, remote):
        self._remote, self._n_passed, self._without_call = remote, 0, []

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item):
        before = self._remote.n_calls
        outcome = yield
        if outcome.excinfo is None:
            self._n_passed += 1
            if self._remote.n_calls == before:
                self._without_call.append(item.nodeid)

    def pytest_sessionfinish(self, session):
        if self._n_passed == len(self._without_call) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        n_with, n_calls = self._n_passed - len(self._without_call), self._remote.n_calls
        terminalreporter.write_line(
            f"emulated: {n_with} of the {self._n_passed} passed tests called the library, {n_calls} times; not these:"
        )
        for name in self._without_call:
            terminalreporter.write_line(f"  {name}")

    def pytest_unconfigure(self):
        self._remote.close()


def pytest_configure(config):
    """Start the driver before the collection of the tests, which query the library."""
    remote = RemoteLibrary(shlex.split(os.environ["SEQCLF_EMULATION"]))
    chosen, expected = remote.seqclf_instructions().decode(), os.environ["SEQCLF_EMULATION_INSTRUCTIONS"]
    if expected not in ("any", chosen):
        pytest.exit(f"The library selected the instruction set {chosen}; expected {expected}.", 4)
    replace_library(remote)
    settings.register_profile("emulated", deadline=None)  # an emulator is slow
    settings.load_profile("emulated")
    config.pluginmanager.register(Report(remote), "seqclf-emulation-report")
