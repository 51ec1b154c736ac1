"""What was counted of a stream of texts, as a state: pickles keep it for `partial_fit`, model files don't."""

from collections.abc import Collection

import numpy as np

from seqclf._data.ragged import Ragged
from seqclf._saved import Saved, State
from seqclf._text.levels import LevelSample
from seqclf._text.token_counts import TextCounts, TokenCounts
from seqclf._text.unknown_words import WordSample

_N_WORD_NUMBERS = ("n_filled", "n_single", "n_tokens")


def counts_to_state(counts: TextCounts) -> State:
    """The counts of each level, and the sample that chooses between them."""
    sample = counts._sample
    return {
        "levels": {level: _tokens_to_state(tokens) for level, tokens in counts._by_level.items()},
        "sample": None
        if sample is None
        else {"n_texts": sample._n_texts, "texts": sample._texts, "ranks": sample._ranks},
    }


def read_counts(saved: Saved, counts: TextCounts) -> None:
    """Let new counts have what `counts_to_state` has given of others with the same settings."""
    saved.refuse_others(("levels", "sample"))
    saved.part("levels", lambda levels: _read_levels(levels, counts._by_level.values()))
    saved.require((saved.value("sample") is None) == (counts._sample is None), "a sample of texts chooses the level")
    counts._sample = saved.optional("sample", saved.part, _read_sample)


def _read_levels(saved: Saved, each: Collection[TokenCounts]) -> None:
    saved.refuse_others([tokens.splitter.level for tokens in each])
    for tokens in each:
        saved.part(tokens.splitter.level, lambda part, tokens=tokens: _read_tokens(part, tokens))  # type: ignore[misc]


def _tokens_to_state(tokens: TokenCounts) -> State:
    words = tokens.words
    return {
        "tokens": tokens.tokens,
        "counts": tokens.counts,
        "n_texts": tokens.n_texts,
        "n_longer": tokens._n_longer,
        "words": None if words is None else _words_to_state(words),
    }


def _read_tokens(saved: Saved, tokens: TokenCounts) -> None:
    names = saved.texts("tokens")
    tokens.counts = saved.array("counts", np.int64, (len(names),), low=0)
    for number, name in enumerate(names):
        saved.require(tokens._numbers[name] == number, f"the token {name!r} occurs twice")
    tokens.n_texts, tokens._n_longer = saved.integer("n_texts"), saved.integer("n_longer")
    saved.require((saved.value("words") is None) == (tokens.words is None), "words are sampled where they are tokens")
    tokens.words = saved.optional("words", saved.part, lambda part: _read_words(part, len(names)))


def _words_to_state(words: WordSample) -> State:
    state = {name: getattr(words, f"_{name}") for name in _N_WORD_NUMBERS}
    return state | {"places": words._places, "ids": words._ids.values, "lengths": words._ids.lengths}


def _read_words(saved: Saved, n_tokens: int) -> WordSample:
    words = WordSample()
    for name in _N_WORD_NUMBERS:
        setattr(words, f"_{name}", saved.integer(name))
    ids = saved.array("ids", np.int32, (None,), low=0, high=n_tokens - 1)
    lengths = saved.array("lengths", np.int64, (None,), low=1, high=max(len(ids), 1))
    saved.require(int(lengths.sum()) == len(ids), "lengths are not those of ids")
    words._places = saved.array("places", np.int64, (len(lengths),), low=0)
    words._ids = Ragged(ids, lengths)
    return words


def _read_sample(saved: Saved) -> LevelSample:
    sample = LevelSample()
    sample._n_texts, sample._texts = saved.integer("n_texts"), saved.texts("texts")
    sample._ranks = saved.array("ranks", np.uint64, (len(sample._texts),))
    return sample
