"""BaseSavedRNN: pickles and loaded models of all estimators; invalid states are rejected by name."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import _fitted_models
import seqclf
from _factories import run_python
from seqclf import RNNClassifier, RNNTagger, RNNTextClassifier, load_model, save_model

SMALL = {"units": 2, "max_epochs": 1, "random_state": 0}
TEXTS, SERIES, LABELS = ["good film", "bad film"] * 10, np.arange(80.0).reshape(20, 4) % 7, ["yes", "no"] * 10
KINDS = ["texts", "ids", "tags", "series"]


def new(cls):
    """An instance without attributes, as pickle creates it before `__setstate__`."""
    return object.__new__(cls)


def fitted(kind):
    if kind == "texts":
        return RNNTextClassifier(**SMALL).fit(TEXTS, LABELS)
    if kind == "ids":
        return RNNTextClassifier(**SMALL).fit([[2, 3], [4]] * 10, LABELS)
    if kind == "tags":
        return RNNTagger(**SMALL).fit([["a", "b"]] * 10, [["A", "B"]] * 10)
    return RNNClassifier(**SMALL).fit(SERIES, LABELS)


@pytest.mark.parametrize("kind", KINDS)
def test_pickle_carries_the_version_but_the_loaded_estimator_does_not(kind):
    model = fitted(kind)
    assert model.__getstate__()["_seqclf_version"] == seqclf.__version__
    loaded = pickle.loads(pickle.dumps(model))
    assert vars(loaded).keys() - {"_network"} == vars(model).keys() - {"network_"}


@pytest.mark.parametrize("kind", KINDS)
def test_setstate_names_a_missing_attribute(kind):
    """Every fitted attribute is required, except for those listed here."""
    model = fitted(kind)
    optional = {"n_features_in_", "classes_", "_label_features"} | ({"vocab_size_"} if kind == "series" else set())
    for name in vars(model).keys() - optional:
        if name == "network_":
            continue  # without it the state is that of an unfitted estimator
        state = model.__getstate__()
        del state[name]
        with pytest.raises(ValueError, match=f"its state has no {name}"):
            new(type(model)).__setstate__(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes_": np.array(["a", "b", "c"])}, "its classes_ is not the one that its network was trained for"),
        ({"_task": None}, "_task is None; expected a dict whose keys are strings"),
        ({"_network": None}, "_network is None; expected a dict whose keys are strings"),
        ({"vocab_size_": 99}, "vocab_size is not that of the tokenizer"),
    ],
)
def test_setstate_names_an_inconsistent_attribute(change, message):
    state = fitted("texts").__getstate__() | change
    with pytest.raises(ValueError, match=rf"(?s)This RNNTextClassifier can't be loaded: .*({message})"):
        new(RNNTextClassifier).__setstate__(state)


def test_setstate_rejects_a_task_with_another_number_of_classes():
    state = fitted("texts").__getstate__()
    three = RNNTextClassifier(**SMALL).fit([*TEXTS, "dull film"], [*LABELS, "maybe"])
    state |= {"_task": three._task.to_state(), "classes_": three.classes_}
    with pytest.raises(ValueError, match="its network has 1 outputs, but its task needs 3"):
        new(RNNTextClassifier).__setstate__(state)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_setstate_names_weights_that_are_not_finite(value):
    state = fitted("series").__getstate__()
    state["_network"]["weights"]["head.bias"] = np.array([value], dtype=np.float32)
    with pytest.raises(ValueError, match=r"_network\.weights\.head\.bias holds NaN or infinity"):
        new(RNNClassifier).__setstate__(state)


def test_setstate_checks_channel_statistics_and_the_linear_model():
    for change in ({"channel_mean_": np.zeros(3)}, {"channel_scale_": np.array([np.nan])}):
        with pytest.raises(ValueError, match=f"{next(iter(change))[:-1]} (is an array of|holds NaN)"):
            new(RNNClassifier).__setstate__(fitted("series").__getstate__() | change)
    state = pickle.loads(pickle.dumps(fitted("texts"))).__getstate__()
    state["_label_features"]["scores"]["coef"][0] = np.nan
    with pytest.raises(ValueError, match=r"_label_features\.scores\.coef holds NaN"):
        new(RNNTextClassifier).__setstate__(state)


@pytest.mark.parametrize("damage", ["shape", "missing", "setting"])
def test_setstate_rejects_an_invalid_network(damage):
    state = fitted("series").__getstate__()
    network = state["_network"]
    if damage == "shape":
        network["weights"]["head.bias"] = np.zeros(7, dtype=np.float32)
    elif damage == "missing":
        del network["weights"]["head.bias"]
    else:
        network["config"]["cell"] = "rnm"
    with pytest.raises(ValueError, match=r"(?s)RNNClassifier can't be loaded: _network\..*Fit it again"):
        new(RNNClassifier).__setstate__(state)


@pytest.mark.parametrize("kind", ["texts", "tags", "series"])
def test_setstate_error_names_both_versions_in_one_line(kind):
    model = fitted(kind)
    state = model.__getstate__() | {"_seqclf_version": "0.0.7", "_network": None}
    with pytest.raises(ValueError) as caught:
        new(type(model)).__setstate__(state)
    assert "\n" not in str(caught.value)
    assert f"pickled by seqclf 0.0.7 and is loaded by seqclf {seqclf.__version__}" in str(caught.value)


@pytest.mark.parametrize("cls", [RNNClassifier, RNNTextClassifier])
def test_setstate_rejects_states_from_before_the_first_release(cls):
    with pytest.raises(ImportError, match=r"before the release of 0\.1\.0"):
        cls().__setstate__({"network_": ({}, {}), "classes_": [0, 1]})


def test_setstate_names_a_missing_parameter_of_an_unfitted_estimator():
    state = RNNClassifier().__getstate__()
    del state["units"]
    with pytest.raises(ValueError, match="its state has no units"):
        new(RNNClassifier).__setstate__(state)


def test_unfitted_estimator_can_be_pickled():
    assert pickle.loads(pickle.dumps(RNNClassifier(units=3))).units == 3


def test_network_is_created_once_for_concurrent_threads(tmp_path):
    save_model(_fitted_models.fitted("matrix")[0], tmp_path / "model")
    for _ in range(10):
        model = load_model(tmp_path / "model")
        with ThreadPoolExecutor(4) as pool:
            assert len({id(network) for network in pool.map(lambda _, model=model: model.network_, range(4))}) == 1
        assert "_network" not in vars(model)


@pytest.mark.parametrize(
    "name",
    [
        "texts, three classes, gru",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("matrix", "tags of tokens")),
    ],
)
def test_loaded_estimator_predicts_and_is_displayed_without_torch(name, tmp_path):
    model, X = _fitted_models.fitted(name)
    save_model(model, tmp_path / "model")
    (tmp_path / "X.pickle").write_bytes(pickle.dumps((X, model, model.predict(X))))
    for load in ("load_model(folder)", "pickle.load(open(file, 'rb'))[1]"):
        run_python(
            f"""
            import pickle, sys, numpy as np
            import seqclf._devices
            seqclf._devices.has_gpu_driver = lambda: False
            from seqclf import load_model
            file, folder = {str(tmp_path / "X.pickle")!r}, {str(tmp_path / "model")!r}
            model = {load}
            X, _, expected = pickle.load(open(file, "rb"))
            for found_row, expected_row in zip(model.predict(X), expected):
                np.testing.assert_array_equal(found_row, expected_row)
            assert "network_" not in vars(model)
            assert "units" in model._repr_html_()
            pickle.loads(pickle.dumps(model)).predict(X)
            assert not {{"torch", "skorch"}} & sys.modules.keys()
            """
        )
