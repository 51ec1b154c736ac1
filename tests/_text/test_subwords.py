"""Pieces of words, learned from texts or from the counts of their words."""

from collections import Counter

import numpy as np
import pytest

from seqclf._text import subwords

pytest.importorskip("tokenizers")

LINES = [
    "a good film, a good one",
    "don't 's it's",
    "좋은 영화 é \x00 x\u00a0y",
    "half \ud83d",
    "",
    "goods goody 12 12,5!!",
] * 3


@pytest.mark.parametrize("min_frequency", [1, 4, 9])
@pytest.mark.parametrize("repeats", [2, 100])
def test_counts_of_words_are_enough(min_frequency, repeats, tune):
    tune(max_repeats=repeats)
    find_words = subwords.word_finder()
    counts = Counter(word for line in LINES for word in find_words(line))
    expected = subwords.learn(iter(LINES), 300, min_frequency)
    learned = subwords.learn_from_counts(list(counts), np.array(list(counts.values())), 300, min_frequency)
    assert learned.to_str() == expected.to_str()
    assert len(subwords.tokens_of(expected)) > subwords.N_BYTES


def test_words_are_those_that_the_library_looks_into():
    find_words = subwords.word_finder()
    assert find_words("it's 2,5") == ["Ġit", "'s", "Ġ2", ",", "5"]
    model = subwords.learn(LINES, 300, 1)
    tokens = subwords.tokens_of(model)
    for line, ids in zip(LINES, subwords.encode(model, LINES), strict=True):
        assert ids.dtype == np.int32
        assert "".join(find_words(line)) == "".join(tokens[number] for number in ids)


def test_texts_are_encoded_in_chunks(tune):
    model = subwords.learn(LINES, 280, 1)
    expected = [ids.tolist() for ids in subwords.encode(model, LINES)]
    tune(subword_chunk=4)
    assert [ids.tolist() for ids in subwords.encode(model, iter(LINES))] == expected


def learned():
    return subwords.learn(["hello there, hello you", "the hell of it 漢字"] * 5, 300, 1)


def test_tokens_and_merges_are_all_of_a_model():
    model = learned()
    merges = subwords.merges_of(model)
    assert len(merges) > 10 and merges.dtype == np.int32
    again = subwords.restored(subwords.tokens_of(model), merges)
    assert again.to_str() == model.to_str()
    lines = ["hello, the new one", "漢"]
    assert [ids.tolist() for ids in subwords.encode(again, lines)] == [
        ids.tolist() for ids in subwords.encode(model, lines)
    ]


def test_a_model_that_was_changed_has_no_merges():
    model = learned()
    model.enable_truncation(3)
    with pytest.raises(ValueError, match="changed afterwards"):
        subwords.merges_of(model)


@pytest.mark.parametrize(
    ("tokens", "merges"),
    [
        (["a", "a"], []),
        (["a", ""], [[0, 1]]),
        (["a", "\ud800"], []),
        (["a", "b"], [[0, 1]]),
        (["a", "aa"], [[0, 0], [0, 0]]),
    ],
)
def test_what_makes_no_model_is_refused_before_the_library_sees_it(tokens, merges):
    with pytest.raises(ValueError, match=r"token|merge"):
        subwords.restored(tokens, np.array(merges, dtype=np.int32).reshape(-1, 2))
