"""Parts of `fit` and `partial_fit`: datasets, settings, networks and fitted attributes."""

import numpy as np
import pytest
import torch

from seqclf import RNNClassifier, RNNRegressor
from seqclf._base import AutoEpochs
from seqclf._data.dataset import Dataset
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._tasks.classification import Classification
from seqclf._training.session import TrainingSession
from seqclf._training_parts import (
    check_not_diverged,
    make_dataset,
    new_network,
    set_fitted_attributes,
    training_config,
    warm_network,
)

TINY = {"units": 3, "max_epochs": 2, "random_state": 0}
X = np.random.default_rng(0).normal(size=(20, 4))
Y = np.array([0, 0, 0, 1] * 5)


def encoded(n_rows=10, n_steps=4):
    values = np.random.default_rng(0).normal(size=(n_rows * n_steps, 1)).astype(np.float32)
    return EncodedSequences(Ragged(values, np.full(n_rows, n_steps)))


def fitted_task(y=Y):
    task = Classification()
    targets = task.fit(y, np.ones(len(y)))
    task.fit_weights(targets, np.ones(len(y)))
    return task, targets


@pytest.fixture
def fitted():
    return RNNClassifier(**TINY).fit(X, Y)


def test_make_dataset_raises_for_targets_of_wrong_length():
    sequences, targets = encoded(n_rows=2, n_steps=3), Ragged(np.arange(6), np.array([3, 3]))
    dataset = make_dataset(sequences, targets, np.ones(2), rows=np.array([4, 7]))
    assert len(dataset) == 2 and dataset.rows.tolist() == [4, 7]
    with pytest.raises(ValueError, match="Row 1 of y_val has 4 targets, but row 1 of X_val has 3 steps"):
        make_dataset(sequences, Ragged(np.arange(7), np.array([3, 4])), np.ones(2), names=("X_val", "y_val"))


def test_training_config_has_python_types():
    estimator = RNNClassifier(learning_rate=np.float32(0.5), batch_size=np.int64(7), max_epochs=np.int32(3))
    config = training_config(estimator, Dataset(encoded(), Y[:10], np.ones(10)))
    assert (config.learning_rate, config.batch_size, config.max_epochs) == (0.5, 7, 3)
    assert [type(value) for value in (config.learning_rate, config.batch_size, config.max_epochs)] == [float, int, int]
    assert config.step_name == "steps"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (AutoEpochs(n_updates=30, n_steps=10_000, min_epochs=1, max_epochs=100), 10),  # 3 updates per epoch
        (AutoEpochs(n_updates=30, n_steps=200, min_epochs=1, max_epochs=100), 5),  # 40 steps per epoch
        (AutoEpochs(n_updates=30, n_steps=200, min_epochs=7, max_epochs=100), 7),
        (AutoEpochs(n_updates=30, n_steps=10_000, min_epochs=1, max_epochs=8), 8),
    ],
)
@pytest.mark.parametrize("has_scores", [False, True])
def test_training_config_max_epochs_auto(monkeypatch, limits, expected, has_scores):
    unused = AutoEpochs(n_updates=1, n_steps=1, min_epochs=99, max_epochs=99)
    names = ["_auto_epochs_alone", "_auto_epochs"]
    for name, value in zip(names, [unused, limits] if has_scores else [limits, unused], strict=True):
        monkeypatch.setattr(RNNClassifier, name, value)
    sequences = encoded()
    sequences = EncodedSequences(sequences.steps, scores=np.zeros((10, 1)) if has_scores else None)
    estimator = RNNClassifier(max_epochs="auto", batch_size=4)
    assert training_config(estimator, Dataset(sequences, Y[:10], np.ones(10))).max_epochs == expected


def test_new_network_is_reproducible_and_has_the_prior_as_bias(fitted):
    task, targets = fitted_task()
    training = Dataset(encoded(20), targets, np.ones(20))
    networks = [new_network(fitted, task, training, np.random.RandomState(seed)) for seed in (0, 0, 1)]
    arrays = [network.to_arrays() for network in networks]
    assert all(np.array_equal(arrays[1][name], array) for name, array in arrays[0].items())
    assert any(not np.array_equal(arrays[2][name], array) for name, array in arrays[0].items())
    np.testing.assert_allclose(
        networks[0].head.bias.detach().numpy(), task.initial_bias(targets, np.ones(20)), rtol=1e-6
    )


@pytest.mark.parametrize("changes", [{}, {"dropout": 0.5}])
def test_warm_network_is_an_independent_copy(fitted, changes):
    fitted.set_params(**changes)
    network = warm_network(fitted, fitted._task)
    assert network.config.dropout == changes.get("dropout", fitted.network_.config.dropout)
    before = fitted.network_.to_arrays()
    for name, array in network.to_arrays().items():
        np.testing.assert_array_equal(array, before[name])
    with torch.no_grad():
        network.head.bias += 1
    np.testing.assert_array_equal(fitted.network_.to_arrays()["head.bias"], before["head.bias"])


def test_warm_network_raises_for_another_architecture(fitted):
    with pytest.raises(ValueError, match="units"):
        warm_network(fitted.set_params(units=4), fitted._task)


def test_check_not_diverged_raises_for_outputs_that_are_not_finite(fitted):
    network, cpu = fitted.network_, torch.device("cpu")
    sequences = fitted._add_label_features(fitted._encode(fitted._validate_X(X, reset=False)))
    check_not_diverged(fitted, network, sequences, cpu)
    network.head.weight.data.fill_(float("inf"))
    with pytest.raises(ValueError, match=r"not finite numbers: the fit diverged\. Lower learning_rate \(now"):
        check_not_diverged(fitted, network, sequences, cpu)


def test_fit_raises_if_the_outputs_diverge_after_training(monkeypatch):
    """The weights and losses were finite in all epochs."""
    run = TrainingSession.run

    def run_and_overflow(self, *args, **kwargs):
        run(self, *args, **kwargs)
        self.network.head.weight.data.fill_(float("inf"))

    monkeypatch.setattr(TrainingSession, "run", run_and_overflow)
    for model, y in ((RNNClassifier(**TINY), [0, 1] * 10), (RNNRegressor(**TINY), np.arange(20.0))):
        with pytest.raises(ValueError, match=r"not finite numbers: the fit diverged\. Lower learning_rate"):
            model.fit(X, y)
        assert not hasattr(model, "network_")


def test_set_fitted_attributes_replaces_a_loaded_network(fitted):
    estimator = RNNClassifier()
    estimator._network = "loaded"
    set_fitted_attributes(estimator, fitted._task, fitted.network_)
    assert estimator.network_ is fitted.network_ and not hasattr(estimator, "_network")
    assert estimator.classes_ is fitted._task.classes and estimator._task is fitted._task
    assert estimator.n_parameters_ == sum(each.numel() for each in fitted.network_.parameters())
