"""Pickled states: checked when they are loaded, and refused by an error that says what is wrong."""

import contextlib
import pickle
import warnings

import numpy as np
import pytest

import seqclf
from seqclf import RNNClassifier, RNNTagger, RNNTextClassifier, SequencePadder, TextTokenizer

MESSAGE = rf"before the release of 0\.1\.0 .*seqclf {seqclf.__version__} can't read it\. Fit it again, or load it with"


def test_a_pickle_that_names_an_old_module():
    with pytest.raises(ImportError, match=MESSAGE):
        pickle.loads(b"cseqclf._sequences.nb_ratios\nNaiveBayesRatios\n.")


@pytest.mark.parametrize("cls", [RNNClassifier, RNNTextClassifier])
def test_a_state_without_a_task(cls):
    with pytest.raises(ImportError, match=MESSAGE):
        cls().__setstate__({"network_": ({}, {}), "classes_": [0, 1]})


def test_an_estimator_that_was_never_fitted_is_no_older():
    assert pickle.loads(pickle.dumps(RNNClassifier(units=3))).units == 3


def test_the_old_module_has_nothing_else():
    from seqclf._sequences import nb_ratios

    with pytest.raises(AttributeError, match="has no attribute 'RatedIds'"):
        nb_ratios.RatedIds  # noqa: B018


TEXTS, SERIES, LABELS = ["good film", "bad film"] * 10, np.arange(80.0).reshape(20, 4) % 7, ["yes", "no"] * 10
SMALL = {"units": 2, "max_epochs": 1, "random_state": 0}


def blank(cls):
    """What pickle calls `__setstate__` on."""
    return object.__new__(cls)


def fitted(kind):
    if kind == "texts":
        return RNNTextClassifier(**SMALL).fit(TEXTS, LABELS)
    if kind == "ids":
        return RNNTextClassifier(**SMALL).fit([[2, 3], [4]] * 10, LABELS)
    if kind == "tags":
        return RNNTagger(**SMALL).fit([["a", "b"]] * 10, [["A", "B"]] * 10)
    return RNNClassifier(**SMALL).fit(SERIES, LABELS)


@pytest.mark.parametrize("kind", ["texts", "ids", "tags", "series"])
def test_a_pickle_carries_the_version_and_nothing_shows_it_afterwards(kind):
    model = fitted(kind)
    assert model.__getstate__()["_seqclf_version"] == seqclf.__version__
    loaded = pickle.loads(pickle.dumps(model))
    assert vars(loaded).keys() - {"_network"} == vars(model).keys() - {"network_"}


@pytest.mark.parametrize("kind", ["texts", "ids", "tags", "series"])
def test_a_state_without_an_attribute_names_it(kind):
    """Every attribute that a fit has set is needed, or is optional and tested as such here."""
    model = fitted(kind)
    optional = {"n_features_in_", "classes_", "_label_features"} | ({"vocab_size_"} if kind == "series" else set())
    for name in vars(model).keys() - optional:
        if name == "network_":
            continue  # Without it the state is of an estimator which was never fitted.
        state = model.__getstate__()
        del state[name]
        with pytest.raises(ValueError, match=f"its state has no {name}"):
            blank(type(model)).__setstate__(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes_": np.array(["a", "b", "c"])}, "its classes_ is not what its network was trained for"),
        ({"_task": None}, "_task is None; expected named values"),
        ({"_network": None}, "_network is None; expected named values"),
        ({"vocab_size_": 99}, "vocab_size is not that of the tokenizer"),
    ],
)
def test_a_state_whose_parts_do_not_fit_says_which(change, message):
    state = fitted("texts").__getstate__() | change
    with pytest.raises(ValueError, match=rf"(?s)This RNNTextClassifier can't be loaded: .*({message})"):
        blank(RNNTextClassifier).__setstate__(state)


def test_a_task_of_another_number_of_classes_is_refused():
    state = fitted("texts").__getstate__()
    three = RNNTextClassifier(**SMALL).fit([*TEXTS, "dull film"], [*LABELS, "maybe"])
    state |= {"_task": three._task.to_state(), "classes_": three.classes_}
    with pytest.raises(ValueError, match="its network has 1 outputs for 3"):
        blank(RNNTextClassifier).__setstate__(state)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(value):
    state = fitted("series").__getstate__()
    state["_network"]["weights"]["head.bias"] = np.array([value], dtype=np.float32)
    with pytest.raises(ValueError, match=r"_network\.weights\.head\.bias holds NaN or infinity"):
        blank(RNNClassifier).__setstate__(state)


def test_numbers_of_the_inputs_and_of_the_linear_model_are_checked():
    for change in ({"channel_mean_": np.zeros(3)}, {"channel_scale_": np.array([np.nan])}):
        with pytest.raises(ValueError, match=f"{next(iter(change))[:-1]} (is an array of|holds NaN)"):
            blank(RNNClassifier).__setstate__(fitted("series").__getstate__() | change)
    state = pickle.loads(pickle.dumps(fitted("texts"))).__getstate__()
    state["_label_features"]["scores"]["coef"][0] = np.nan
    with pytest.raises(ValueError, match=r"_label_features\.scores\.coef holds NaN"):
        blank(RNNTextClassifier).__setstate__(state)


@pytest.mark.parametrize("damage", ["shape", "missing", "setting"])
def test_a_network_that_can_not_be_rebuilt(damage):
    state = fitted("series").__getstate__()
    network = state["_network"]
    if damage == "shape":
        network["weights"]["head.bias"] = np.zeros(7, dtype=np.float32)
    elif damage == "missing":
        del network["weights"]["head.bias"]
    else:
        network["config"]["cell"] = "rnm"
    with pytest.raises(ValueError, match=r"(?s)RNNClassifier can't be loaded: _network\..*Fit it again"):
        blank(RNNClassifier).__setstate__(state)


@pytest.mark.parametrize(("version", "warns"), [("0.1.7", False), ("0.9.0", True), ("1.1.0", True)])
def test_another_minor_version_is_a_warning(version, warns):
    state = fitted("series").__getstate__() | {"_seqclf_version": version}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        blank(RNNClassifier).__setstate__(state)
    assert [f"pickled by seqclf {version} and is read by seqclf" in str(each.message) for each in caught] == [
        True
    ] * warns


def test_an_unfitted_state_without_a_parameter_is_refused():
    state = RNNClassifier().__getstate__()
    del state["units"]
    with pytest.raises(ValueError, match="its state has no units"):
        blank(RNNClassifier).__setstate__(state)


TRANSFORMERS = {
    "words": lambda: TextTokenizer().fit(TEXTS),
    "counted": lambda: TextTokenizer().partial_fit(TEXTS),
    "ids": lambda: SequencePadder().fit([[2, 3], [4]]),
    "series": lambda: SequencePadder().fit([np.ones((3, 2)), np.ones((1, 2))]),
}


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_transformers_carry_the_version_and_name_what_is_missing(kind):
    fitted = TRANSFORMERS[kind]()
    loaded = pickle.loads(pickle.dumps(fitted))
    assert vars(loaded).keys() == vars(fitted).keys()
    assert fitted.__getstate__()["_seqclf_version"] == seqclf.__version__
    optional = {"vocabulary_", "max_length_", "_counting"}  # Without them it is an unfitted one.
    for name in vars(fitted).keys() - optional:
        state = fitted.__getstate__()
        del state[name]
        with pytest.raises(ValueError, match=f"This {type(fitted).__name__} can't be loaded: its state has no {name}"):
            blank(type(fitted)).__setstate__(state)
    with pytest.warns(UserWarning, match=r"pickled by seqclf 9\.0\.0"):
        blank(type(fitted)).__setstate__(fitted.__getstate__() | {"_seqclf_version": "9.0.0"})


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_a_damaged_state_of_a_transformer_is_refused_or_works(kind, altered):
    """A state may come from skops, which runs no code: no value of it may do harm later."""
    fitted = TRANSFORMERS[kind]()
    name, X = type(fitted).__name__, TEXTS if isinstance(fitted, TextTokenizer) else [[2, 3], [4]]
    n_refused = 0
    for state in altered(fitted.__getstate__()):
        if not isinstance(state, dict) or any(key not in state for key in fitted.get_params()):
            continue
        loaded = blank(type(fitted))
        message = None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                loaded.__setstate__(state)
        except ValueError as error:
            message = str(error)
        if message is not None:
            assert f"This {name} can't be loaded: " in message
            n_refused += 1
            continue
        with contextlib.suppress(TypeError, ValueError):  # of parameters, or not fitted any more
            loaded.transform(X)
    assert n_refused > 20


@pytest.mark.parametrize("kind", ["texts", "tags", "series"])
def test_the_error_for_a_state_says_both_versions_in_one_line(kind):
    state = fitted(kind).__getstate__() | {"_seqclf_version": "0.0.7", "_network": None}
    with pytest.raises(ValueError) as caught:
        blank(type(fitted(kind))).__setstate__(state)
    assert "\n" not in str(caught.value)
    assert f"pickled by seqclf 0.0.7 and is read by seqclf {seqclf.__version__}" in str(caught.value)


def test_counts_of_a_stream_that_do_not_go_together_are_named():
    state = TextTokenizer().partial_fit(TEXTS).__getstate__()
    state["_counting"]["counts"]["levels"]["word"]["tokens"][0] = "film"
    with pytest.raises(ValueError, match=r"TextTokenizer can't be loaded: .*the token 'film' occurs twice"):
        blank(TextTokenizer).__setstate__(state)
    state = TextTokenizer().fit(TEXTS).__getstate__()
    state["vocabulary_"] = state["vocabulary_"] | {"film": -5}
    with pytest.raises(ValueError, match="its vocabulary_ is not that of its tokens_"):
        blank(TextTokenizer).__setstate__(state)
