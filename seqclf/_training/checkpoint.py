"""Checkpoint files, from which a fit resumes after its process was killed.

A file belongs to one fit, identified by everything that the result depends on: data, parameters and estimator. The
first line of the file is a JSON object with this identity; the state of the training, as saved by torch, follows it.
The file is loaded without running code (`weights_only`). It is written under a temporary name, flushed and renamed, so
that there is always a complete file.

Several fits can use the same folder. A file lock, which the operating system releases when a process ends, prevents two
fits from using the same file.
"""

import io
import json
import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

from seqclf._training.session import TrainingSession, copy_state, lists_to_arrays
from seqclf._warn import warn

# This code can't read files of another format.
FORMAT = 1


class Checkpoint:
    """The checkpoint of one fit.

    Parameters
    ----------
    folder : Path
        The folder of the file.
    slot : str
        The name of the file, without its extension.
    identity : mapping of str to str
        Identifies the fit; the names of its entries are used in messages.
    versions : mapping of str to str
        The versions of the packages that the training depends on.
    """

    def __init__(self, folder: Path, slot: str, identity: Mapping[str, str], versions: Mapping[str, str]):
        self.file, self._identity, self._versions = folder / f"{slot}.ckpt", dict(identity), dict(versions)
        self._state: dict[str, Any] | None = None
        self._initial_rng_state: dict[str, Any] = {}
        if self.file.exists():
            self._read()

    @property
    def n_epochs(self) -> int:
        """The number of epochs that an earlier process trained."""
        return 0 if self._state is None else len(self._state["session"]["history"])

    def generator(self, rng: np.random.RandomState) -> np.random.RandomState:
        """The generator that the fit starts with: in its state at the start of an earlier process, otherwise `rng`."""
        if self._state is None:
            self._initial_rng_state = copy_state(rng.get_state(legacy=False))
            return rng
        self._initial_rng_state = self._state["start"]
        if rng is not np.random.mtrand._rand:
            return rng  # its state is part of the identity, so it is the same
        restored = deepcopy(rng)
        restored.set_state(lists_to_arrays(self._initial_rng_state))
        return restored

    @property
    def session_state(self) -> dict[str, Any] | None:
        """The state of the session that an earlier process saved, if there is one."""
        return None if self._state is None else self._state["session"]

    def save(self, session: TrainingSession) -> None:
        """Write the state of the session; if that fails, warn and let the training continue."""
        content = io.BytesIO()
        torch.save({"start": self._initial_rng_state, "session": session.state_dict()}, content)
        header = {
            "format": FORMAT,
            "epoch": session.n_epochs,
            "digest": _digest(content.getbuffer()),
            "versions": self._versions,
            "identity": self._identity,
        }
        try:
            write_atomically(self.file, json.dumps(header).encode() + b"\n", content.getbuffer())
        except OSError as error:
            warn(
                f"The checkpoint of epoch {session.n_epochs} could not be written to {self.file} ({error}). The "
                "training continues; if it is killed, it resumes from the last checkpoint that was written."
            )

    def _read(self) -> None:
        header = read_header(self.file)
        if header is None or header.get("format") != FORMAT:
            raise ValueError(
                f"The checkpoint {self.file} can't be read: it is damaged, or was written by another version of "
                "seqclf. Delete it to start the fit again."
            )
        for name, current in self._versions.items():
            if (saved := header["versions"].get(name)) != current:
                raise ValueError(
                    f"The checkpoint {self.file} was written with {name} {saved}, but this is {name} {current}: a "
                    "resumed fit would differ from an uninterrupted one. Use that version, or delete the file to start "
                    "the fit again."
                )
        try:
            with self.file.open("rb") as file:
                file.readline()
                content = file.read()
            if _digest(content) != header.get("digest"):
                raise ValueError("The digest does not match.")
            self._state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            raise ValueError(
                f"The checkpoint {self.file} can't be read: its state is damaged. Delete it to start the fit again."
            ) from error


@contextmanager
def open_checkpoint(folder: Any, identity: Mapping[str, str], versions: Mapping[str, str]) -> Iterator[Checkpoint]:
    """The checkpoint of the fit with this identity, locked against other fits; deleted unless there is an error.

    Raises
    ------
    ValueError
        If the checkpoint of this fit is damaged, or was written with other versions.
    OSError
        If the folder can't be created or written to.
    """
    folder = Path(folder).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        slot, lock = _free_slot(folder, blake2b(json.dumps(identity).encode(), digest_size=8).hexdigest())
    except OSError as error:
        raise OSError(
            f"checkpoint_dir={os.fspath(folder)!r} can't be used ({error}): expected a writable folder."
        ) from error
    with lock:
        try:
            if not (folder / f"{slot}.ckpt").exists():
                _warn_about_other_fits(folder, identity)
            checkpoint = Checkpoint(folder, slot, identity, versions)
            yield checkpoint
            checkpoint.file.unlink(missing_ok=True)
        finally:
            Path(lock.lock_file).unlink(missing_ok=True)


def _digest(content: Any) -> str:
    return blake2b(content, digest_size=16).hexdigest()


def write_atomically(file: Path, *chunks: Any) -> None:
    """Write a file so that its name never refers to an incomplete one."""
    unfinished = file.with_suffix(".tmp")
    try:
        with unfinished.open("wb") as out:
            out.writelines(chunks)
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def read_header(file: Path) -> dict[str, Any] | None:
    """The header of a checkpoint, which is its first line; None if it is not valid."""
    try:
        with file.open("rb") as content:
            header = json.loads(content.readline(1_000_000))
    except (OSError, ValueError):
        return None
    is_valid = isinstance(header, dict) and all(isinstance(header.get(key), dict) for key in ("identity", "versions"))
    return header if is_valid else None


def _free_slot(folder: Path, name: str) -> tuple[str, FileLock]:
    """The first slot of this name that no running fit uses, and its acquired lock."""
    for number in range(10_000):
        slot = f"{name}-{number}"
        lock = FileLock(folder / f"{slot}.lock")
        try:
            # Another fit holds this lock for a moment when it checks whether the fit of this file is running.
            lock.acquire(timeout=1 if (folder / f"{slot}.ckpt").exists() else 0)
        except Timeout:
            continue
        return slot, lock
    raise OSError(f"{folder} holds too many locks")


def _is_locked(file: Path) -> bool:
    """Whether any process holds the lock."""
    if not file.exists():
        return False
    try:
        with FileLock(file, timeout=0):
            return False
    except Timeout:
        return True


def _warn_about_other_fits(folder: Path, identity: Mapping[str, str]) -> None:
    """Warn of interrupted fits with checkpoints in the folder, and of how this fit differs from them."""
    for file in sorted(folder.glob("*.ckpt")):
        header = read_header(file)
        if header is None or header["identity"] == identity or _is_locked(file.with_suffix(".lock")):
            continue
        other = header["identity"]
        changed = [
            f"{name} {other.get(name, 'missing')}, here {identity.get(name, 'missing')}"
            for name in dict.fromkeys([*identity, *other])
            if other.get(name) != identity.get(name)
        ]
        warn(
            f"{file} is the checkpoint of another fit (epoch {header.get('epoch')}) and is not used: it has "
            f"{'; '.join(changed)}. This fit starts with its first epoch. Delete the file if no later fit needs it."
        )
