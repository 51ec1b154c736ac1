"""The identity of a fit: what it depends on, and what it does not."""

from dataclasses import replace

import joblib
import numpy as np
import pytest
import torch

from seqclf import RNNClassifier, RNNTagger, RNNTextClassifier
from seqclf._data.dataset import Dataset
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._identity import call_identity, fit_identity, versions

SERIES = EncodedSequences(Ragged.from_items([[1.0], [2.0, 3.0], [4.0]]))
DATA = Dataset(SERIES, np.array(["a", "b", "a"]), np.ones(3))


def identity(data=DATA, validation=None, device="cpu", **parameters):
    return fit_identity(RNNClassifier(**parameters), data, validation, device)


def test_fit_identity_names_estimator_device_and_parameters():
    found = identity(units=5, class_weight={"b": 2.0, "a": 1})
    assert (found["estimator"], found["device"]) == ("RNNClassifier", "cpu")
    assert (found["units"], found["class_weight"]) == ("5", "{'a': 1, 'b': 2.0}")
    assert found["validation data"] == "none"
    assert all(isinstance(value, str) for value in found.values())


@pytest.mark.parametrize(
    "changes", [{"n_threads": 2}, {"verbose": 1}, {"checkpoint_dir": "folder"}, {"units": np.int64(16)}]
)
def test_fit_identity_ignores_parameters_without_effect_and_numpy_types(changes):
    assert identity(**{"units": 16} | changes) == identity(units=16)


def test_fit_identity_depends_on_the_state_of_a_generator():
    seeds = [identity(random_state=np.random.RandomState(seed))["random_state"] for seed in (0, 0, 1)]
    assert seeds[0] == seeds[1] != seeds[2]
    assert seeds[0].startswith("RandomState ")


@pytest.mark.parametrize(
    "changes",
    [
        {"sequences": SERIES.take([2, 1, 0])},
        {"sequences": EncodedSequences(Ragged.from_items([[1.0, 2.0], [3.0], [4.0]]))},
        {"targets": np.array(["b", "a", "b"])},
        {"weights": np.array([1.0, 2.0, 1.0])},
        {"groups": np.array([0, 1, 0])},
    ],
)
def test_fit_identity_depends_on_the_data(changes):
    changed, unchanged = identity(replace(DATA, **changes)), identity()
    assert changed.pop("data") != unchanged.pop("data")
    assert changed == unchanged
    assert identity(validation=replace(DATA, **changes)) != identity(validation=DATA) != identity()


def test_fit_identity_depends_on_the_lengths_of_targets():
    lengths = np.array([1, 2, 1])
    targets = [Ragged(np.arange(4), each) for each in (lengths, np.array([1, 1, 2]))]
    found = [fit_identity(RNNTagger(), replace(DATA, targets=each), None, "cpu")["data"] for each in targets]
    assert found[0] != found[1]


def test_fit_identity_of_a_warm_start_depends_on_the_fitted_network():
    X, y = np.random.default_rng(0).normal(size=(20, 4)), [0, 1] * 10
    model = RNNClassifier(units=2, max_epochs=1, random_state=0, warm_start=True)
    assert "fitted network" not in fit_identity(model, DATA, None, "cpu")
    found = []
    for _ in range(2):
        model.fit(X, y)
        found.append(fit_identity(model, DATA, None, "cpu")["fitted network"])
    assert found[0] != found[1] == joblib.hash(model.network_.to_arrays())


def test_fit_identity_depends_on_the_tokens_of_a_vocabulary():
    found = []
    for texts in (["good film", "bad film"] * 5, ["good story", "bad story"] * 5):
        model = RNNTextClassifier(units=2, max_epochs=1, random_state=0).fit(texts, [0, 1] * 5)
        sequences = model._encode(model._validate_X(["unseen words"], reset=False))
        found.append(fit_identity(model, Dataset(sequences, np.zeros(1), np.ones(1)), None, "cpu")["data"])
    assert found[0] != found[1]


def test_versions_name_packages_and_kernels(monkeypatch):
    assert list(versions()) == ["seqclf", "torch", "numpy", "scipy", "scikit-learn", "kernels"]
    monkeypatch.setenv("SEQCLF_KERNELS", "reference")
    assert versions()["kernels"] == "reference"


@pytest.mark.parametrize("convert", [torch.tensor, lambda rows: [torch.tensor(row) for row in rows]])
def test_call_identity_of_tensors_depends_on_their_values_only(convert):
    """The joblib hash of a tensor depends on the address of its memory."""
    rows = [[1.0, 2.0], [3.0, 4.0]]
    arguments = [{"X": convert(each)} for each in (rows, rows, rows[::-1])]
    first, equal, different = (call_identity(RNNClassifier(), each)["X"] for each in arguments)
    assert first == equal != different
