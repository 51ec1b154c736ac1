"""TF-IDF of tokens and of the characters inside them, against scikit-learn's TfidfVectorizer on the texts."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from _factories import ragged_ids
from seqclf._data.encoded import Spelling
from seqclf._data.ragged import Ragged
from seqclf._label_features.character_ngrams import n_entries
from seqclf._label_features.entry_counts import count_entries
from seqclf._label_features.ngrams import NGrams
from seqclf._label_features.token_features import TokenFeatures, TokenNames, Tokens

WORDS = "amber brick cedar delta ember flint grape hazel amberly bricks".split()
TOKENS = ["", "", *WORDS]
NEW_WORDS = ["amberish", "zzz", "cedars"]


def random_rows(n=40, seed=0, most=10):
    """Token ids; the first row has none."""
    rng = np.random.default_rng(seed)
    return [[], *(rng.integers(2, 2 + most, size=rng.integers(0, 12)).tolist() for _ in range(n - 1))]


def written(rows, names=TOKENS):
    return [" ".join(names[number] for number in row) for row in rows]


def learn(rows, n_orders=2, tokens=TOKENS, max_features=10_000, n_rare=0):
    """The learned features, and those of the training rows."""
    ngrams, ids = NGrams(n_orders, len(TOKENS), n_rare), ragged_ids(rows)
    numbers = [each for each, _ in ngrams.learn(ids, limit=10_000)]
    features = TokenFeatures(ngrams, n_orders, tokens and TokenNames(tokens, " "), max_features)
    spelling = None if tokens is None else Spelling(ids.values, [])
    return features, features.fit_transform(Tokens(ids, numbers, spelling))


def apply(features, rows, new_tokens=()):
    """Features of other rows, whose ids from the size of the vocabulary on are those of new tokens."""
    spelled = ragged_ids(rows)
    ids = Ragged(np.where(spelled.values < len(TOKENS), spelled.values, 1).astype(np.int32), spelled.lengths)
    spelling = None if features.token_names is None else Spelling(spelled.values, list(new_tokens))
    return features.transform(Tokens(ids, features.ngrams.numbers(ids), spelling))


def reference(n_orders, min_df=2):
    return TfidfVectorizer(
        ngram_range=(1, n_orders), min_df=min_df, sublinear_tf=True, token_pattern=r"\S+", lowercase=False
    )


def characters():
    return TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True, lowercase=False)


def in_columns(vectorizer, matrix, names):
    return matrix[:, [vectorizer.vocabulary_[name] for name in names]].toarray()


@pytest.mark.parametrize("rare", [False, True])
@pytest.mark.parametrize("n_orders", [1, 2, 3])
def test_ngrams_of_tokens_are_those_of_scikit_learn(n_orders, rare):
    """Of at least two rows, or those of one too."""
    rows, new = random_rows(), random_rows(20, seed=1)
    features, found = learn(rows, n_orders, tokens=None, n_rare=n_orders if rare else 0)
    features.token_names = TokenNames(TOKENS, " ")
    names = features.names()
    features.token_names = None
    expected = reference(n_orders, min_df=1 if rare else 2)
    of_rows = expected.fit_transform(written(rows))
    assert sorted(names) == sorted(expected.vocabulary_) and found.values.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), in_columns(expected, of_rows, names), rtol=1e-6, atol=1e-7)
    of_new = in_columns(expected, expected.transform(written(new)), names)
    np.testing.assert_allclose(apply(features, new).toarray(), of_new, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(apply(features, rows).toarray(), found.toarray())


def test_characters_inside_tokens_are_those_of_scikit_learn():
    rows, new = random_rows(), random_rows(20, seed=1)
    features, found = learn(rows)
    names = features.names()
    n_tokens = sum(not name.startswith("'") for name in names)
    expected = characters()
    of_rows = expected.fit_transform(written(rows))
    ours = [name[1:-1] for name in names[n_tokens:]]
    assert sorted(ours) == sorted(expected.vocabulary_) and found.shape[1] == len(names)
    np.testing.assert_allclose(found.toarray()[:, n_tokens:], in_columns(expected, of_rows, ours), rtol=1e-5, atol=1e-7)
    of_new = in_columns(expected, expected.transform(written(new)), ours)
    np.testing.assert_allclose(apply(features, new).toarray()[:, n_tokens:], of_new, rtol=1e-5, atol=1e-7)
    plain, of_tokens = learn(rows, tokens=None)
    np.testing.assert_array_equal(found.toarray()[:, :n_tokens], of_tokens.toarray())
    assert plain.characters_ is None


def test_unknown_tokens_count_by_their_characters():
    """And by nothing else: all are one id among the n-grams of tokens."""
    features, _ = learn(random_rows())
    n_tokens = sum(not name.startswith("'") for name in features.names())
    new_tokens = [*TOKENS, *NEW_WORDS]
    rows = [[2, 12], [2, 13], [12, 14, 14], [13], [12]]
    given = apply(features, rows, NEW_WORDS).toarray()
    expected = characters().fit(written(random_rows()))
    names = [name[1:-1] for name in features.names()[n_tokens:]]
    of_rows = in_columns(expected, expected.transform(written(rows, new_tokens)), names)
    np.testing.assert_allclose(given[:, n_tokens:], of_rows, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(given[0, :n_tokens], given[1, :n_tokens])
    assert not given[2:, :n_tokens].any() and given[4, n_tokens:].any() and not given[3].any()


def test_a_row_alone_has_the_bits_that_it_has_with_others():
    features, _ = learn(random_rows())
    rows = [*random_rows(30, seed=2), [12, 2, 13], [14, 14, 3]]
    together = apply(features, rows, NEW_WORDS)
    for position, row in enumerate(rows):
        names = [word for number, word in enumerate(NEW_WORDS, start=12) if number in row]
        renumbered = [len(TOKENS) + names.index(NEW_WORDS[number - 12]) if number > 11 else number for number in row]
        alone, ours = apply(features, [renumbered], names), together[[position]]
        np.testing.assert_array_equal(alone.columns, ours.columns)
        np.testing.assert_array_equal(alone.values, ours.values)


@pytest.mark.parametrize("limit", [1, 5, 30])
def test_the_features_that_most_rows_hold_are_kept(limit):
    """At most so many of either kind."""
    rows = random_rows()
    every, found = learn(rows)
    some, kept = learn(rows, max_features=limit)
    names, kept_names = every.names(), some.names()
    n_rows = dict(zip(names, (found.toarray() > 0).sum(axis=0), strict=True))
    for of_characters in (False, True):
        all_of_kind, ours = (
            {name for name in some if name.startswith("'") == of_characters} for some in (names, kept_names)
        )
        assert len(ours) == min(limit, len(all_of_kind))
        others = all_of_kind - ours
        assert not others or min(n_rows[name] for name in ours) >= max(n_rows[name] for name in others)
    assert kept.shape == (40, len(kept_names))
    lengths = np.sqrt((kept.toarray() ** 2).sum(axis=1))
    assert lengths.max() < np.sqrt(2) + 1e-6


def test_too_many_characters_are_left_out(tune):
    """Then the features are those without a spelling, in prediction too."""
    rows = random_rows()
    plain, of_tokens = learn(rows, tokens=None)
    most = n_entries(count_entries(ragged_ids(rows), len(TOKENS)), TOKENS)
    tune(max_character_entries=most)
    assert learn(rows)[0].characters_ is not None
    tune(max_character_entries=most - 1)
    features, found = learn(rows)
    assert features.characters_ is None and not any(name.startswith("'") for name in features.names())
    np.testing.assert_array_equal(found.toarray(), of_tokens.toarray())
    np.testing.assert_array_equal(apply(features, rows[::-1]).toarray(), apply(plain, rows[::-1]).toarray())


def test_rows_without_a_token_or_without_an_ngram():
    features, found = learn([[], [2], [3], []], tokens=None)
    assert found.shape == (4, 0) and apply(features, [[2], []]).shape == (2, 0)
    features, found = learn([[], [2, 2], [2], []])
    assert not found[[0]].toarray().any() and found[[1]].toarray().any()
    assert apply(features, []).shape == (0, found.shape[1])


def test_tokens_of_white_space_have_no_characters():
    names = ["", "", " ", "\n\t", *WORDS[2:]]
    features, found = learn([[2, 3], [3, 2], [2]], tokens=names[:2] + [" "] * 10)
    assert features.characters_ is None and found.shape == (3, 2)
    features, _ = learn([[2, 3], [3, 2, 4], [2, 4]], tokens=names)
    assert {name[1:-1] for name in features.names() if "'" in name} == set(characters().fit(["cedar"] * 2).vocabulary_)


def test_names_without_a_spelling_are_numbers():
    features, _ = learn([[2, 3], [2, 3]], tokens=None)
    assert features.names() == ["2", "3", "2 3"]
    features, _ = learn([[2, 3], [2, 3]])
    assert features.names()[:3] == ["amber", "brick", "amber brick"] and "' ambe'" in features.names()
