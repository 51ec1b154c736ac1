"""Pickled states: CheckedState rejects invalid states by name, and other versions raise a warning."""

import contextlib
import pickle
import warnings

import numpy as np
import pytest

import seqclf
from seqclf import RNNClassifier, SequencePadder, TextTokenizer

TEXTS = ["good film", "bad film"] * 10
TRANSFORMERS = {
    "words": lambda: TextTokenizer().fit(TEXTS),
    "partially fitted words": lambda: TextTokenizer().partial_fit(TEXTS),
    "ids": lambda: SequencePadder().fit([[2, 3], [4]]),
    "series": lambda: SequencePadder().fit([np.ones((3, 2)), np.ones((1, 2))]),
}


def new(cls):
    """An instance without attributes, as pickle creates it before `__setstate__`."""
    return object.__new__(cls)


@pytest.mark.parametrize(("version", "warns"), [("0.1.7", False), ("0.9.0", True), ("1.1.0", True)])
def test_another_minor_or_major_version_raises_a_warning(version, warns):
    model = RNNClassifier(units=2, max_epochs=1, random_state=0).fit(np.arange(80.0).reshape(20, 4) % 7, [0, 1] * 10)
    state = model.__getstate__() | {"_seqclf_version": version}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        new(RNNClassifier).__setstate__(state)
    assert len(caught) == warns
    assert all(f"pickled by seqclf {version} and is loaded by seqclf" in str(warning.message) for warning in caught)


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_transformer_pickle_carries_the_version(kind):
    transformer = TRANSFORMERS[kind]()
    state = transformer.__getstate__()
    assert state["_seqclf_version"] == seqclf.__version__
    assert vars(pickle.loads(pickle.dumps(transformer))).keys() == vars(transformer).keys()
    with pytest.warns(UserWarning, match=r"pickled by seqclf 9\.0\.0"):
        new(type(transformer)).__setstate__(state | {"_seqclf_version": "9.0.0"})


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_transformer_setstate_names_a_missing_attribute(kind):
    transformer = TRANSFORMERS[kind]()
    name_of_class = type(transformer).__name__
    optional = {"vocabulary_", "max_length_", "_counting"}  # without these it is an unfitted transformer
    for name in vars(transformer).keys() - optional:
        state = transformer.__getstate__()
        del state[name]
        with pytest.raises(ValueError, match=f"This {name_of_class} can't be loaded: its state has no {name}"):
            new(type(transformer)).__setstate__(state)


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_transformer_with_a_changed_state_is_rejected_or_works(kind, altered):
    """A state can come from skops, which runs no code: no value in it must do harm later."""
    transformer = TRANSFORMERS[kind]()
    name, X = type(transformer).__name__, TEXTS if isinstance(transformer, TextTokenizer) else [[2, 3], [4]]
    n_rejected = 0
    for state in altered(transformer.__getstate__()):
        if not isinstance(state, dict) or any(key not in state for key in transformer.get_params()):
            continue
        loaded = new(type(transformer))
        message = None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                loaded.__setstate__(state)
        except ValueError as error:
            message = str(error)
        if message is not None:
            assert f"This {name} can't be loaded: " in message
            n_rejected += 1
            continue
        with contextlib.suppress(TypeError, ValueError):  # invalid parameters, or no longer fitted
            loaded.transform(X)
    assert n_rejected > 20


def test_tokenizer_setstate_names_inconsistent_counts_and_vocabularies():
    state = TextTokenizer().partial_fit(TEXTS).__getstate__()
    state["_counting"]["counts"]["levels"]["word"]["tokens"][0] = "film"
    with pytest.raises(ValueError, match=r"TextTokenizer can't be loaded: .*the token 'film' occurs twice"):
        new(TextTokenizer).__setstate__(state)
    state = TextTokenizer().fit(TEXTS).__getstate__()
    state["vocabulary_"] = state["vocabulary_"] | {"film": -5}
    with pytest.raises(ValueError, match="its vocabulary_ is not that of its tokens_"):
        new(TextTokenizer).__setstate__(state)
