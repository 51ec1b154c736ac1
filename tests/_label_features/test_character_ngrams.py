"""Counts of characters by way of tokens, against scikit-learn's counts of the rows themselves."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer

from seqclf._label_features.character_ngrams import LONGEST, SHORTEST, CharacterNGrams, n_entries

TOKENS = ["a", "in", "inn", "inner", "winner", "Über", "straße", "日本", "e\u0301", "!", "don't", "inininin"]
NEW = ["winning", "zzz", "日本人", "a", "ß"]


def of_rows():
    """scikit-learn's counts; it splits at white space, and we keep to such tokens."""
    return CountVectorizer(analyzer="char_wb", ngram_range=(SHORTEST, LONGEST), lowercase=False)


def random_counts(n_rows, n_tokens, seed=0):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, size=(n_rows, n_tokens)) * (rng.random((n_rows, n_tokens)) < 0.4)
    counts[0] = 0
    return csr_array(counts.astype(np.float32))


def written(counts, tokens):
    return [" ".join(np.repeat(tokens, row.astype(int)).tolist()) for row in counts.toarray()]


def test_counts_are_those_of_the_rows_themselves():
    ngrams = CharacterNGrams(TOKENS)
    counts = random_counts(30, len(TOKENS))
    reference = of_rows().fit(written(counts, TOKENS))
    assert ngrams.names().tolist() == reference.get_feature_names_out().tolist()
    expected = reference.transform(written(counts, TOKENS)).toarray()
    found = ngrams.count(counts)
    np.testing.assert_array_equal(found.toarray(), expected)
    assert found.dtype == np.float32 and expected[0].sum() == 0 < expected.sum()


def test_new_tokens_count_by_the_ngrams_that_are_known():
    ngrams = CharacterNGrams(TOKENS)
    counts = random_counts(30, len(TOKENS) + len(NEW), seed=1)
    reference = of_rows().fit([" ".join(TOKENS)])
    expected = reference.transform(written(counts, TOKENS + NEW)).toarray()
    np.testing.assert_array_equal(ngrams.count(counts, NEW).toarray(), expected)
    known = ngrams.count(counts[:, : len(TOKENS)]).toarray()
    assert (expected != known).any(axis=1).sum() > 15


def test_a_row_has_its_entries_in_one_order_in_any_company():
    ngrams = CharacterNGrams(TOKENS)
    counts = random_counts(30, len(TOKENS))
    together = ngrams.count(counts)
    assert together.has_canonical_format or together.has_sorted_indices
    for row in range(30):
        alone, ours = ngrams.count(counts[row : row + 1]), together[row : row + 1]
        np.testing.assert_array_equal(alone.indices, ours.indices)
        np.testing.assert_array_equal(alone.data, ours.data)


@pytest.mark.parametrize("n_rows", [0, 1, 30])
def test_entries_are_at_most_as_many_as_foretold(n_rows):
    ngrams = CharacterNGrams(TOKENS)
    counts = random_counts(max(n_rows, 1), len(TOKENS), seed=2)[:n_rows]
    foretold = n_entries(counts, TOKENS)
    assert ngrams.count(counts).nnz <= foretold
    # An n-gram that a token holds twice counts twice.
    twice = n_entries(csr_array(np.eye(len(TOKENS), dtype=np.float32)), TOKENS)
    assert ngrams.of_tokens.nnz < twice == ngrams.of_tokens.sum()
    new = csr_array(np.eye(len(NEW), dtype=np.float32))
    assert n_entries(new, NEW) == of_rows().fit_transform(NEW).sum()


def test_case_and_spellings_are_left_as_they_are():
    """The tokenizer has made of them what it was told to."""
    names = set(CharacterNGrams(["Ab", "ab", "é", "e\u0301"]).names().tolist())
    assert {"Ab", "ab", " é", " e\u0301"} <= names
