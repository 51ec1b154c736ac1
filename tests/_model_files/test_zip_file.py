"""A model as one .zip: the names, types and sizes of all members are checked before any member is read."""

import io
import os
import stat
import struct
import subprocess
import sys
import warnings
import zipfile
from time import perf_counter

import numpy as np
import pytest

from seqclf._model_file_error import ModelFileError
from seqclf._model_files import container, zip_file


def put(archive, change=lambda info: None, more=(), compression=zipfile.ZIP_STORED, skip=()):
    """Rewrite the members of a model, each after `change(info)`, and then `more`: pairs of name (or info) and data."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as rewritten:
        for name, data in archive.files.items():
            if name not in skip:
                info = zipfile.ZipInfo(name)
                info.compress_type = compression
                change(info)
                rewritten.writestr(info, data)
        for name, data in more:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # zipfile warns about duplicate names
                rewritten.writestr(name, data)
    archive.path.write_bytes(buffer.getvalue())


def test_read_accepts_archives_of_other_programs(archive, is_original):
    put(archive)
    assert is_original(archive.read())
    put(archive, lambda info: setattr(info, "external_attr", (stat.S_IFREG | 0o600) << 16))
    assert is_original(archive.read())


def test_write_zip_is_deterministic(archive, content, tmp_path):
    container.write(tmp_path / "again.ZIP", *content)
    assert (tmp_path / "again.ZIP").read_bytes() == archive.path.read_bytes()
    with zipfile.ZipFile(archive.path) as opened:
        assert opened.namelist() == ["config.json", "tokenizer.json", "weights.safetensors"]
        assert opened.testzip() is None


@pytest.mark.parametrize(
    "name",
    [
        "../evil.json",
        "/etc/passwd",
        "C:\\evil.json",
        "a\\b.json",
        "folder/x.json",
        "folder/",
        "config.json\0.txt",
        "..",
        ".",
        "é.json",
        "a b.json",
        "x\n.json",
        "",
    ],
)
def test_zip_rejects_invalid_member_names(archive, name):
    if name == "" or "\0" in name or "\\" in name:  # zipfile changes such names when it writes
        put(archive, more=[("q" * max(1, len(name)), b"{}")])
        raw = archive.path.read_bytes().replace(b"q" * max(1, len(name)), name.encode() or b"\0")
        archive.path.write_bytes(raw)
    else:
        put(archive, more=[(name, b"{}")])
    with pytest.raises(ModelFileError, match=r"invalid name|doesn't name|damaged"):
        archive.read()


def test_check_names_rejects_unlisted_members(archive):
    put(archive, more=[("other.json", b"{}")])
    with pytest.raises(ModelFileError, match=r"doesn't name: 'other.json'"):
        archive.read()


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors"])
def test_zip_rejects_duplicate_names(archive, name):
    put(archive, more=[(name, archive.files[name])])
    with pytest.raises(ModelFileError, match="two members with the same name"):
        archive.read()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "weights.safetensors"])
def test_read_names_a_missing_member(archive, name):
    put(archive, skip=[name])
    with pytest.raises(ModelFileError, match=f"has no {name}"):
        archive.read()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFDIR, stat.S_IFCHR])
def test_zip_rejects_links_and_devices(archive, kind):
    put(archive, lambda info: setattr(info, "external_attr", (kind | 0o777) << 16))
    with pytest.raises(ModelFileError, match="a link or another special file"):
        archive.read()


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_rejects_compressed_members(archive, compression):
    put(archive, compression=compression)
    with pytest.raises(ModelFileError, match=r"is compressed; .*Unpack"):
        archive.read()


def test_zip_rejects_a_zip_bomb_quickly(archive):
    archive.files["weights.safetensors"] = bytes(200_000_000)
    put(archive, compression=zipfile.ZIP_DEFLATED)
    start = perf_counter()
    with pytest.raises(ModelFileError, match="is compressed"):
        archive.read()
    assert perf_counter() - start < 0.5


def records(data, signature):
    """The offsets of the records with a signature."""
    offsets, offset = [], data.find(signature)
    while offset >= 0:
        offsets.append(offset)
        offset = data.find(signature, offset + 4)
    return offsets


@pytest.mark.parametrize("bit", [0x1, 0x20, 0x40, 0x2000, 0x2001])
def test_zip_rejects_encrypted_members(archive, bit):
    data = bytearray(archive.path.read_bytes())
    for offset in records(bytes(data), b"PK\1\2"):
        struct.pack_into("<H", data, offset + 8, bit)
    archive.path.write_bytes(data)
    with pytest.raises(ModelFileError, match="is encrypted"):
        archive.read()


@pytest.mark.parametrize("size", [0, 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("fields", [(20, 24), (20,), (24,)])
def test_zip_rejects_wrong_sizes(archive, size, fields):
    data = bytearray(archive.path.read_bytes())
    for field in fields:
        struct.pack_into("<I", data, records(bytes(data), b"PK\1\2")[-1] + field, size)
    archive.path.write_bytes(data)
    with pytest.raises(ModelFileError):
        archive.read()


def test_zip_rejects_overlapping_members(archive):
    """All entries of the directory refer to the same member."""
    data = bytearray(archive.path.read_bytes())
    offsets = records(bytes(data), b"PK\1\2")
    for offset in offsets:
        data[offset + 42 : offset + 46] = data[offsets[-1] + 42 : offsets[-1] + 46]
    archive.path.write_bytes(data)
    with pytest.raises(ModelFileError):
        archive.read()


def test_read_rejects_a_wrong_crc(archive):
    data = archive.path.read_bytes()
    offset = records(data, b"PK\1\2")[-1] + 16
    archive.path.write_bytes(data[:offset] + b"\0\0\0\0" + data[offset + 4 :])
    with pytest.raises(ModelFileError, match="is damaged"):
        archive.read()


def test_zip_rejects_too_many_members_before_reading_the_directory(archive):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as large:
        for index in range(5000):
            large.writestr(f"x{index}.json", b"")
    archive.path.write_bytes(buffer.getvalue())
    with pytest.raises(ModelFileError, match="too many members"):
        archive.read()
    put(archive, more=[(f"{letter}.json", b"{}") for letter in "abcdefghijklmnop"])
    with pytest.raises(ModelFileError, match="19 members"):
        archive.read()


def test_zip_rejects_zip64_records(archive):
    data = archive.path.read_bytes()
    archive.path.write_bytes(data[:-22] + b"PK\6\7" + bytes(16) + data[-22:])
    with pytest.raises(ModelFileError, match="too large"):
        archive.read()


def test_zip_rejects_comments_and_surrounding_bytes(archive):
    data = archive.path.read_bytes()
    for changed in (data + b"x", data[:-2] + b"\1\0x", b"x" + data, b"PK\3\4" + data[:-1]):
        archive.path.write_bytes(changed)
        with pytest.raises(ModelFileError):
            archive.read()


def test_write_zip_checks_the_size_before_writing(tmp_path, tune):
    tune(max_zip_bytes=100)
    with pytest.raises(ValueError, match="save it as a folder"):
        zip_file.write_zip(str(tmp_path / "a.zip"), {"a": bytes(101)})
    assert os.listdir(tmp_path) == []


def test_write_zip_does_not_replace_a_folder(tmp_path):
    (tmp_path / "a.zip").mkdir()
    with pytest.raises(IsADirectoryError):
        container.write(tmp_path / "a.zip", {"model": 1}, {"a": np.zeros(1)})
    assert os.listdir(tmp_path) == ["a.zip"]


def test_reading_a_folder_does_not_import_zipfile(folder):
    code = (
        "import sys; from seqclf._model_files import container; container.read(sys.argv[1]); "
        "print([name for name in ('zipfile', 'shutil', 'torch', 'sklearn', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, folder.path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
