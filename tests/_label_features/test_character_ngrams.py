"""Character n-grams counted by token, against scikit-learn's counts in whole rows."""

import random

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from seqclf._data.ragged import Ragged
from seqclf._label_features.character_ngrams import MAX_LENGTH, MIN_LENGTH, CharacterNGrams, char_wb_ngrams, max_entries
from seqclf._label_features.entry_counts import count_entries
from seqclf._saved import Saved, SavedStateError

TOKENS = ["a", "in", "inn", "inner", "winner", "Über", "straße", "日本", "e\u0301", "!", "don't", "inininin"]
NEW = ["winning", "zzz", "日本人", "a", "ß"]


def count_vectorizer():
    return CountVectorizer(analyzer="char_wb", ngram_range=(MIN_LENGTH, MAX_LENGTH), lowercase=False)


def draw(n_rows, n_tokens, seed=0):
    """Rows of token indices; the first one is empty."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 9, size=n_rows)
    lengths[:1] = 0
    return Ragged(rng.integers(0, n_tokens, size=lengths.sum()).astype(np.int32), lengths)


def as_texts(rows, tokens):
    return [" ".join(tokens[index] for index in row) for row in rows.items()]


def odd_tokens():
    """Random characters of many kinds, including all white space."""
    spaces = [chr(c) for c in range(0x3001) if chr(c).isspace()]
    characters = [*"abcABC.,!'\u0301\u00df\u65e5\U0001f600\x00\u200b\ufeff\x85", *spaces]
    rng = random.Random(0)
    return ["".join(rng.choices(characters, k=rng.randrange(9))) for _ in range(3000)]


def test_char_wb_ngrams_equal_scikit_learn():
    analyze = count_vectorizer().build_analyzer()
    for token in [*TOKENS, *NEW, "", " ", "a b", " a\t\tbc \n", *odd_tokens()]:
        assert char_wb_ngrams(token) == analyze(token), token


@pytest.mark.parametrize("tokens", [TOKENS, odd_tokens()])
def test_names_equal_scikit_learn(tokens):
    assert CharacterNGrams(tokens).names_ == count_vectorizer().fit(tokens).get_feature_names_out().tolist()


def test_count_equals_count_vectorizer_on_whole_rows():
    ngrams = CharacterNGrams(TOKENS)
    rows = draw(60, len(TOKENS))
    reference = count_vectorizer().fit(as_texts(rows, TOKENS))
    assert ngrams.names_ == reference.get_feature_names_out().tolist()
    expected = reference.transform(as_texts(rows, TOKENS)).toarray()
    found = ngrams.count(rows)
    np.testing.assert_array_equal(found.toarray(), expected)
    assert found.values.dtype == np.float32 and expected[0].sum() == 0 < expected.sum()


def test_count_of_new_tokens_uses_the_fitted_ngrams():
    ngrams = CharacterNGrams(TOKENS)
    rows = draw(60, len(TOKENS) + len(NEW), seed=1)
    reference = count_vectorizer().fit([" ".join(TOKENS)])
    expected = reference.transform(as_texts(rows, TOKENS + NEW)).toarray()
    np.testing.assert_array_equal(ngrams.count(rows, NEW).toarray(), expected)
    without_new = reference.transform(as_texts(rows, TOKENS + [""] * len(NEW))).toarray()
    assert (expected != without_new).any(axis=1).sum() > 15


def test_select_keeps_the_counts_of_the_selected_columns():
    ngrams, selected = CharacterNGrams(TOKENS), CharacterNGrams(TOKENS)
    rows, columns = draw(60, len(TOKENS) + len(NEW), seed=1), np.arange(1, len(ngrams.names_), 3)
    selected.select(columns)
    assert selected.names_ == [ngrams.names_[column] for column in columns]
    np.testing.assert_array_equal(selected.count(rows, NEW).toarray(), ngrams.count(rows, NEW).toarray()[:, columns])


def test_count_of_a_row_does_not_depend_on_other_rows():
    ngrams = CharacterNGrams(TOKENS)
    rows = draw(30, len(TOKENS))
    counts = ngrams.count(rows)
    for row in range(30):
        single, in_batch = ngrams.count(rows.take([row])), counts[[row]]
        np.testing.assert_array_equal(single.columns, in_batch.columns)
        np.testing.assert_array_equal(single.values, in_batch.values)
        assert (np.diff(in_batch.columns) > 0).all()


@pytest.mark.parametrize("n_rows", [0, 1, 30])
def test_max_entries_is_an_upper_bound(n_rows):
    ngrams = CharacterNGrams(TOKENS)
    rows = draw(n_rows, len(TOKENS), seed=2)
    assert len(ngrams.count(rows).columns) <= max_entries(count_entries(rows, len(TOKENS)), TOKENS)
    # An n-gram that occurs twice in a token counts twice.
    one_each = Ragged(np.arange(len(TOKENS), dtype=np.int32), np.ones(len(TOKENS), dtype=np.int64))
    bound = max_entries(count_entries(one_each, len(TOKENS)), TOKENS)
    counts = ngrams.count(one_each)
    assert len(counts.columns) < bound == counts.values.sum() == ngrams.of_tokens_.n_steps
    new = Ragged(np.arange(len(NEW), dtype=np.int32), np.ones(len(NEW), dtype=np.int64))
    assert max_entries(count_entries(new, len(NEW)), NEW) == count_vectorizer().fit_transform(NEW).sum()


def test_case_and_unicode_form_are_not_normalised():
    """Normalisation is up to the tokenizer."""
    names = set(CharacterNGrams(["Ab", "ab", "é", "e\u0301"]).names_)
    assert {"Ab", "ab", " é", " e\u0301"} <= names


def test_from_state_restores_the_counts():
    ngrams, rows = CharacterNGrams(TOKENS), draw(60, len(TOKENS) + len(NEW), seed=1)
    ngrams.select(np.arange(0, len(ngrams.names_), 2))
    restored = CharacterNGrams.from_state(Saved(ngrams.to_state()), len(TOKENS))
    found, expected = restored.count(rows, NEW), ngrams.count(rows, NEW)
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
def test_from_state_rejects_invalid_states(change, message):
    arrays = {"columns": np.array([0, 1, 0], dtype=np.int32), "lengths": np.array([2, 1], dtype=np.int32)}
    state = {"names": ["ab", "b "], **arrays}
    assert CharacterNGrams.from_state(Saved(state), 2).names_ == ["ab", "b "]
    with pytest.raises(SavedStateError, match=message):
        CharacterNGrams.from_state(Saved(state | change), 2)
