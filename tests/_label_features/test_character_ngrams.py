"""Counts of characters by way of tokens, against scikit-learn's counts of the rows themselves."""

import random

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from seqclf._data.ragged import Ragged
from seqclf._label_features.character_ngrams import LONGEST, SHORTEST, CharacterNGrams, n_entries, ngrams_of
from seqclf._label_features.entry_counts import count_entries
from seqclf._saved import Saved, SavedStateError

TOKENS = ["a", "in", "inn", "inner", "winner", "Über", "straße", "日本", "e\u0301", "!", "don't", "inininin"]
NEW = ["winning", "zzz", "日本人", "a", "ß"]


def of_rows():
    """scikit-learn's counts."""
    return CountVectorizer(analyzer="char_wb", ngram_range=(SHORTEST, LONGEST), lowercase=False)


def draw(n_rows, n_tokens, seed=0):
    """Rows of tokens; the first one has none."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 9, size=n_rows)
    lengths[:1] = 0
    return Ragged(rng.integers(0, n_tokens, size=lengths.sum()).astype(np.int32), lengths)


def written(rows, tokens):
    return [" ".join(tokens[number] for number in row) for row in rows.items()]


def odd_tokens():
    """Characters of many kinds, all white space among them, in any order."""
    spaces = [chr(c) for c in range(0x3001) if chr(c).isspace()]
    characters = [*"abcABC.,!'\u0301\u00df\u65e5\U0001f600\x00\u200b\ufeff\x85", *spaces]
    rng = random.Random(0)
    return ["".join(rng.choices(characters, k=rng.randrange(9))) for _ in range(3000)]


def test_ngrams_of_a_token_are_those_of_scikit_learn():
    analyze = of_rows().build_analyzer()
    for token in [*TOKENS, *NEW, "", " ", "a b", " a\t\tbc \n", *odd_tokens()]:
        assert ngrams_of(token) == analyze(token), token


@pytest.mark.parametrize("tokens", [TOKENS, odd_tokens()])
def test_names_and_their_order_are_those_of_scikit_learn(tokens):
    assert CharacterNGrams(tokens).names_ == of_rows().fit(tokens).get_feature_names_out().tolist()


def test_counts_are_those_of_the_rows_themselves():
    ngrams = CharacterNGrams(TOKENS)
    rows = draw(60, len(TOKENS))
    reference = of_rows().fit(written(rows, TOKENS))
    assert ngrams.names_ == reference.get_feature_names_out().tolist()
    expected = reference.transform(written(rows, TOKENS)).toarray()
    found = ngrams.count(rows)
    np.testing.assert_array_equal(found.toarray(), expected)
    assert found.values.dtype == np.float32 and expected[0].sum() == 0 < expected.sum()


def test_new_tokens_count_by_the_ngrams_that_are_known():
    ngrams = CharacterNGrams(TOKENS)
    rows = draw(60, len(TOKENS) + len(NEW), seed=1)
    reference = of_rows().fit([" ".join(TOKENS)])
    expected = reference.transform(written(rows, TOKENS + NEW)).toarray()
    np.testing.assert_array_equal(ngrams.count(rows, NEW).toarray(), expected)
    known = reference.transform(written(rows, TOKENS + [""] * len(NEW))).toarray()
    assert (expected != known).any(axis=1).sum() > 15


def test_those_that_are_not_kept_are_not_counted():
    ngrams, some = CharacterNGrams(TOKENS), CharacterNGrams(TOKENS)
    rows, kept = draw(60, len(TOKENS) + len(NEW), seed=1), np.arange(1, len(ngrams.names_), 3)
    some.keep(kept)
    assert some.names_ == [ngrams.names_[one] for one in kept]
    np.testing.assert_array_equal(some.count(rows, NEW).toarray(), ngrams.count(rows, NEW).toarray()[:, kept])


def test_a_row_has_its_entries_in_one_order_in_any_company():
    ngrams = CharacterNGrams(TOKENS)
    rows = draw(30, len(TOKENS))
    together = ngrams.count(rows)
    for row in range(30):
        alone, ours = ngrams.count(rows.take([row])), together[[row]]
        np.testing.assert_array_equal(alone.columns, ours.columns)
        np.testing.assert_array_equal(alone.values, ours.values)
        assert (np.diff(ours.columns) > 0).all()


@pytest.mark.parametrize("n_rows", [0, 1, 30])
def test_entries_are_at_most_as_many_as_foretold(n_rows):
    ngrams = CharacterNGrams(TOKENS)
    rows = draw(n_rows, len(TOKENS), seed=2)
    foretold = n_entries(count_entries(rows, len(TOKENS)), TOKENS)
    assert len(ngrams.count(rows).columns) <= foretold
    # An n-gram that a token holds twice counts twice.
    one_each = Ragged(np.arange(len(TOKENS), dtype=np.int32), np.ones(len(TOKENS), dtype=np.int64))
    twice = n_entries(count_entries(one_each, len(TOKENS)), TOKENS)
    counts = ngrams.count(one_each)
    assert len(counts.columns) < twice == counts.values.sum() == ngrams.of_tokens_.n_steps
    new = Ragged(np.arange(len(NEW), dtype=np.int32), np.ones(len(NEW), dtype=np.int64))
    assert n_entries(count_entries(new, len(NEW)), NEW) == of_rows().fit_transform(NEW).sum()


def test_case_and_spellings_are_left_as_they_are():
    """The tokenizer has made of them what it was told to."""
    names = set(CharacterNGrams(["Ab", "ab", "é", "e\u0301"]).names_)
    assert {"Ab", "ab", " é", " e\u0301"} <= names


def test_a_state_gives_the_same_counts():
    ngrams, rows = CharacterNGrams(TOKENS), draw(60, len(TOKENS) + len(NEW), seed=1)
    ngrams.keep(np.arange(0, len(ngrams.names_), 2))
    again = CharacterNGrams.from_state(Saved(ngrams.to_state()), len(TOKENS))
    found, expected = again.count(rows, NEW), ngrams.count(rows, NEW)
    for name in ("lengths", "columns", "values"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), strict=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ["a", "a"]}, "an n-gram has two columns"),
        ({"columns": np.array([0, 1, 2], dtype=np.int32)}, "columns holds numbers from 0 to 2"),
        ({"columns": np.array([-1, 0, 1], dtype=np.int32)}, "columns holds numbers from -1 to 1"),
        ({"lengths": np.array([3, -1], dtype=np.int32)}, "lengths holds numbers from -1"),
        ({"lengths": np.array([3, 1], dtype=np.int32)}, "do not add up"),
        ({"lengths": np.array([3], dtype=np.int32)}, "lengths is an array"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(change, message):
    numbers = {"columns": np.array([0, 1, 0], dtype=np.int32), "lengths": np.array([2, 1], dtype=np.int32)}
    state = {"names": ["ab", "b "], **numbers}
    assert CharacterNGrams.from_state(Saved(state), 2).names_ == ["ab", "b "]
    with pytest.raises(SavedStateError, match=message):
        CharacterNGrams.from_state(Saved(state | change), 2)
