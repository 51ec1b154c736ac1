"""A model as one .zip: members are checked by name, kind and size before any of them is read."""

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
    """Write the members of a model again, each with `change(info)`, and `more` as (name or info, data) after them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as made:
        for name, data in archive.files.items():
            if name not in skip:
                info = zipfile.ZipInfo(name)
                info.compress_type = compression
                change(info)
                made.writestr(info, data)
        for name, data in more:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # zipfile says that a name occurs twice
                made.writestr(name, data)
    archive.path.write_bytes(buffer.getvalue())


def test_archives_of_other_programs_are_read(archive, is_same):
    put(archive)
    assert is_same(archive.read())
    put(archive, lambda info: setattr(info, "external_attr", (stat.S_IFREG | 0o600) << 16))
    assert is_same(archive.read())


def test_the_same_model_gives_the_same_bytes(archive, written, tmp_path):
    container.write(tmp_path / "again.ZIP", *written)
    assert (tmp_path / "again.ZIP").read_bytes() == archive.path.read_bytes()
    with zipfile.ZipFile(archive.path) as made:
        assert made.namelist() == ["config.json", "tokenizer.json", "weights.safetensors"] and made.testzip() is None


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
def test_bad_names_are_refused(archive, name):
    if name == "" or "\0" in name or "\\" in name:  # zipfile changes such names when it writes
        put(archive, more=[("q" * max(1, len(name)), b"{}")])
        raw = archive.path.read_bytes().replace(b"q" * max(1, len(name)), name.encode() or b"\0")
        archive.path.write_bytes(raw)
    else:
        put(archive, more=[(name, b"{}")])
    with pytest.raises(ModelFileError, match=r"bad name|doesn't name|damaged"):
        archive.read()


def test_members_that_the_config_does_not_name_are_refused(archive):
    put(archive, more=[("other.json", b"{}")])
    with pytest.raises(ModelFileError, match=r"doesn't name: 'other.json'"):
        archive.read()


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors"])
def test_two_members_of_one_name_are_refused(archive, name):
    put(archive, more=[(name, archive.files[name])])
    with pytest.raises(ModelFileError, match="two members of one name"):
        archive.read()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "weights.safetensors"])
def test_a_missing_member_is_named(archive, name):
    put(archive, skip=[name])
    with pytest.raises(ModelFileError, match=f"has no {name}"):
        archive.read()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFDIR, stat.S_IFCHR])
def test_links_and_devices_are_refused(archive, kind):
    put(archive, lambda info: setattr(info, "external_attr", (kind | 0o777) << 16))
    with pytest.raises(ModelFileError, match="a link or another special file"):
        archive.read()


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_members_are_refused(archive, compression):
    put(archive, compression=compression)
    with pytest.raises(ModelFileError, match=r"is compressed; .*Unpack"):
        archive.read()


def test_a_bomb_is_refused_at_once(archive):
    archive.files["weights.safetensors"] = bytes(200_000_000)
    put(archive, compression=zipfile.ZIP_DEFLATED)
    start = perf_counter()
    with pytest.raises(ModelFileError, match="is compressed"):
        archive.read()
    assert perf_counter() - start < 0.5


def records(data, signature):
    """The places of the records with a signature."""
    places, place = [], data.find(signature)
    while place >= 0:
        places.append(place)
        place = data.find(signature, place + 4)
    return places


@pytest.mark.parametrize("bit", [0x1, 0x20, 0x40, 0x2000, 0x2001])
def test_encrypted_members_are_refused(archive, bit):
    data = bytearray(archive.path.read_bytes())
    for place in records(bytes(data), b"PK\1\2"):
        struct.pack_into("<H", data, place + 8, bit)
    archive.path.write_bytes(data)
    with pytest.raises(ModelFileError, match="is encrypted"):
        archive.read()


@pytest.mark.parametrize("size", [0, 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("fields", [(20, 24), (20,), (24,)])
def test_false_sizes_are_refused(archive, size, fields):
    data = bytearray(archive.path.read_bytes())
    for field in fields:
        struct.pack_into("<I", data, records(bytes(data), b"PK\1\2")[-1] + field, size)
    archive.path.write_bytes(data)
    with pytest.raises(ModelFileError):
        archive.read()


def test_members_may_not_share_their_bytes(archive):
    """All entries of the directory lead to one member."""
    data = bytearray(archive.path.read_bytes())
    places = records(bytes(data), b"PK\1\2")
    for place in places:
        data[place + 42 : place + 46] = data[places[-1] + 42 : places[-1] + 46]
    archive.path.write_bytes(data)
    with pytest.raises(ModelFileError):
        archive.read()


def test_a_wrong_crc_is_refused(archive):
    data = archive.path.read_bytes()
    place = records(data, b"PK\1\2")[-1] + 16
    archive.path.write_bytes(data[:place] + b"\0\0\0\0" + data[place + 4 :])
    with pytest.raises(ModelFileError, match="is damaged"):
        archive.read()


def test_a_large_directory_is_not_read(archive):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for place in range(5000):
            made.writestr(f"x{place}.json", b"")
    archive.path.write_bytes(buffer.getvalue())
    with pytest.raises(ModelFileError, match="too many members"):
        archive.read()
    put(archive, more=[(f"{letter}.json", b"{}") for letter in "abcdefghijklmnop"])
    with pytest.raises(ModelFileError, match="19 members"):
        archive.read()


def test_records_of_large_archives_are_refused(archive):
    data = archive.path.read_bytes()
    archive.path.write_bytes(data[:-22] + b"PK\6\7" + bytes(16) + data[-22:])
    with pytest.raises(ModelFileError, match="too large"):
        archive.read()


def test_comments_and_bytes_around_are_refused(archive):
    data = archive.path.read_bytes()
    for changed in (data + b"x", data[:-2] + b"\1\0x", b"x" + data, b"PK\3\4" + data[:-1]):
        archive.path.write_bytes(changed)
        with pytest.raises(ModelFileError):
            archive.read()


def test_too_many_bytes_for_a_zip_are_refused_before_writing(tmp_path, tune):
    tune(max_zip_bytes=100)
    with pytest.raises(ValueError, match="save it as a folder"):
        zip_file.write_zip(str(tmp_path / "a.zip"), {"a": bytes(101)})
    assert os.listdir(tmp_path) == []


def test_a_folder_at_the_path_stays(tmp_path):
    (tmp_path / "a.zip").mkdir()
    with pytest.raises(IsADirectoryError):
        container.write(tmp_path / "a.zip", {"model": 1}, {"a": np.zeros(1)})
    assert os.listdir(tmp_path) == ["a.zip"]


def test_folders_do_not_import_zipfile(folder):
    code = (
        "import sys; from seqclf._model_files import container; container.read(sys.argv[1]); "
        "print([name for name in ('zipfile', 'shutil', 'torch', 'sklearn', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, folder.path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
