"""`TrainingSession`: history, clipping, and trainings that resume, in another process, with bit-identical results."""

import os
import pickle
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from seqclf import RNNTextClassifier, datasets
from seqclf._data.dataset import Dataset
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._inference.config import NetworkConfig
from seqclf._kernels import prefers_sparse_gradient
from seqclf._native import library
from seqclf._nn.network import Network
from seqclf._tasks.classification import Classification
from seqclf._training.config import TrainingConfig
from seqclf._training.optimizers import OPTIMIZERS
from seqclf._training.session import (
    TrainingSession,
    arrays_to_tensors,
    copy_state,
    lists_to_arrays,
    tensors_to_arrays,
)


def test_history_of_a_text_classifier():
    X, y = datasets.make_order_reviews(40, random_state=0)
    classifier = RNNTextClassifier(units=2, max_epochs=2, patience=2, random_state=0, device="cpu").fit(X, y)
    keys = ["epoch", "train_loss", "train_score", "valid_loss", "valid_score", "seconds", "tokens"]
    assert [list(row) for row in classifier.history_] == [keys, keys]
    assert all(type(value) in (int, float) for row in classifier.history_ for value in row.values())
    assert classifier.history_[0]["tokens"] < sum(map(len, classifier.tokenizer_.transform(X)))
    assert 0 <= classifier.history_[1]["valid_score"] <= 1


@pytest.fixture
def update_norm(make_data, make_network, train):
    """A function that returns the norm of the change of all weights in one update of gradient descent."""

    def norm(**changes):
        network = make_network()
        before = torch.cat([p.detach().clone().ravel() for p in network.parameters()])
        train(network, make_data([4, 3, 5, 2]), optimizer="sgd", learning_rate=1.0, max_epochs=1, **changes)
        return (torch.cat([p.detach().ravel() for p in network.parameters()]) - before).norm().item()

    return norm


def test_max_grad_norm_limits_the_update(update_norm):
    unlimited = update_norm(max_grad_norm=None)
    assert unlimited > 0.01
    assert update_norm(max_grad_norm=unlimited / 10) == pytest.approx(unlimited / 10, rel=1e-3)
    assert update_norm(max_grad_norm=unlimited * 10) == pytest.approx(unlimited, rel=1e-5)


# Resuming

# The gradient of an embedding of this size is sparse, and its rows are updated lazily.
N_IDS, DIM, N_EPOCHS = 45_000, 12, 10
QUICK = [
    ("adam", "constant", 2),
    ("adamw", "one_cycle", None),
    ("rmsprop", "constant", None),
    ("adagrad", "one_cycle", 2),
    ("sgd", "constant", 2),
    ("nesterov", "one_cycle", 2),
]
SLOW = [each for each in product(OPTIMIZERS, ("constant", "one_cycle"), (None, 2)) if each not in QUICK]


def make_dataset(n, seed):
    """Three classes; in each row, a third of the tokens depend on the class."""
    rng = np.random.default_rng(seed)
    classes, lengths = np.arange(n) % 3, rng.integers(0, 9, n)
    other = rng.choice([5, 6, N_IDS // 2, N_IDS - 1], lengths.sum())
    ids = np.where(rng.random(len(other)) < 0.3, 2 + np.repeat(classes, lengths), other)
    return Dataset(EncodedSequences(Ragged(ids.astype(np.int32), lengths)), classes, np.ones(n))


def make_session(optimizer, schedule, patience, seed=0):
    """A new session; the seed determines the weights, dropout masks and batches."""
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


def result_of(session):
    history = [{key: value for key, value in row.items() if key != "seconds"} for row in session.history]
    return history, session.best_epoch, session.is_over, session.network.to_arrays()


def training_and_validation(patience):
    return make_dataset(50, seed=0), None if patience is None else make_dataset(20, seed=1)


def resume(state, optimizer, schedule, patience):
    session = make_session(optimizer, schedule, patience, seed=99)
    session.load_state_dict(state)
    session.run(*training_and_validation(patience))
    return result_of(session)


def resume_in_another_process(all_settings, folder):
    """Stop trainings after epoch 3, and resume them all in another process; returns the results by settings."""
    states = []
    for settings in all_settings:
        session = make_session(*settings)
        session.run(*training_and_validation(settings[2]), n_epochs=3)
        assert session.n_epochs == 3 and not session.is_over
        states.append(session.state_dict())
    (folder / "states.pickle").write_bytes(pickle.dumps((all_settings, states)))
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, __file__, str(folder)], check=True, env=environment)
    return dict(zip(all_settings, pickle.loads((folder / "results.pickle").read_bytes()), strict=True))


@pytest.fixture(scope="module")
def resumed_quick(tmp_path_factory):
    return resume_in_another_process(QUICK, tmp_path_factory.mktemp("quick"))


@pytest.fixture(scope="module")
def resumed_slow(tmp_path_factory):
    return resume_in_another_process(SLOW, tmp_path_factory.mktemp("slow"))


def assert_same(found, expected):
    assert found[:3] == expected[:3]
    assert found[3].keys() == expected[3].keys()
    for name, array in expected[3].items():
        np.testing.assert_array_equal(found[3][name], array, err_msg=name)


def assert_equals_uninterrupted(found, settings):
    session = make_session(*settings)
    session.run(*training_and_validation(settings[2]))
    assert session.is_over and session.n_epochs > 3
    assert_same(found, result_of(session))


def settings_id(settings):
    return "-".join(map(str, settings))


@pytest.mark.parametrize("settings", QUICK, ids=settings_id)
def test_resumed_training_equals_uninterrupted_training(resumed_quick, settings):
    assert_equals_uninterrupted(resumed_quick[settings], settings)


@pytest.mark.slow
@pytest.mark.parametrize("settings", SLOW, ids=settings_id)
def test_resumed_training_equals_uninterrupted_training_with_other_settings(resumed_slow, settings):
    assert_equals_uninterrupted(resumed_slow[settings], settings)


def test_resumed_training_can_stop_early(resumed_quick):
    """Otherwise, the tests above would not cover early stopping."""
    epochs = {settings: len(history) for settings, (history, *_) in resumed_quick.items()}
    assert min(n for settings, n in epochs.items() if settings[2] is not None) < N_EPOCHS
    assert all(n == N_EPOCHS for settings, n in epochs.items() if settings[2] is None)


@pytest.mark.skipif(not library.available()[0], reason="no compiled kernels")
def test_resumed_training_has_a_sparse_gradient():
    """Otherwise, the tests above would not cover lazy updates."""
    assert prefers_sparse_gradient(make_session(*QUICK[0]).network.embedding.weight)


def test_run_in_several_calls_equals_one_call():
    once, repeated = make_session("adam", "one_cycle", None), make_session("adam", "one_cycle", None)
    once.run(*training_and_validation(None))
    while not repeated.is_over:
        repeated.run(*training_and_validation(None), n_epochs=2)
    assert_same(result_of(repeated), result_of(once))


def test_run_calls_functions_before_and_after_each_epoch():
    session, calls = make_session("adam", "constant", None), []
    data = training_and_validation(None)
    session.run(
        *data,
        before_epoch=lambda session: calls.append(("before", session.n_epochs)),
        after_epoch=lambda session: calls.append(("after", session.n_epochs)),
        n_epochs=2,
    )
    assert calls == [("before", 0), ("after", 1), ("before", 1), ("after", 2)]
    assert not session.is_over


@pytest.mark.parametrize("patience", [None, 5])
def test_run_is_over_if_a_function_returns_true(patience):
    session, weights = make_session("sgd", "one_cycle", patience), []

    def stop(session):
        weights.append(session.network.to_arrays())
        return session.n_epochs == 4

    session.run(*training_and_validation(patience), after_epoch=stop)
    assert session.is_over and session.n_epochs == 4
    best = weights[session.best_epoch - 1]
    for name, array in session.network.to_arrays().items():
        np.testing.assert_array_equal(array, best[name])
    session.run(*training_and_validation(patience))
    assert session.n_epochs == 4


def test_state_dict_is_independent_of_the_session():
    session = make_session("adam", "constant", 2)
    session.run(*training_and_validation(2), n_epochs=1)
    state = session.state_dict()
    before = pickle.dumps(state)
    session.run(*training_and_validation(2))
    assert pickle.dumps(state) == before
    other = make_session("adam", "constant", 2)
    other.load_state_dict(state)
    other.run(*training_and_validation(2))
    assert pickle.dumps(state) == before
    assert_same(result_of(other), result_of(session))


def test_state_dict_has_a_copy_of_the_history():
    session = make_session("adam", "constant", None)
    session.run(*training_and_validation(None), n_epochs=1)
    state = session.state_dict()
    state["history"][0]["train_loss"] = -1.0
    assert session.history[0]["train_loss"] > 0


def test_load_state_dict_with_other_settings_raises_and_changes_nothing():
    state = make_session("sgd", "constant", 2).state_dict()
    other = make_session("adam", "constant", 2, seed=1)
    before = result_of(other)
    with pytest.raises(ValueError, match="training with optimizer='sgd', not 'adam'"):
        other.load_state_dict(state)
    assert_same(result_of(other), before)


def test_load_state_dict_keep_settings_accepts_all_but_the_optimizer():
    session = make_session("adam", "constant", None)
    session.train_epoch(make_dataset(30, 0))
    state = session.state_dict()
    changed = {**state, "config": state["config"] | {"learning_rate": 0.5}}
    other = make_session("adam", "constant", None, seed=1)
    with pytest.raises(ValueError, match=r"training with learning_rate=0\.5, not 0\.02"):
        other.load_state_dict(changed)
    other.load_state_dict(changed, keep_settings=True)
    for each in (session, other):
        each.train_epoch(make_dataset(30, 1))
    assert_same(result_of(other), result_of(session))
    with pytest.raises(ValueError, match="training with optimizer='adam', not 'sgd'"):
        make_session("sgd", "constant", None).load_state_dict(state, keep_settings=True)


def test_train_epoch_accepts_different_data_each_time():
    session = make_session("adam", "constant", None)
    for seed in range(3):
        before = session.network.head.weight.detach().clone()
        session.train_epoch(make_dataset(30, seed))
        assert not torch.equal(session.network.head.weight, before)
    assert [row["epoch"] for row in session.history] == [1, 2, 3]


def test_train_epoch_equals_run_with_one_epoch():
    session, other = make_session("adam", "constant", None), make_session("adam", "constant", None)
    session.train_epoch(make_dataset(30, 0))
    other.run(make_dataset(30, 0), n_epochs=1)
    assert_same(result_of(session), result_of(other))


def test_train_epoch_raises_with_one_cycle():
    with pytest.raises(ValueError, match="needs schedule='constant', got 'one_cycle'"):
        make_session("adam", "one_cycle", None).train_epoch(make_dataset(30, 0))


def test_run_does_not_count_an_interrupted_epoch(monkeypatch):
    session = make_session("adam", "constant", None)
    session.run(*training_and_validation(None), n_epochs=1)
    before = [dict(row) for row in session.history]

    def interrupt(self, *args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(session._loop), "train_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        session.run(*training_and_validation(None))
    assert session.n_epochs == 1 and session.history == before


def test_tensors_to_arrays_and_back():
    state = {"a": [torch.arange(3), {"b": torch.tensor(2.5)}], "c": ("text", 1, None)}
    arrays = tensors_to_arrays(state)
    assert isinstance(arrays["a"][0], np.ndarray) and arrays["c"] == state["c"]
    tensors = arrays_to_tensors(arrays)
    assert torch.equal(tensors["a"][0], state["a"][0]) and torch.equal(tensors["a"][1]["b"], state["a"][1]["b"])
    tensors["a"][0][0] = 7
    assert state["a"][0][0] == 0, "a copy"


def test_copy_state_of_a_generator_can_be_restored():
    rng = np.random.RandomState(3)
    copied = copy_state(rng.get_state(legacy=False))
    assert isinstance(copied["state"]["key"], list)
    expected = rng.randint(100, size=5).tolist()
    rng.set_state(lists_to_arrays(copied))
    assert rng.randint(100, size=5).tolist() == expected


if __name__ == "__main__":
    results_folder = Path(sys.argv[1])
    loaded = pickle.loads((results_folder / "states.pickle").read_bytes())
    results = [resume(state, *settings) for settings, state in zip(*loaded, strict=True)]
    (results_folder / "results.pickle").write_bytes(pickle.dumps(results))
