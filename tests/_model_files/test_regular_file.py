"""Only regular files are opened."""

import os
import sys

import pytest

from seqclf._model_file_error import ModelFileError
from seqclf._model_files.regular_file import open_regular

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes need POSIX")


def test_a_regular_file_is_opened(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    with open_regular(str(tmp_path / "a"), "a") as file:
        assert file.read() == b"abc"


def test_a_link_is_followed(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with open_regular(str(tmp_path / "link"), "it") as file:
        assert file.read() == b"abc"


@pytest.mark.timeout(20)
def test_pipes_folders_and_devices_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to(path)
        for each in (path, tmp_path / "link"):
            with pytest.raises(ModelFileError, match=r"^it is no regular file"):
                open_regular(str(each), "it")


@pytest.mark.timeout(20)
def test_a_pipe_that_comes_after_the_first_look_does_not_block(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    status = os.stat(tmp_path / "a")
    monkeypatch.setattr(os, "stat", lambda *args, **kwargs: status)
    with pytest.raises(ModelFileError, match="no regular file"):
        open_regular(str(tmp_path / "pipe"), "it")
