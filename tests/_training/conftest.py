"""Fixtures for tests of training: a small dataset, a network and a session for it."""

import numpy as np
import pytest

import _factories
from seqclf._data.dataset import Dataset
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._tasks.classification import Classification
from seqclf._training.config import TrainingConfig
from seqclf._training.session import TrainingSession


@pytest.fixture
def make_task():
    """A function that makes a task with two classes, of equal weight by default."""

    def make(class_weight=None):
        task = Classification(class_weight)
        codes = task.fit(np.arange(2), None)
        task.fit_weights(codes, np.ones(2))
        return task

    return make


@pytest.fixture
def make_data():
    """A function that makes sequences of these lengths, of token ids from 2 to 8, with alternating classes."""

    def make(lengths, seed=0, weights=None):
        rng = np.random.default_rng(seed)
        ids = Ragged(rng.integers(2, 9, size=sum(lengths)).astype(np.int32), np.array(lengths, dtype=np.int64))
        n = len(lengths)
        return Dataset(EncodedSequences(ids), np.arange(n) % 2, np.ones(n) if weights is None else weights)

    return make


@pytest.fixture
def make_network():
    """A function that makes a network for this data, always with the same weights."""

    def make(**changes):
        settings = {"n_outputs": 1, "vocab_size": 9, "embedding_dim": 4, "units": (4,)}
        return _factories.make_network(**(settings | changes))

    return make


@pytest.fixture
def train(make_task):
    """A function that trains a network in place, and returns the finished session."""

    def run(network, training, validation=None, task=None, **changes):
        settings = {
            "optimizer": "adam",
            "learning_rate": 1e-2,
            "schedule": "constant",
            "weight_decay": 0.0,
            "l1": 0.0,
            "max_grad_norm": None,
            "batch_size": 4,
            "max_epochs": 3,
            "patience": None,
            "tol": 0.0,
            "verbose": 0,
            "step_name": "tokens",
        }
        config = TrainingConfig(**(settings | changes))
        session = TrainingSession(config, task or make_task(), network, np.random.RandomState(0))
        session.run(training, validation)
        return session

    return run
