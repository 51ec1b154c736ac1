"""The file from which a fit goes on after its process was killed.

A file belongs to one fit, which it knows by what the result depends on: the data, the parameters, the estimator. Its
first line is a JSON object that says so; behind it follows the state of the training, as torch writes tensors. It is
read without running code (`weights_only`), and written under another name, flushed and renamed, so that there is always
a whole one.

Several fits may share a folder. A lock, which the system opens when a process ends, keeps a file from being used twice.
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

from seqclf._training.session import TrainingSession, as_arrays, copied
from seqclf._warn import warn

# Another number stands for files that this code can't read.
FORMAT = 1


class Checkpoint:
    """The checkpoint of one fit.

    Parameters
    ----------
    folder : Path
        Where the file is.
    slot : str
        The name of the file, without its end.
    identity : mapping of str to str
        What the fit is known by: names, and what differs between two fits.
    versions : mapping of str to str
        Of the packages that a training depends on.
    """

    def __init__(self, folder: Path, slot: str, identity: Mapping[str, str], versions: Mapping[str, str]):
        self.file, self._identity, self._versions = folder / f"{slot}.ckpt", dict(identity), dict(versions)
        self._state: dict[str, Any] | None = None
        self._start: dict[str, Any] = {}
        if self.file.exists():
            self._read()

    @property
    def n_epochs(self) -> int:
        """How many epochs an earlier process has trained."""
        return 0 if self._state is None else len(self._state["session"]["history"])

    def generator(self, given: np.random.RandomState) -> np.random.RandomState:
        """The generator that the fit begins with: as it was when an earlier process began, else the given one."""
        if self._state is None:
            self._start = copied(given.get_state(legacy=False))
            return given
        self._start = self._state["start"]
        if given is not np.random.mtrand._rand:
            return given  # It is part of the identity.
        begun = deepcopy(given)
        begun.set_state(as_arrays(self._start))
        return begun

    def load_into(self, session: TrainingSession) -> None:
        """Bring a session to where an earlier process was, if there was one."""
        if self._state is not None:
            session.load_state_dict(self._state["session"])

    def save(self, session: TrainingSession) -> None:
        """Write the state of the session; where that fails, warn, and let the training go on."""
        content = io.BytesIO()
        torch.save({"start": self._start, "session": session.state_dict()}, content)
        header = {
            "format": FORMAT,
            "epoch": session.n_epochs,
            "digest": _digest(content.getbuffer()),
            "versions": self._versions,
            "identity": self._identity,
        }
        try:
            write_whole(self.file, json.dumps(header).encode() + b"\n", content.getbuffer())
        except OSError as error:
            warn(
                f"The checkpoint of epoch {session.n_epochs} could not be written to {self.file} ({error}). The "
                "training goes on; after a kill it would begin again from the last checkpoint that could be written."
            )

    def _read(self) -> None:
        header = read_header(self.file)
        if header is None or header.get("format") != FORMAT:
            raise ValueError(
                f"The checkpoint {self.file} can't be read: it is damaged, or of another version of seqclf. Delete it "
                "to let the fit begin anew."
            )
        for name, ours in self._versions.items():
            if (theirs := header["versions"].get(name)) != ours:
                raise ValueError(
                    f"The checkpoint {self.file} was written with {name} {theirs}, and this is {name} {ours}: going on "
                    "would not give what a whole fit gives. Use that version, or delete the file to begin anew."
                )
        try:
            with self.file.open("rb") as file:
                file.readline()
                content = file.read()
            if _digest(content) != header.get("digest"):
                raise ValueError("It is not what was written.")
            self._state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            raise ValueError(
                f"The checkpoint {self.file} can't be read: its state is damaged. Delete it to let the fit begin anew."
            ) from error


@contextmanager
def open_checkpoint(folder: Any, identity: Mapping[str, str], versions: Mapping[str, str]) -> Iterator[Checkpoint]:
    """The checkpoint of the fit of that identity, which no other fit uses. A block without an error removes it.

    Raises
    ------
    ValueError
        If the file of this very fit is damaged, or other versions have written it.
    OSError
        If the folder can't be made or written to.
    """
    folder = Path(folder).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        slot, lock = _free_slot(folder, blake2b(json.dumps(identity).encode(), digest_size=8).hexdigest())
    except OSError as error:
        raise OSError(
            f"checkpoint_dir={os.fspath(folder)!r} can't be used ({error}): expected a folder that can be written to."
        ) from error
    with lock:
        try:
            if not (folder / f"{slot}.ckpt").exists():
                _warn_of_others(folder, identity)
            checkpoint = Checkpoint(folder, slot, identity, versions)
            yield checkpoint
            checkpoint.file.unlink(missing_ok=True)
        finally:
            Path(lock.lock_file).unlink(missing_ok=True)


def _digest(content: Any) -> str:
    return blake2b(content, digest_size=16).hexdigest()


def write_whole(file: Path, *parts: Any) -> None:
    """Write a file so that its name always stands for a whole one."""
    unfinished = file.with_suffix(".tmp")
    try:
        with unfinished.open("wb") as out:
            out.writelines(parts)
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def read_header(file: Path) -> dict[str, Any] | None:
    """What the first line of a checkpoint says; None where it is none."""
    try:
        with file.open("rb") as content:
            header = json.loads(content.readline(1_000_000))
    except (OSError, ValueError):
        return None
    is_one = isinstance(header, dict) and all(isinstance(header.get(part), dict) for part in ("identity", "versions"))
    return header if is_one else None


def _free_slot(folder: Path, name: str) -> tuple[str, FileLock]:
    """The first file for fits of that name that no running fit has, and its lock, which is held."""
    for number in range(10_000):
        slot = f"{name}-{number}"
        lock = FileLock(folder / f"{slot}.lock")
        try:
            # Another fit that looks whether a fit is running holds its lock for a moment.
            lock.acquire(timeout=1 if (folder / f"{slot}.ckpt").exists() else 0)
        except Timeout:
            continue
        return slot, lock
    raise OSError(f"{folder} holds too many locks")


def _is_locked(file: Path) -> bool:
    """Whether a process holds the lock."""
    if not file.exists():
        return False
    try:
        with FileLock(file, timeout=0):
            return False
    except Timeout:
        return True


def _warn_of_others(folder: Path, identity: Mapping[str, str]) -> None:
    """Say how this fit differs from those whose process has ended before they had."""
    for file in sorted(folder.glob("*.ckpt")):
        header = read_header(file)
        if header is None or header["identity"] == identity or _is_locked(file.with_suffix(".lock")):
            continue
        theirs = header["identity"]
        changed = [
            f"{name} {theirs.get(name, 'missing')}, here {identity.get(name, 'missing')}"
            for name in dict.fromkeys([*identity, *theirs])
            if theirs.get(name) != identity.get(name)
        ]
        warn(
            f"{file} is the checkpoint of another fit (epoch {header.get('epoch')}) and is not used: it has "
            f"{'; '.join(changed)}. This fit begins with its first epoch. Delete the file if no later fit needs it."
        )
