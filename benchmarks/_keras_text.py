"""The textbook network for texts in Keras as a rival, in a separate environment; see `_keras_text_worker.py`."""

import json
import tempfile
from pathlib import Path

import numpy as np
from _figures import Row, Run, row_of
from _peers import KerasPeer, start_peers
from _sets import WITHOUT_SPACES, Split

NAME = "Keras, LSTM(64)"


def start(n_threads: int) -> KerasPeer | None:
    """The worker; None, with the reason printed, if Keras can't be installed."""
    peers = start_peers(["jax"], "_keras_text_worker.py", n_threads)
    return peers[0] if peers else None


def measure(peer: KerasPeer, data: str, draws: list[Split], seeds: list[int]) -> Row:
    """One fit per draw and seed."""
    runs, n_epochs = [], []
    for draw in draws:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "halves.json"
            halves = {"X_train": draw.X_train, "y_train": draw.y_train.tolist(), "X_test": draw.X_test}
            file.write_text(json.dumps(halves))
            peer.request(load={"file": str(file), "by_characters": data in WITHOUT_SPACES})
        for seed in seeds:
            response = peer.request(fit={"seed": seed})
            n_epochs.append(response.pop("n_epochs"))
            arrays = {name: np.array(response.pop(name)) for name in ("predicted", "probabilities")}
            runs.append(Run(**arrays, **response))
    return row_of(data, NAME, "other", runs, draws[0].y_test, len(draws[0].y_train), n_epochs=n_epochs)
