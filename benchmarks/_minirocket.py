"""Rocket and MiniRocket as rivals for series, in a separate environment; see `_minirocket_worker.py`."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _figures import Run
from _peers import Peer
from _sets import Split


def start(n_threads: int) -> Peer | None:
    """The worker; if aeon can't be installed, print the reason and return None."""
    peer = Peer("MiniRocket of aeon", "aeon", ["aeon>=1.6"], "_minirocket_worker.py", n_threads)
    if peer.problem is not None:
        print(f"{peer.name} is skipped: {peer.problem}")
        return None
    return peer


def runs(peer: Peer, split: Split, seeds: list[int], n_threads: int, model: str = "MiniRocket") -> list[Run]:
    """One fit per seed; `model` is one of the worker's `MODELS`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "halves.npz"
        halves = {"train": (split.X_train, split.y_train), "test": (split.X_test, split.y_test)}
        arrays: dict[str, Any] = {}
        for half, (X, y) in halves.items():
            arrays[f"values_{half}"] = np.concatenate(list(X))
            arrays[f"lengths_{half}"] = np.array([len(series) for series in X])
            arrays[f"y_{half}"] = y
        np.savez(file, **arrays)
        peer.request(load={"file": str(file), "n_threads": n_threads, "model": model})
    responses = [peer.request(fit={"seed": seed}) for seed in seeds]
    return [Run(np.array(each.pop("predicted")), None, **each) for each in responses]
