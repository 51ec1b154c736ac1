"""`TokenContext`: features of a small example, and at the edges of sequences."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from seqclf._data.ragged import Ragged
from seqclf._label_features.token_context import (
    SpelledTokens,
    TokenContext,
    _FeatureTable,
    features_of_id,
    features_of_neighbour,
    features_of_second_neighbour,
    features_of_token,
    shape,
)

TOKENS = ["<pad>", "<unk>", "Ann", "ran", "Bob", "42nd", "ann"]


def rows_of(sentences, spelled=True):
    """Rows whose ids are those of `TOKENS`, followed by new tokens."""
    new = sorted({token for sentence in sentences for token in sentence} - set(TOKENS))
    names = [*TOKENS, *new]
    items = [np.array([names.index(token) for token in sentence], dtype=np.int32) for sentence in sentences]
    return SpelledTokens(Ragged.from_items(items, dtype=np.int32), names if spelled else None, spelled)


def unspelled_rows(items):
    return SpelledTokens(
        Ragged.from_items([np.array(item, dtype=np.int32) for item in items], dtype=np.int32), None, False
    )


TRAINING = rows_of([["Ann", "ran"], ["Ann", "ran"], ["Bob", "ran", "Ann"], [], ["42nd"], ["42nd"]])


def fit_context(rows=TRAINING):
    context = TokenContext()
    return context, context.fit_transform(rows)


def named(context, features):
    """The set of feature names of each token."""
    names = np.array(context.names())
    return [set(names[row.nonzero()[0]].tolist()) for row in features.toarray()]


# Single tokens


def test_shape():
    found = [shape(token) for token in ("Ann", "USA", "iPhone", "42nd", "U.S.", "1,000", "", "éA", "-")]
    assert found == ["Xx", "X", "xXx", "0x", "X.X.", "0,0", "", "xX", "-"]


def test_features_of_token():
    assert features_of_token("Ann") == ["is Ann", "lower ann", "shape Xx", "starts a", "starts an", "ends n", "ends nn"]
    assert features_of_token("a") == ["is a", "lower a", "shape x"]
    assert features_of_token("kitchen")[3:] == [
        *("starts k", "starts ki", "starts kit", "starts kitc"),
        *("ends n", "ends en", "ends hen", "ends chen"),
    ]


def test_features_of_neighbours():
    assert features_of_neighbour("Barks") == ["lower barks", "ends rks", "shape Xx"]
    assert features_of_second_neighbour("Barks") == ["lower barks"]


@pytest.mark.parametrize(
    "features_of", [features_of_token, features_of_neighbour, features_of_second_neighbour, features_of_id]
)
def test_feature_table_equals_scikit_learn(features_of):
    """Features of at least two tokens are columns, sorted by name; `counts` is how often each token occurs."""
    tokens = ["Ann", "ran", "Bob", "42nd", "ann", "Über", "日本", "e\u0301", "", "aa", "banana", "-"]
    counts = np.arange(len(tokens)) % 4
    vectorizer = CountVectorizer(analyzer=features_of, binary=True)
    expected = vectorizer.fit_transform(tokens)
    columns = np.flatnonzero(counts @ expected >= 2)
    table = _FeatureTable.fit(features_of, tokens, counts)
    assert 0 < len(columns) < expected.shape[1] and table.names == vectorizer.get_feature_names_out()[columns].tolist()
    new = [*tokens, "Bobby", "52nd", "x"]
    found = table.transform(new).toarray()
    np.testing.assert_array_equal(found[:-1], vectorizer.transform(new).toarray()[:, columns])
    assert not found[-1].any()


# Rows


def test_features_of_a_small_example():
    context, features = fit_context()
    ann = {"is Ann", "lower ann", "shape Xx", "starts a", "starts an", "ends n", "ends nn"}
    ran = {"is ran", "lower ran", "shape x", "starts r", "starts ra", "ends n", "ends an"}
    ordinal = {"is 42nd", "lower 42nd", "shape 0x", "starts 4", "starts 42", "starts 42n", "ends d", "ends nd"}
    before_ran = {"after: lower ran", "after: ends ran", "after: shape x"}
    after_ann = {"before: lower ann", "before: ends ann", "before: shape Xx"}
    found = named(context, features)
    assert found[0] == found[2] == ann | before_ran | {"pair with the token after: ann ran"}
    assert found[1] == found[3] == ran | after_ann | {"pair with the token before: ann ran"}
    # Features of fewer than two tokens are left out, such as most of those of Bob and of its neighbours.
    assert found[4] == {"shape Xx"} | before_ran
    assert found[5] == ran | {"before: shape Xx"}
    assert found[6] == ann
    assert found[7] == found[8] == ordinal | {"ends 2nd"}


def test_names_of_the_columns():
    context, features = fit_context()
    names = context.names()
    assert len(names) == len(set(names)) == features.shape[1]
    counts = dict(zip(names, np.count_nonzero(features.toarray(), axis=0), strict=True))
    assert min(counts.values()) >= 2
    assert counts["shape Xx"] == 4 and counts["ends n"] == 6 and counts["pair with the token before: ann ran"] == 2


def test_rows_have_length_one():
    _, features = fit_context()
    dense = features.toarray()
    assert features.values.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(dense, axis=1), 1, rtol=1e-6)
    assert all(len(set(row[row > 0].tolist())) == 1 for row in dense)


def test_features_at_distance_two():
    context, features = fit_context(rows_of([["Ann", "ran", "Bob"]] * 2))
    found = named(context, features)
    assert "two after: lower bob" in found[0] and "two before: lower ann" in found[2]
    assert not [name for name in found[1] if name.startswith("two")]


def test_transform_equals_fit_transform_on_training_rows():
    context, features = fit_context()
    found = context.transform(TRAINING)
    np.testing.assert_array_equal(found.toarray(), features.toarray())


def test_neighbours_are_in_the_same_row():
    context, _ = fit_context()
    two_rows = context.transform(rows_of([["Bob", "Ann"], ["ran", "Ann"]]))
    joined = context.transform(rows_of([["Bob", "Ann", "ran", "Ann"]]))
    single = [context.transform(rows_of([row])).toarray() for row in (["Bob", "Ann"], ["ran", "Ann"])]
    np.testing.assert_array_equal(two_rows.toarray(), np.concatenate(single))
    assert (two_rows.toarray() != joined.toarray()).any(axis=1).tolist() == [False, True, True, False]


@pytest.mark.parametrize("spelled", [True, False])
def test_features_of_a_row_do_not_depend_on_other_rows(spelled):
    rng = np.random.default_rng(0)
    words = ["Ann", "ran", "Bob", "42nd", "ann", "new", "Newer"]
    sentences = [rng.choice(words, size=rng.integers(0, 6)).tolist() for _ in range(30)]
    context, _ = fit_context(rows_of(sentences[:15], spelled))
    rows = rows_of(sentences, spelled)
    features = Ragged(context.transform(rows).toarray(), rows.ids.lengths)
    assert np.count_nonzero(features.values)
    for row, expected in enumerate(features.items()):
        np.testing.assert_array_equal(
            context.transform(rows._replace(ids=rows.ids.take([row]))).toarray(), expected, strict=True
        )


def test_new_tokens_have_the_features_of_their_spelling():
    context, _ = fit_context()
    found = named(context, context.transform(rows_of([["Dan", "ran"], ["ANN"], ["~"]])))
    assert found[0] == {"shape Xx", "ends n", "ends an", "after: lower ran", "after: ends ran", "after: shape x"}
    assert found[1] == {"is ran", "lower ran", "shape x", "starts r", "starts ra", "ends n", "ends an"} | {
        "before: shape Xx"
    }
    assert found[2] == {"lower ann", "starts a", "starts an", "ends n", "ends nn"}
    assert found[3] == set()


def test_pairs_are_case_insensitive():
    context, _ = fit_context()
    found = named(context, context.transform(rows_of([["ann", "ran"]])))
    assert "pair with the token after: ann ran" in found[0] and "pair with the token before: ann ran" in found[1]


def test_unspelled_ids_are_features():
    context, features = fit_context(unspelled_rows([[7, 12, 7], [12, 7], [300]]))
    found = named(context, features)
    assert found[0] == {"is 7"}
    assert found[1] == {"is 12", "after: is 7", "pair with the token after: 12 7"}
    assert found[2] == {"is 7", "before: is 12", "pair with the token before: 12 7"}
    assert found[3] == {"is 12", "after: is 7", "pair with the token after: 12 7"}
    assert found[5] == set()
    assert named(context, context.transform(unspelled_rows([[99, 7]]))) == [{"after: is 7"}, {"is 7"}]


def test_unspelled_ids_with_names():
    rows = unspelled_rows([[0, 1], [1, 0], [0, 1]])
    context, features = fit_context(rows._replace(names=["70", "9"]))
    assert {"is 70", "is 9", "after: is 9", "pair with the token before: 70 9"} <= set(context.names())
    assert features.shape == fit_context(rows)[1].shape


def test_pairs_that_occur_once_are_not_features():
    context, features = fit_context(unspelled_rows([[1, 2], [3, 4], [1], [3]]))
    assert not [name for name in context.names() if "pair" in name]
    assert features.shape == (6, len(context.names()))


@pytest.mark.parametrize(("max_tokens", "n_rows"), [(1, [1, 1, 2, 1, 1]), (3, [1, 1, 3, 1]), (100, [6])])
def test_blocks_contain_all_rows_in_order(max_tokens, n_rows, tune):
    tune(token_contexts_at_once=max_tokens)
    context, features = fit_context()
    blocks = list(context.blocks(TRAINING))
    assert [len(block.ids) for block in blocks] == n_rows
    assert np.concatenate([block.ids.lengths for block in blocks]).tolist() == TRAINING.ids.lengths.tolist()
    found = np.concatenate([context.transform(block).toarray() for block in blocks])
    np.testing.assert_array_equal(found, features.toarray())


def test_transform_and_blocks_without_tokens():
    context, features = fit_context()
    assert context.transform(unspelled_rows([[], []])).shape == (0, features.shape[1])
    assert list(context.blocks(unspelled_rows([]))) == []
