"""Texts, tokens and ids as the network numbers them, from a saved state or from an estimator."""

import numpy as np
import pytest

from seqclf import RNNTextClassifier, TextTokenizer
from seqclf._inputs.text_encoder import TextEncoder
from seqclf._saved import Saved, SavedStateError

TEXTS = ["good film", "bad film", "a good plot", "not so bad"] * 3
CASES = {
    "texts": (TEXTS, ["good new film", ""], None),
    "characters": (TEXTS, ["good!", ""], TextTokenizer(level="char")),
    "tokens": ([text.split() for text in TEXTS], [["good", "new"], []], None),
    "ids": ([[2, 3], [4]] * 6, [[2, 9], []], None),
    "scattered ids": ([[2 * 10**9, 3 * 10**9], [4 * 10**9]] * 6, [[2 * 10**9, 5], []], None),
}


def encoder_of(name):
    X, new, tokenizer = CASES[name]
    model = RNNTextClassifier(tokenizer, units=2, max_epochs=1, random_state=0, wide=False, nb_ngrams=0)
    return model.fit(X, [0, 1] * 6), new


@pytest.mark.parametrize("name", CASES)
def test_it_reads_and_encodes_as_the_estimator_does(name):
    model, new = encoder_of(name)
    own = model._encoder()
    encoder = TextEncoder.from_state(Saved(own.to_state()), own.vocabulary)
    found, expected = encoder.encode(encoder.read(new)), model._encode(model._validate_X(new, reset=False))
    np.testing.assert_array_equal(found.steps.values, expected.steps.values)
    np.testing.assert_array_equal(found.lengths, expected.lengths)
    assert (found.spelling is None) == (expected.spelling is None) == (name not in ("texts", "tokens"))
    assert encoder.is_spelled == (found.spelling is not None)
    assert (encoder.names is None) == (name == "ids")
    if encoder.names is not None:
        assert len(encoder.names.tokens) == encoder.vocab_size
    assert found.steps.values.max() < encoder.vocab_size


@pytest.mark.parametrize("name", CASES)
def test_a_changed_state_is_an_error_or_the_same_encoder(name, altered):
    model, new = encoder_of(name)
    own = model._encoder()
    n_refused = 0
    for state in altered(own.to_state()):
        try:
            encoder = TextEncoder.from_state(Saved(state), own.vocabulary)
        except SavedStateError:
            n_refused += 1
            continue
        try:
            assert encoder.encode(encoder.read(new)).steps.values.max() < encoder.vocab_size
        except (TypeError, ValueError):
            continue  # as such an encoder refuses such rows
    assert n_refused > 5


def test_a_vocabulary_goes_with_texts_alone():
    texts, ids = encoder_of("texts")[0]._encoder(), encoder_of("ids")[0]._encoder()
    for state, vocabulary in ((texts.to_state(), None), (ids.to_state(), texts.vocabulary)):
        with pytest.raises(SavedStateError, match="does not go with the tokenizer"):
            TextEncoder.from_state(Saved(state), vocabulary)
