"""A training that was stopped and goes on in another process ends as the one that was not stopped, to the bit."""

import os
import pickle
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from seqclf._data.dataset import Dataset
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._inference.config import NetworkConfig
from seqclf._kernels import reads_rows
from seqclf._native import library
from seqclf._nn.network import Network
from seqclf._tasks.classification import Classification
from seqclf._training.config import TrainingConfig
from seqclf._training.optimizers import OPTIMIZERS
from seqclf._training.session import TrainingSession

# A table this large has a sparse gradient, and rows of it are updated late.
N_IDS, DIM, N_EPOCHS = 45_000, 12, 10
SETTINGS = list(product(OPTIMIZERS, ("constant", "one_cycle"), (None, 2)))


def dataset(n, seed):
    """A third of the tokens tell the class of their row."""
    rng = np.random.default_rng(seed)
    classes, lengths = np.arange(n) % 3, rng.integers(0, 9, n)
    other = rng.choice([5, 6, N_IDS // 2, N_IDS - 1], lengths.sum())
    ids = np.where(rng.random(len(other)) < 0.3, 2 + np.repeat(classes, lengths), other)
    return Dataset(EncodedSequences(Ragged(ids.astype(np.int32), lengths)), classes, np.ones(n))


def session(optimizer, schedule, patience, seed=0):
    """A new session; another seed gives it other weights, dropout masks and batches."""
    task = Classification()
    task.fit(np.arange(3), None)
    task.fit_weights(np.arange(3), np.ones(3))
    network = Network(
        NetworkConfig(
            n_outputs=3,
            vocab_size=N_IDS,
            embedding_dim=DIM,
            cell="gru",
            units=(4,),
            bidirectional=True,
            pooling="max",
            activation="tanh",
            dropout=0.3,
            recurrent_dropout=0.1,
            token_dropout=0.1,
        )
    ).reset_parameters(torch.Generator().manual_seed(seed))
    config = TrainingConfig(
        optimizer=optimizer,
        learning_rate=0.02,
        schedule=schedule,
        weight_decay=0.01 if optimizer in ("adamw", "sgd") else 0.0,
        l1=0.0,
        max_grad_norm=1.0,
        batch_size=8,
        max_epochs=N_EPOCHS,
        patience=patience,
        tol=1e-4,
        verbose=0,
        step_name="tokens",
    )
    return TrainingSession(config, task, network, np.random.RandomState(seed))


def result(session):
    history = [{key: value for key, value in row.items() if key != "seconds"} for row in session.history]
    return history, session.best_epoch, session.is_over, session.network.to_arrays()


def data(patience):
    return dataset(50, seed=0), None if patience is None else dataset(20, seed=1)


def resume(state, optimizer, schedule, patience):
    resumed = session(optimizer, schedule, patience, seed=99)
    resumed.load_state_dict(state)
    resumed.run(*data(patience))
    return result(resumed)


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """What all trainings that were stopped after epoch 3 gave in one other process."""
    folder = tmp_path_factory.mktemp("resumed")
    states = []
    for settings in SETTINGS:
        stopped = session(*settings)
        stopped.run(*data(settings[2]), n_epochs=3)
        assert stopped.n_epochs == 3 and not stopped.is_over
        states.append(stopped.state_dict())
    (folder / "states.pickle").write_bytes(pickle.dumps(states))
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, __file__, str(folder)], check=True, env=environment)
    return dict(zip(SETTINGS, pickle.loads((folder / "results.pickle").read_bytes()), strict=True))


def assert_same(found, expected):
    assert found[:3] == expected[:3]
    assert found[3].keys() == expected[3].keys()
    for name, array in expected[3].items():
        np.testing.assert_array_equal(found[3][name], array, err_msg=name)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(map(str, settings)))
def test_a_training_goes_on_in_another_process(resumed, settings):
    straight = session(*settings)
    straight.run(*data(settings[2]))
    assert straight.is_over and straight.n_epochs > 3
    assert_same(resumed[settings], result(straight))


def test_some_of_them_are_stopped_early(resumed):
    epochs = {settings: len(history) for settings, (history, *_) in resumed.items()}
    assert min(epochs[settings] for settings in SETTINGS if settings[2] is not None) < N_EPOCHS
    assert all(epochs[settings] == N_EPOCHS for settings in SETTINGS if settings[2] is None)


@pytest.mark.skipif(not library.available()[0], reason="no compiled kernels")
def test_their_embedding_has_a_sparse_gradient():
    assert reads_rows(session(*SETTINGS[0]).network.embedding.weight)


def test_stopping_changes_nothing():
    straight, halting = session("adam", "one_cycle", None), session("adam", "one_cycle", None)
    straight.run(*data(None))
    while not halting.is_over:
        halting.run(*data(None), n_epochs=2)
    assert_same(result(halting), result(straight))


def test_a_state_shares_no_memory_with_the_session():
    running = session("adam", "constant", 2)
    running.run(*data(2), n_epochs=1)
    state = running.state_dict()
    before = pickle.dumps(state)
    running.run(*data(2))
    assert pickle.dumps(state) == before
    other = session("adam", "constant", 2)
    other.load_state_dict(state)
    other.run(*data(2))
    assert pickle.dumps(state) == before
    assert_same(result(other), result(running))


def test_a_step_trains_one_epoch_on_other_data():
    running = session("adam", "constant", None)
    for seed in range(3):
        before = running.network.head.weight.detach().clone()
        running.step(dataset(30, seed))
        assert not torch.equal(running.network.head.weight, before)
    assert [row["epoch"] for row in running.history] == [1, 2, 3]
    once = session("adam", "constant", None)
    once.run(dataset(30, 0), n_epochs=1)
    again = session("adam", "constant", None)
    again.step(dataset(30, 0))
    assert_same(result(again), result(once))


def test_an_epoch_that_an_error_ends_is_not_counted(monkeypatch):
    running = session("adam", "constant", None)
    running.run(*data(None), n_epochs=1)
    before = [dict(row) for row in running.history]

    def interrupt(self, *args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(running._loop), "train_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        running.run(*data(None))
    assert running.n_epochs == 1 and running.history == before


def test_a_state_of_other_settings_is_refused_and_changes_nothing():
    state = session("sgd", "constant", 2).state_dict()
    other = session("adam", "constant", 2, seed=1)
    before = result(other)
    with pytest.raises(ValueError, match="training with optimizer='sgd', not 'adam'"):
        other.load_state_dict(state)
    assert_same(result(other), before)


def test_the_history_of_a_state_is_its_own():
    running = session("adam", "constant", None)
    running.run(*data(None), n_epochs=1)
    state = running.state_dict()
    state["history"][0]["train_loss"] = -1.0
    assert running.history[0]["train_loss"] > 0


def test_a_step_needs_a_schedule_without_an_end():
    with pytest.raises(ValueError, match="need schedule='constant', got 'one_cycle'"):
        session("adam", "one_cycle", None).step(dataset(30, 0))


if __name__ == "__main__":
    results_folder = Path(sys.argv[1])
    loaded = pickle.loads((results_folder / "states.pickle").read_bytes())
    results = [resume(state, *settings) for settings, state in zip(SETTINGS, loaded, strict=True)]
    (results_folder / "results.pickle").write_bytes(pickle.dumps(results))
