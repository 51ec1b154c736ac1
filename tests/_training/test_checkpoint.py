"""Checkpoint files: written atomically, identified by their fit, and used by one process."""

import json
import threading

import numpy as np
import pytest
from filelock import FileLock

from seqclf._training.checkpoint import FORMAT, Checkpoint, open_checkpoint, read_header, write_atomically

IDENTITY = {"estimator": "RNNClassifier", "learning_rate": "0.01", "data": "ab12"}
VERSIONS = {"seqclf": "0.1.0", "torch": "2.13"}


class Session:
    """The part of `TrainingSession` that a checkpoint uses."""

    def __init__(self, n_epochs=0):
        self.loaded, self.n_epochs = None, n_epochs

    def state_dict(self):
        return {"history": [{"epoch": n} for n in range(self.n_epochs)]}

    def load_state_dict(self, state):
        self.loaded = state


def interrupted_fit(folder, n_epochs=3, identity=IDENTITY, versions=VERSIONS, rng=None):
    """Interrupt a fit, and return its checkpoint file."""

    def fit():
        with open_checkpoint(folder, identity, versions) as checkpoint:
            checkpoint.generator(np.random.RandomState(5) if rng is None else rng)
            checkpoint.save(Session(n_epochs))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit()
    (file,) = folder.glob("*.ckpt")
    return file


def test_open_checkpoint_resumes_and_deletes_the_file_at_the_end(tmp_path):
    folder = tmp_path / "new" / "folder"
    file = interrupted_fit(folder)
    assert list(folder.iterdir()) == [file]
    with open_checkpoint(folder, IDENTITY, VERSIONS) as checkpoint:
        assert checkpoint.file == file and checkpoint.n_epochs == 3
        assert [row["epoch"] for row in checkpoint.session_state["history"]] == [0, 1, 2]
    assert not list(folder.iterdir())


def test_open_checkpoint_of_a_new_fit_loads_nothing(tmp_path):
    with open_checkpoint(tmp_path, IDENTITY, VERSIONS) as checkpoint:
        assert checkpoint.session_state is None and checkpoint.n_epochs == 0


def test_concurrent_fits_of_one_identity_use_separate_files(tmp_path):
    with open_checkpoint(tmp_path, IDENTITY, VERSIONS) as one, open_checkpoint(tmp_path, IDENTITY, VERSIONS) as other:
        assert one.file != other.file
        one.save(Session(2))
        assert other.n_epochs == 0 and not other.file.exists()


def test_no_warning_about_a_running_fit(tmp_path):
    with open_checkpoint(tmp_path, IDENTITY, VERSIONS) as one:
        one.save(Session(2))
        with open_checkpoint(tmp_path, IDENTITY | {"data": "cd34"}, VERSIONS) as other:
            assert other.n_epochs == 0
        assert one.file.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": "0.003"}, "learning_rate 0.01, here 0.003"),
        ({"data": "cd34"}, "data ab12, here cd34"),
        ({"data": "cd34", "units": "3"}, "data ab12, here cd34; units missing, here 3"),
    ],
)
def test_warning_names_differences_from_the_checkpoint_of_another_fit(tmp_path, change, message):
    file = interrupted_fit(tmp_path)
    with (
        pytest.warns(
            UserWarning, match=rf"another fit \(epoch 3\) and is not used: it has {message}\. This fit starts"
        ),
        open_checkpoint(tmp_path, IDENTITY | change, VERSIONS) as checkpoint,
    ):
        assert checkpoint.n_epochs == 0 and checkpoint.file != file
    assert list(tmp_path.iterdir()) == [file]


def test_checkpoint_raises_for_other_versions(tmp_path):
    interrupted_fit(tmp_path, versions=VERSIONS | {"torch": "2.14"})
    with (
        pytest.raises(ValueError, match=r"written with torch 2\.14, but this is torch 2\.13.*or delete the file"),
        open_checkpoint(tmp_path, IDENTITY, VERSIONS),
    ):
        pass


@pytest.mark.parametrize("bit", range(0, 8 * 900, 211))
def test_checkpoint_raises_for_any_flipped_bit(tmp_path, bit):
    file = interrupted_fit(tmp_path)
    content = bytearray(file.read_bytes())
    position = len(content.partition(b"\n")[0]) + 1 + bit // 8
    content[position % len(content)] ^= 1 << bit % 8
    file.write_bytes(content)
    with pytest.raises(ValueError, match="its state is damaged"):
        Checkpoint(tmp_path, file.stem, IDENTITY, VERSIONS)


def test_open_checkpoint_waits_for_a_briefly_held_lock(tmp_path):
    file = interrupted_fit(tmp_path)
    lock = FileLock(file.with_suffix(".lock"), thread_local=False)
    lock.acquire()
    threading.Timer(0.2, lock.release, kwargs={"force": True}).start()
    with open_checkpoint(tmp_path, IDENTITY, VERSIONS) as checkpoint:
        assert checkpoint.file == file and checkpoint.n_epochs == 3


@pytest.mark.parametrize("damage", ["empty", "header", "truncated", "flipped", "format", "no identity"])
def test_checkpoint_names_a_damaged_file(tmp_path, damage):
    file = interrupted_fit(tmp_path)
    content = file.read_bytes()
    header, _, payload = content.partition(b"\n")
    if damage == "format":
        content = json.dumps(json.loads(header) | {"format": FORMAT + 1}).encode() + b"\n" + payload
    elif damage == "no identity":
        content = b"{}\n" + payload
    else:
        middle = len(header) + len(payload) // 2
        content = {
            "empty": b"",
            "header": b"x" + content,
            "truncated": content[:middle],
            "flipped": content[: len(header) + 40] + bytes(64) + content[len(header) + 104 :],
        }[damage]
    file.write_bytes(content)
    with (
        pytest.raises(ValueError, match=rf"The checkpoint {file} can't be read.*Delete it"),
        open_checkpoint(tmp_path, IDENTITY, VERSIONS),
    ):
        pass
    assert file.read_bytes() == content


def test_write_atomically_keeps_the_old_file_after_an_error(tmp_path, monkeypatch):
    file = tmp_path / "a.ckpt"
    write_atomically(file, b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old" and list(tmp_path.iterdir()) == [file]


def test_save_warns_about_a_full_disk_and_keeps_the_last_file(tmp_path, monkeypatch):
    with open_checkpoint(tmp_path, IDENTITY, VERSIONS) as checkpoint:
        checkpoint.save(Session(1))
        monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.warns(UserWarning, match=r"checkpoint of epoch 2 could not be written .*No space left.*continues"):
            checkpoint.save(Session(2))
        assert read_header(checkpoint.file)["epoch"] == 1


def test_open_checkpoint_raises_if_the_folder_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OSError, match=r"checkpoint_dir='.*file' can't be used .*a writable folder"),
        open_checkpoint(tmp_path / "file", IDENTITY, VERSIONS),
    ):
        pass


def test_generator_restores_the_state_of_the_global_generator(tmp_path):
    """The global generator itself does not change."""
    shared = np.random.mtrand._rand
    outside = shared.get_state(legacy=False)
    shared.seed(3)
    file = interrupted_fit(tmp_path, rng=shared)
    expected = np.random.RandomState(3).randint(2**31, size=4)
    shared.seed(4)
    before = shared.get_state(legacy=False)["state"]["key"].copy()
    restored = Checkpoint(tmp_path, file.stem, IDENTITY, VERSIONS).generator(shared)
    np.testing.assert_array_equal(restored.randint(2**31, size=4), expected)
    np.testing.assert_array_equal(shared.get_state(legacy=False)["state"]["key"], before)
    shared.set_state(outside)


def test_generator_returns_a_generator_other_than_the_global_one(tmp_path):
    file, rng = interrupted_fit(tmp_path), np.random.RandomState(5)
    assert Checkpoint(tmp_path, file.stem, IDENTITY, VERSIONS).generator(rng) is rng


def test_checkpoint_does_not_unpickle_objects(tmp_path):
    import pickle
    import zipfile

    file = interrupted_fit(tmp_path)
    header, _, payload = file.read_bytes().partition(b"\n")
    archive = tmp_path / "payload.zip"
    archive.write_bytes(payload)
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            is_pickle = name.endswith("data.pkl")
            new.writestr(name, pickle.dumps(print, protocol=2) if is_pickle else old.read(name))
    file.write_bytes(header + b"\n" + changed.read_bytes())
    with pytest.raises(ValueError, match="can't be read"):
        Checkpoint(tmp_path, file.stem, IDENTITY, VERSIONS)
