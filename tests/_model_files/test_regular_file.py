"""open_regular opens only regular files."""

import os
import sys

import pytest

from seqclf._model_file_error import ModelFileError
from seqclf._model_files.regular_file import open_regular

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes need POSIX")


def test_open_regular_opens_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    with open_regular(str(tmp_path / "a"), "a") as file:
        assert file.read() == b"abc"


def test_open_regular_follows_a_link(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with open_regular(str(tmp_path / "link"), "it") as file:
        assert file.read() == b"abc"


@pytest.mark.timeout(20)
def test_open_regular_rejects_pipes_folders_and_devices_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to(path)
        for each in (path, tmp_path / "link"):
            with pytest.raises(ModelFileError, match=r"^it is not a regular file"):
                open_regular(str(each), "it")


@pytest.mark.timeout(20)
def test_open_regular_does_not_block_on_a_pipe_that_appears_after_the_first_check(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    status = os.stat(tmp_path / "a")
    monkeypatch.setattr(os, "stat", lambda *args, **kwargs: status)
    with pytest.raises(ModelFileError, match="not a regular file"):
        open_regular(str(tmp_path / "pipe"), "it")
