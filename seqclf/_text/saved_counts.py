"""Token counts of a stream of texts as a state. Pickles contain it for `partial_fit`; model files do not."""

from collections.abc import Collection

import numpy as np

from seqclf._data.ragged import Ragged
from seqclf._saved import Saved, State
from seqclf._text.levels import LevelSample
from seqclf._text.token_counts import TextCounts, TokenCounts
from seqclf._text.unknown_words import WordSample

_WORD_COUNTERS = ("n_filled", "n_single", "n_tokens")


def counts_to_state(counts: TextCounts) -> State:
    """The counts of each level, and the sample that chooses between them."""
    sample = counts._sample
    return {
        "levels": {level: _tokens_to_state(tokens) for level, tokens in counts._by_level.items()},
        "sample": None
        if sample is None
        else {"n_texts": sample._n_texts, "texts": sample._texts, "ranks": sample._ranks},
    }


def load_counts(saved: Saved, counts: TextCounts) -> None:
    """Load a state of :func:`counts_to_state` into new counts that have the same settings."""
    saved.check_names(("levels", "sample"))
    saved.part("levels", lambda levels: _load_levels(levels, counts._by_level.values()))
    saved.require(
        (saved.value("sample") is None) == (counts._sample is None),
        "a sample of texts is needed if and only if it chooses the level",
    )
    counts._sample = saved.optional("sample", saved.part, _load_sample)


def _load_levels(saved: Saved, counts: Collection[TokenCounts]) -> None:
    saved.check_names([tokens.splitter.level for tokens in counts])
    for tokens in counts:
        saved.part(tokens.splitter.level, lambda state, tokens=tokens: _load_tokens(state, tokens))  # type: ignore[misc]


def _tokens_to_state(tokens: TokenCounts) -> State:
    words = tokens.words
    return {
        "tokens": tokens.tokens,
        "counts": tokens.counts,
        "n_texts": tokens.n_texts,
        "n_longer": tokens._n_longer,
        "words": None if words is None else _words_to_state(words),
    }


def _load_tokens(saved: Saved, tokens: TokenCounts) -> None:
    names = saved.texts("tokens")
    tokens.counts = saved.array("counts", np.int64, (len(names),), low=0)
    for index, name in enumerate(names):
        saved.require(tokens._ids[name] == index, f"the token {name!r} occurs twice")
    tokens.n_texts, tokens._n_longer = saved.integer("n_texts"), saved.integer("n_longer")
    saved.require(
        (saved.value("words") is None) == (tokens.words is None),
        "words must have a sample if and only if they are the tokens",
    )
    tokens.words = saved.optional("words", saved.part, lambda state: _load_words(state, len(names)))


def _words_to_state(words: WordSample) -> State:
    state = {name: getattr(words, f"_{name}") for name in _WORD_COUNTERS}
    return state | {"places": words._positions, "ids": words._ids.values, "lengths": words._ids.lengths}


def _load_words(saved: Saved, n_tokens: int) -> WordSample:
    words = WordSample()
    for name in _WORD_COUNTERS:
        setattr(words, f"_{name}", saved.integer(name))
    ids = saved.array("ids", np.int32, (None,), low=0, high=n_tokens - 1)
    lengths = saved.array("lengths", np.int64, (None,), low=1, high=max(len(ids), 1))
    saved.require(int(lengths.sum()) == len(ids), "the sum of lengths is not the number of ids")
    words._positions = saved.array("places", np.int64, (len(lengths),), low=0)
    words._ids = Ragged(ids, lengths)
    return words


def _load_sample(saved: Saved) -> LevelSample:
    sample = LevelSample()
    sample._n_texts, sample._texts = saved.integer("n_texts"), saved.texts("texts")
    sample._ranks = saved.array("ranks", np.uint64, (len(sample._texts),))
    return sample
