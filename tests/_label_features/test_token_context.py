"""What a linear model knows of a token: by hand for a small example, and at the edges of sequences."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from seqclf._data.ragged import Ragged
from seqclf._label_features.token_context import SpelledTokens, TokenContext, _Table, far, near, own, shape, unspelled

TOKENS = ["<pad>", "<unk>", "Ann", "ran", "Bob", "42nd", "ann"]


def rows_of(sentences, spelled=True):
    """Ids of known tokens, then those of the new ones."""
    new = sorted({token for sentence in sentences for token in sentence} - set(TOKENS))
    table = [*TOKENS, *new]
    items = [np.array([table.index(token) for token in sentence], dtype=np.int32) for sentence in sentences]
    return SpelledTokens(Ragged.from_items(items, dtype=np.int32), table if spelled else None, spelled)


def numbered(items):
    return SpelledTokens(
        Ragged.from_items([np.array(item, dtype=np.int32) for item in items], dtype=np.int32), None, False
    )


TRAINING = rows_of([["Ann", "ran"], ["Ann", "ran"], ["Bob", "ran", "Ann"], [], ["42nd"], ["42nd"]])


def learned(rows=TRAINING):
    context = TokenContext()
    return context, context.fit_transform(rows)


def named(context, features):
    """For each token the set of the names of its features."""
    names = np.array(context.names())
    return [set(names[row.nonzero()[0]].tolist()) for row in features.toarray()]


# Of one token


def test_shape():
    found = [shape(token) for token in ("Ann", "USA", "iPhone", "42nd", "U.S.", "1,000", "", "éA", "-")]
    assert found == ["Xx", "X", "xXx", "0x", "X.X.", "0,0", "", "xX", "-"]


def test_of_the_token_itself():
    assert own("Ann") == ["is Ann", "lower ann", "shape Xx", "starts a", "starts an", "ends n", "ends nn"]
    assert own("a") == ["is a", "lower a", "shape x"]
    assert own("kitchen")[3:] == [
        *("starts k", "starts ki", "starts kit", "starts kitc"),
        *("ends n", "ends en", "ends hen", "ends chen"),
    ]


def test_of_its_neighbours():
    assert near("Barks") == ["lower barks", "ends rks", "shape Xx"]
    assert far("Barks") == ["lower barks"]


@pytest.mark.parametrize("known", [own, near, far, unspelled])
def test_the_columns_of_a_place_are_those_of_scikit_learn(known):
    """What at least two tokens have, by its name; a token that stands there often has it as often."""
    tokens = ["Ann", "ran", "Bob", "42nd", "ann", "Über", "日本", "e\u0301", "", "aa", "banana", "-"]
    counts = np.arange(len(tokens)) % 4
    vectorizer = CountVectorizer(analyzer=known, binary=True)
    expected = vectorizer.fit_transform(tokens)
    kept = np.flatnonzero(counts @ expected >= 2)
    table = _Table.learn(known, tokens, counts)
    assert 0 < len(kept) < expected.shape[1] and table.names == vectorizer.get_feature_names_out()[kept].tolist()
    new = [*tokens, "Bobby", "52nd", "x"]
    found = table.of(new).toarray()
    np.testing.assert_array_equal(found[:-1], vectorizer.transform(new).toarray()[:, kept])
    assert not found[-1].any()


# Of rows


def test_features_of_a_small_example():
    context, features = learned()
    ann = {"is Ann", "lower ann", "shape Xx", "starts a", "starts an", "ends n", "ends nn"}
    ran = {"is ran", "lower ran", "shape x", "starts r", "starts ra", "ends n", "ends an"}
    ordinal = {"is 42nd", "lower 42nd", "shape 0x", "starts 4", "starts 42", "starts 42n", "ends d", "ends nd"}
    before_ran = {"after: lower ran", "after: ends ran", "after: shape x"}
    after_ann = {"before: lower ann", "before: ends ann", "before: shape Xx"}
    found = named(context, features)
    assert found[0] == found[2] == ann | before_ran | {"pair with the token after: ann ran"}
    assert found[1] == found[3] == ran | after_ann | {"pair with the token before: ann ran"}
    # What fewer than two tokens have is left out: all of Bob but his shape, and what has Bob as a neighbour.
    assert found[4] == {"shape Xx"} | before_ran
    assert found[5] == ran | {"before: shape Xx"}
    assert found[6] == ann
    assert found[7] == found[8] == ordinal | {"ends 2nd"}


def test_names_are_those_of_the_columns():
    context, features = learned()
    names = context.names()
    assert len(names) == len(set(names)) == features.shape[1]
    counts = dict(zip(names, np.count_nonzero(features.toarray(), axis=0), strict=True))
    assert min(counts.values()) >= 2
    assert counts["shape Xx"] == 4 and counts["ends n"] == 6 and counts["pair with the token before: ann ran"] == 2


def test_each_token_has_a_length_of_1():
    _, features = learned()
    dense = features.toarray()
    assert features.values.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(dense, axis=1), 1, rtol=1e-6)
    assert all(len(set(row[row > 0].tolist())) == 1 for row in dense)


def test_two_tokens_away():
    context, features = learned(rows_of([["Ann", "ran", "Bob"]] * 2))
    found = named(context, features)
    assert "two after: lower bob" in found[0] and "two before: lower ann" in found[2]
    assert not [name for name in found[1] if name.startswith("two")]


def test_training_rows_have_the_features_of_other_rows():
    context, features = learned()
    again = context.transform(TRAINING)
    np.testing.assert_array_equal(again.toarray(), features.toarray())


def test_a_sequence_does_not_see_the_next_one():
    context, _ = learned()
    apart = context.transform(rows_of([["Bob", "Ann"], ["ran", "Ann"]]))
    joined = context.transform(rows_of([["Bob", "Ann", "ran", "Ann"]]))
    alone = [context.transform(rows_of([row])).toarray() for row in (["Bob", "Ann"], ["ran", "Ann"])]
    np.testing.assert_array_equal(apart.toarray(), np.concatenate(alone))
    assert (apart.toarray() != joined.toarray()).any(axis=1).tolist() == [False, True, True, False]


@pytest.mark.parametrize("spelled", [True, False])
def test_a_row_alone_is_as_it_is_among_others(spelled):
    rng = np.random.default_rng(0)
    words = ["Ann", "ran", "Bob", "42nd", "ann", "new", "Newer"]
    sentences = [rng.choice(words, size=rng.integers(0, 6)).tolist() for _ in range(30)]
    context, _ = learned(rows_of(sentences[:15], spelled))
    rows = rows_of(sentences, spelled)
    together = Ragged(context.transform(rows).toarray(), rows.ids.lengths)
    assert np.count_nonzero(together.values)
    for row, expected in enumerate(together.items()):
        np.testing.assert_array_equal(
            context.transform(rows._replace(ids=rows.ids.take([row]))).toarray(), expected, strict=True
        )


def test_unknown_tokens_have_what_they_share():
    context, _ = learned()
    found = named(context, context.transform(rows_of([["Dan", "ran"], ["ANN"], ["~"]])))
    assert found[0] == {"shape Xx", "ends n", "ends an", "after: lower ran", "after: ends ran", "after: shape x"}
    assert found[1] == {"is ran", "lower ran", "shape x", "starts r", "starts ra", "ends n", "ends an"} | {
        "before: shape Xx"
    }
    assert found[2] == {"lower ann", "starts a", "starts an", "ends n", "ends nn"}
    assert found[3] == set()


def test_pairs_do_not_tell_capitals():
    context, _ = learned()
    found = named(context, context.transform(rows_of([["ann", "ran"]])))
    assert "pair with the token after: ann ran" in found[0] and "pair with the token before: ann ran" in found[1]


def test_ids_without_spelling_have_their_numbers_alone():
    context, features = learned(numbered([[7, 12, 7], [12, 7], [300]]))
    found = named(context, features)
    assert found[0] == {"is 7"}
    assert found[1] == {"is 12", "after: is 7", "pair with the token after: 12 7"}
    assert found[2] == {"is 7", "before: is 12", "pair with the token before: 12 7"}
    assert found[3] == {"is 12", "after: is 7", "pair with the token after: 12 7"}
    assert found[5] == set()
    assert named(context, context.transform(numbered([[99, 7]]))) == [{"after: is 7"}, {"is 7"}]


def test_ids_that_have_names_are_called_by_them():
    rows = numbered([[0, 1], [1, 0], [0, 1]])
    context, features = learned(rows._replace(names=["70", "9"]))
    assert {"is 70", "is 9", "after: is 9", "pair with the token before: 70 9"} <= set(context.names())
    assert features.shape == learned(rows)[1].shape


def test_no_pair_twice_means_no_pair():
    context, features = learned(numbered([[1, 2], [3, 4], [1], [3]]))
    assert not [name for name in context.names() if "pair" in name]
    assert features.shape == (6, len(context.names()))


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_blocks_are_the_rows_in_order(at_once, tune):
    tune(token_contexts_at_once=at_once)
    context, features = learned()
    blocks = list(context.blocks(TRAINING))
    assert [len(block.ids) for block in blocks] == {1: [1] * 6, 3: [1, 3, 1, 1], 100: [6]}.get(at_once) or len(blocks)
    assert np.concatenate([block.ids.lengths for block in blocks]).tolist() == TRAINING.ids.lengths.tolist()
    parts = np.concatenate([context.transform(block).toarray() for block in blocks])
    np.testing.assert_array_equal(parts, features.toarray())


def test_rows_without_tokens():
    context, features = learned()
    assert context.transform(numbered([[], []])).shape == (0, features.shape[1])
    assert list(context.blocks(numbered([]))) == []
