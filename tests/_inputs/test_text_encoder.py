"""`TextEncoder`: a restored encoder encodes like its estimator."""

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


def fit_case(case):
    X, new, tokenizer = CASES[case]
    model = RNNTextClassifier(tokenizer, units=2, max_epochs=1, random_state=0, wide=False, nb_ngrams=0)
    return model.fit(X, [0, 1] * 6), new


@pytest.mark.parametrize("name", CASES)
def test_restored_text_encoder_equals_the_estimator(name):
    model, new = fit_case(name)
    original = model._encoder()
    encoder = TextEncoder.from_state(Saved(original.to_state()), original.vocabulary)
    found, expected = encoder.encode(encoder.validate(new)), model._encode(model._validate_X(new, reset=False))
    np.testing.assert_array_equal(found.steps.values, expected.steps.values)
    np.testing.assert_array_equal(found.lengths, expected.lengths)
    assert (found.spelling is None) == (expected.spelling is None) == (name not in ("texts", "tokens"))
    assert encoder.has_spelling == (found.spelling is not None)
    assert (encoder.names is None) == (name == "ids")
    if encoder.names is not None:
        assert len(encoder.names.tokens) == encoder.vocab_size
    assert found.steps.values.max() < encoder.vocab_size


@pytest.mark.parametrize("name", CASES)
def test_from_state_of_an_altered_state_is_an_error_or_a_usable_encoder(name, altered):
    model, new = fit_case(name)
    original = model._encoder()
    n_errors = 0
    for state in altered(original.to_state()):
        try:
            encoder = TextEncoder.from_state(Saved(state), original.vocabulary)
        except SavedStateError:
            n_errors += 1
            continue
        try:
            assert encoder.encode(encoder.validate(new)).steps.values.max() < encoder.vocab_size
        except (TypeError, ValueError):
            continue  # this encoder is for other rows
    assert n_errors > 5


def test_from_state_requires_a_vocabulary_for_texts_only():
    texts, ids = fit_case("texts")[0]._encoder(), fit_case("ids")[0]._encoder()
    for state, vocabulary in ((texts.to_state(), None), (ids.to_state(), texts.vocabulary)):
        with pytest.raises(SavedStateError, match="does not match the tokenizer"):
            TextEncoder.from_state(Saved(state), vocabulary)
