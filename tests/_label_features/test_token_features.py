"""`TokenFeatures` against scikit-learn's TfidfVectorizer on the texts."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from _factories import ragged_ids
from seqclf._data.encoded import Spelling
from seqclf._data.ragged import Ragged
from seqclf._label_features.character_ngrams import max_entries
from seqclf._label_features.entry_counts import count_entries
from seqclf._label_features.ngrams import NGrams
from seqclf._label_features.token_features import TokenFeatures, TokenNames, TokenRows

WORDS = "amber brick cedar delta ember flint grape hazel amberly bricks".split()
TOKENS = ["", "", *WORDS]
NEW_WORDS = ["amberish", "zzz", "cedars"]


def random_rows(n=40, seed=0):
    """Rows of token ids; the first one is empty."""
    rng = np.random.default_rng(seed)
    return [[], *(rng.integers(2, 12, size=rng.integers(0, 12)).tolist() for _ in range(n - 1))]


def as_texts(rows, names=TOKENS):
    return [" ".join(names[id_] for id_ in row) for row in rows]


def fit_features(rows, n_orders=2, tokens=TOKENS, max_features=10_000, max_rare_order=0):
    """The fitted features, and their matrix for the training rows."""
    ngrams, ids = NGrams(n_orders, len(TOKENS), max_rare_order), ragged_ids(rows)
    ngram_ids = [order for order, _ in ngrams.fit_transform(ids, limit=10_000)]
    features = TokenFeatures(ngrams, n_orders, tokens and TokenNames(tokens, " "), max_features)
    spelling = None if tokens is None else Spelling(ids.values, [], len(TOKENS))
    return features, features.fit_transform(TokenRows(ids, ngram_ids, spelling))


def apply(features, rows, new_tokens=()):
    """Features of new rows, in which the ids after those of the vocabulary are `new_tokens`."""
    spelled = ragged_ids(rows)
    ids = Ragged(np.where(spelled.values < len(TOKENS), spelled.values, 1).astype(np.int32), spelled.lengths)
    spelling = None if features.token_names is None else Spelling(spelled.values, list(new_tokens), len(TOKENS))
    return features.transform(TokenRows(ids, features.ngrams.transform(ids), spelling))


def token_vectorizer(n_orders, min_df=2):
    return TfidfVectorizer(
        ngram_range=(1, n_orders), min_df=min_df, sublinear_tf=True, token_pattern=r"\S+", lowercase=False
    )


def character_vectorizer():
    return TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True, lowercase=False)


def in_columns(vectorizer, matrix, names):
    return matrix[:, [vectorizer.vocabulary_[name] for name in names]].toarray()


@pytest.mark.parametrize("rare", [False, True])
@pytest.mark.parametrize("n_orders", [1, 2, 3])
def test_token_ngrams_equal_scikit_learn(n_orders, rare):
    """With the n-grams of at least two rows, or of at least one."""
    rows, new = random_rows(), random_rows(20, seed=1)
    features, found = fit_features(rows, n_orders, tokens=None, max_rare_order=n_orders if rare else 0)
    features.token_names = TokenNames(TOKENS, " ")
    names = features.names()
    features.token_names = None
    expected = token_vectorizer(n_orders, min_df=1 if rare else 2)
    matrix = expected.fit_transform(as_texts(rows))
    assert sorted(names) == sorted(expected.vocabulary_) and found.values.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), in_columns(expected, matrix, names), rtol=1e-6, atol=1e-7)
    new_matrix = in_columns(expected, expected.transform(as_texts(new)), names)
    np.testing.assert_allclose(apply(features, new).toarray(), new_matrix, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(apply(features, rows).toarray(), found.toarray())


def test_character_ngrams_equal_scikit_learn():
    rows, new = random_rows(), random_rows(20, seed=1)
    features, found = fit_features(rows)
    names = features.names()
    n_tokens = sum(not name.startswith("'") for name in names)
    expected = character_vectorizer()
    matrix = expected.fit_transform(as_texts(rows))
    ngrams = [name[1:-1] for name in names[n_tokens:]]
    assert sorted(ngrams) == sorted(expected.vocabulary_) and found.shape[1] == len(names)
    matrix = in_columns(expected, matrix, ngrams)
    np.testing.assert_allclose(found.toarray()[:, n_tokens:], matrix, rtol=1e-5, atol=1e-7)
    new_matrix = in_columns(expected, expected.transform(as_texts(new)), ngrams)
    np.testing.assert_allclose(apply(features, new).toarray()[:, n_tokens:], new_matrix, rtol=1e-5, atol=1e-7)
    without_spelling, token_matrix = fit_features(rows, tokens=None)
    np.testing.assert_array_equal(found.toarray()[:, :n_tokens], token_matrix.toarray())
    assert without_spelling.characters_ is None


def test_new_tokens_have_only_character_features():
    """All of them have the same id in the n-grams of tokens."""
    features, _ = fit_features(random_rows())
    n_tokens = sum(not name.startswith("'") for name in features.names())
    new_tokens = [*TOKENS, *NEW_WORDS]
    rows = [[2, 12], [2, 13], [12, 14, 14], [13], [12]]
    found = apply(features, rows, NEW_WORDS).toarray()
    expected = character_vectorizer().fit(as_texts(random_rows()))
    names = [name[1:-1] for name in features.names()[n_tokens:]]
    matrix = in_columns(expected, expected.transform(as_texts(rows, new_tokens)), names)
    np.testing.assert_allclose(found[:, n_tokens:], matrix, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(found[0, :n_tokens], found[1, :n_tokens])
    assert not found[2:, :n_tokens].any() and found[4, n_tokens:].any() and not found[3].any()


def test_features_of_a_row_do_not_depend_on_other_rows():
    features, _ = fit_features(random_rows())
    rows = [*random_rows(30, seed=2), [12, 2, 13], [14, 14, 3]]
    expected = apply(features, rows, NEW_WORDS)
    for position, row in enumerate(rows):
        names = [word for id_, word in enumerate(NEW_WORDS, start=12) if id_ in row]
        renumbered = [len(TOKENS) + names.index(NEW_WORDS[id_ - 12]) if id_ > 11 else id_ for id_ in row]
        single, in_batch = apply(features, [renumbered], names), expected[[position]]
        np.testing.assert_array_equal(single.columns, in_batch.columns)
        np.testing.assert_array_equal(single.values, in_batch.values)


@pytest.mark.parametrize("limit", [1, 5, 30])
def test_max_features_selects_the_frequent_ngrams(limit):
    """The limit applies to n-grams of tokens and of characters separately."""
    rows = random_rows()
    unlimited, unlimited_matrix = fit_features(rows)
    limited, matrix = fit_features(rows, max_features=limit)
    names, limited_names = unlimited.names(), limited.names()
    n_rows = dict(zip(names, (unlimited_matrix.toarray() > 0).sum(axis=0), strict=True))
    for is_character in (False, True):
        candidates, selected = (
            {name for name in each if name.startswith("'") == is_character} for each in (names, limited_names)
        )
        assert len(selected) == min(limit, len(candidates))
        others = candidates - selected
        assert not others or min(n_rows[name] for name in selected) >= max(n_rows[name] for name in others)
    assert matrix.shape == (40, len(limited_names))
    lengths = np.sqrt((matrix.toarray() ** 2).sum(axis=1))
    assert lengths.max() < np.sqrt(2) + 1e-6


def test_too_many_characters_are_left_out(tune):
    """Then the features are those of tokens without a spelling, in prediction too."""
    rows = random_rows()
    without_spelling, token_matrix = fit_features(rows, tokens=None)
    n_entries = max_entries(count_entries(ragged_ids(rows), len(TOKENS)), TOKENS)
    tune(max_character_entries=n_entries)
    assert fit_features(rows)[0].characters_ is not None
    tune(max_character_entries=n_entries - 1)
    features, found = fit_features(rows)
    assert features.characters_ is None and not any(name.startswith("'") for name in features.names())
    np.testing.assert_array_equal(found.toarray(), token_matrix.toarray())
    expected = apply(without_spelling, rows[::-1])
    np.testing.assert_array_equal(apply(features, rows[::-1]).toarray(), expected.toarray())


def test_rows_without_tokens_or_ngrams():
    features, found = fit_features([[], [2], [3], []], tokens=None)
    assert found.shape == (4, 0) and apply(features, [[2], []]).shape == (2, 0)
    features, found = fit_features([[], [2, 2], [2], []])
    assert not found[[0]].toarray().any() and found[[1]].toarray().any()
    assert apply(features, []).shape == (0, found.shape[1])


def test_tokens_of_white_space_have_no_character_ngrams():
    names = ["", "", " ", "\n\t", *WORDS[2:]]
    features, found = fit_features([[2, 3], [3, 2], [2]], tokens=names[:2] + [" "] * 10)
    assert features.characters_ is None and found.shape == (3, 2)
    features, _ = fit_features([[2, 3], [3, 2, 4], [2, 4]], tokens=names)
    assert {name[1:-1] for name in features.names() if "'" in name} == set(
        character_vectorizer().fit(["cedar"] * 2).vocabulary_
    )


def test_names_of_unspelled_tokens_are_ids():
    features, _ = fit_features([[2, 3], [2, 3]], tokens=None)
    assert features.names() == ["2", "3", "2 3"]
    features, _ = fit_features([[2, 3], [2, 3]])
    assert features.names()[:3] == ["amber", "brick", "amber brick"] and "' ambe'" in features.names()
