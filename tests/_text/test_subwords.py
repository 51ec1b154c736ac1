"""Subword models, trained on texts or on the counts of their words."""

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
def test_model_of_word_counts_equals_that_of_texts(min_frequency, repeats, tune):
    tune(max_repeats=repeats)
    find_words = subwords.word_finder()
    counts = Counter(word for line in LINES for word in find_words(line))
    expected = subwords.train(iter(LINES), 300, min_frequency)
    learned = subwords.train_from_counts(list(counts), np.array(list(counts.values())), 300, min_frequency)
    assert learned.to_str() == expected.to_str()
    assert len(subwords.tokens_of(expected)) > subwords.N_BYTES


def test_word_finder_splits_like_the_library():
    find_words = subwords.word_finder()
    assert find_words("it's 2,5") == ["Ġit", "'s", "Ġ2", ",", "5"]
    model = subwords.train(LINES, 300, 1)
    tokens = subwords.tokens_of(model)
    for line, ids in zip(LINES, subwords.encode(model, LINES), strict=True):
        assert ids.dtype == np.int32
        assert "".join(find_words(line)) == "".join(tokens[index] for index in ids)


def test_encode_does_not_depend_on_the_chunk_size(tune):
    model = subwords.train(LINES, 280, 1)
    expected = [ids.tolist() for ids in subwords.encode(model, LINES)]
    tune(subword_chunk=4)
    assert [ids.tolist() for ids in subwords.encode(model, iter(LINES))] == expected


def trained_model():
    return subwords.train(["hello there, hello you", "the hell of it 漢字"] * 5, 300, 1)


def test_restored_equals_the_model_of_its_tokens_and_merges():
    model = trained_model()
    merges = subwords.merges_of(model)
    assert len(merges) > 10 and merges.dtype == np.int32
    restored = subwords.rebuild(subwords.tokens_of(model), merges)
    assert restored.to_str() == model.to_str()
    lines = ["hello, the new one", "漢"]
    assert [ids.tolist() for ids in subwords.encode(restored, lines)] == [
        ids.tolist() for ids in subwords.encode(model, lines)
    ]


def test_merges_of_a_changed_model_is_an_error():
    model = trained_model()
    model.enable_truncation(3)
    with pytest.raises(ValueError, match="was changed after fit"):
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
def test_restored_rejects_invalid_tokens_and_merges(tokens, merges):
    with pytest.raises(ValueError, match=r"token|merge"):
        subwords.rebuild(tokens, np.array(merges, dtype=np.int32).reshape(-1, 2))
