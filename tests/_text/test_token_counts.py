"""Token counts over all texts at once or chunk by chunk."""

import pickle

import numpy as np
import pytest

from seqclf._text import token_counts
from seqclf._text.splitter import Splitter
from seqclf._text.token_counts import TextCounts, TokenCounts

WORDS = Splitter("texts", "word", True, None)
CHARACTERS = Splitter("texts", "char", True, None)
ROWS = ["b a", "a c a", "", "b"]


def counted(counts):
    return dict(zip(counts.tokens, counts.counts.tolist(), strict=True))


@pytest.mark.parametrize("piece", [1, 2, 1_000])
def test_add_counts_tokens_in_order_of_occurrence(piece, tune):
    tune(count_chunk=piece)
    counts = TokenCounts(WORDS, max_length=1)
    assert [row.tolist() for row in counts.add(ROWS[:2]).items()] == [[0, 1], [1, 2, 1]]
    assert [row.tolist() for row in counts.add(ROWS[2:]).items()] == [[], [0]]
    assert counted(counts) == {"b": 2, "a": 3, "c": 1}
    assert (counts.n_texts, counts.n_truncated) == (4, 2)


@pytest.mark.parametrize(
    ("min_frequency", "max_tokens", "selected", "omitted"),
    [(1, None, "aBbc", ""), (2, None, "aBb", "c"), (1, 2, "aB", "bc"), (3, 1, "a", "Bbc")],
)
def test_choose_sorts_by_frequency_then_by_spelling(min_frequency, max_tokens, selected, omitted):
    counts = TokenCounts(WORDS._replace(lowercase=False), None)
    counts.add(["b a B", "a c a b B"])
    tokens = counts.tokens
    chosen = counts.choose(tokens, min_frequency, max_tokens)
    assert "".join(tokens[index] for index in chosen[0]) == selected
    assert "".join(sorted(tokens[index] for index in chosen[1])) == omitted


def test_choose_without_a_frequent_token_is_an_error():
    counts = TokenCounts(WORDS, None)
    counts.add(ROWS)
    with pytest.raises(ValueError, match="none of the 3 different tokens of 4 texts occurs min_frequency=4 times"):
        counts.choose(counts.tokens, 4, None)


def test_copy_continues_independently():
    counts = TokenCounts(WORDS, None)
    counts.add(ROWS)
    copied = counts.copy()
    copied.add(["new tokens", "a"])
    assert (counted(counts), counts.n_texts) == ({"b": 2, "a": 3, "c": 1}, 4)
    assert b"new" not in pickle.dumps(counts)
    assert counted(copied) == {"b": 2, "a": 4, "c": 1, "new": 1, "tokens": 1}
    counts.add(["later tokens"])
    assert {token: n for token, n in counted(counts).items() if n} == {"b": 2, "a": 3, "c": 1, "later": 1, "tokens": 1}
    assert copied.counts.sum() == 9, "the first copy is unchanged"
    with pytest.raises(ValueError, match="none of the 5 different tokens"):
        counts.choose(counts.tokens, 9, None)


def test_pickled_counts_continue_like_the_originals():
    counts = TokenCounts(WORDS, None)
    counts.add(ROWS[:2])
    restored = pickle.loads(pickle.dumps(counts))
    for each in (counts, restored):
        each.add(ROWS[2:])
    assert counted(restored) == counted(counts)
    assert restored.add(["d", "a"]).values.tolist() == [3, 1]


def test_chosen_level_depends_on_all_texts():
    counts = TextCounts([WORDS, CHARACTERS], None)
    counts.add(["the words of a text"])
    assert counted(counts.chosen()) == dict.fromkeys("the words of a text".split(), 1)
    copied = counts.copy()
    copied.add(["酒店很", "酒店", "干净"] * 9)
    assert copied.chosen().splitter.level == "char"
    assert counted(copied.chosen())["酒"] == 18
    assert counts.chosen().splitter.level == "word"
    alone = TextCounts([CHARACTERS], None)
    alone.add(["one or two words"])
    assert alone.chosen().splitter.level == "char"


def test_n_truncated_is_none_for_subwords_with_a_max_length():
    subword = WORDS._replace(level="subword")
    assert TokenCounts(subword, 5).n_truncated is None
    assert TokenCounts(subword, None).n_truncated == 0


def test_pieces_are_views_of_all_ids():
    values = np.arange(2 * token_counts._PIECE + 1, dtype=np.int32)
    for piece in token_counts.pieces(values):
        assert len(piece) <= token_counts._PIECE
        piece[:] = 7
    assert (values == 7).all()
