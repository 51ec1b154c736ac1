"""Token counts, from which a vocabulary is chosen, over all texts at once or chunk by chunk."""

import copy
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._text.levels import LevelSample
from seqclf._text.splitter import Splitter
from seqclf._text.unknown_words import WordSample

_PIECE = 1 << 19  # ids per call of bincount


class TokenCounts:
    """The tokens of the texts that were added, and how often each occurs.

    Parameters
    ----------
    splitter : Splitter
    max_length : int or None
        Longer texts are counted in `n_truncated`.

    Attributes
    ----------
    counts : ndarray of shape (n_tokens,), dtype int64
    n_texts : int
    words : WordSample or None
        A sample of the texts; None if tokens are not words.
    """

    def __init__(self, splitter: Splitter, max_length: int | None) -> None:
        self.splitter, self.max_length = splitter, max_length
        self.counts = np.zeros(0, dtype=np.int64)
        self.n_texts = self._n_longer = 0
        self.words = WordSample() if splitter.kind == "texts" and splitter.level == "word" else None
        self._ids = _growing_ids(())

    def add(self, rows: Sequence[Any]) -> Ragged:
        """Count the tokens of these rows and return their ids, in order of first occurrence."""
        ids = self.splitter.index_tokens(rows, partial(map, self._ids.__getitem__))
        counts = np.zeros(len(self._ids), dtype=np.int64)
        counts[: len(self.counts)] = self.counts
        for piece in pieces(ids.values):
            counts += np.bincount(piece, minlength=len(counts))
        self.counts = counts
        self.n_texts += len(ids)
        if self.max_length is not None:
            self._n_longer += int((ids.lengths > self.max_length).sum())
        if self.words is not None:
            self.words.add(ids)
        return ids

    @property
    def tokens(self) -> list[str]:
        """The token of each id."""
        return list(islice(self._ids, len(self.counts)))

    @property
    def n_truncated(self) -> int | None:
        """The number of texts with more than `max_length` tokens; None for subwords, which are not trained yet."""
        return None if self.splitter.level == "subword" and self.max_length is not None else self._n_longer

    def choose(
        self, tokens: Sequence[str], min_frequency: int, max_tokens: int | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The ids of the tokens for the vocabulary, most frequent first, then by spelling; and all other ids."""
        by_token = np.array(sorted(range(len(tokens)), key=tokens.__getitem__), dtype=np.int64)
        by_frequency = by_token[np.argsort(-self.counts[by_token], kind="stable")]
        selected = by_frequency[self.counts[by_frequency] >= min_frequency][:max_tokens]
        if not len(selected):
            raise ValueError(
                f"Empty vocabulary: none of the {np.count_nonzero(self.counts)} different tokens of {self.n_texts} "
                f"texts occurs min_frequency={min_frequency} times. Lower min_frequency, or pass texts with tokens."
            )
        return selected, np.setdiff1d(by_frequency, selected)

    def copy(self) -> "TokenCounts":
        """A copy to which texts can be added without changing these counts.

        The dict of ids is shared. A token that only the copy has seen has an id here too, and a count of 0.
        """
        copied = object.__new__(TokenCounts)
        vars(copied).update(vars(self), words=copy.copy(self.words))
        return copied

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_ids": self.tokens}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _ids=_growing_ids(state["_ids"]))


class TextCounts:
    """The counts of texts that come chunk by chunk, for each level that the tokenizer can use.

    Parameters
    ----------
    splitters : sequence of Splitter
        More than one if the level is chosen from the texts.
    max_length : int or None
        As in :class:`TokenCounts`.
    """

    def __init__(self, splitters: Iterable[Splitter], max_length: int | None) -> None:
        self._by_level = {splitter.level: TokenCounts(splitter, max_length) for splitter in splitters}
        self._sample = LevelSample() if len(self._by_level) > 1 else None

    def add(self, rows: Sequence[Any]) -> None:
        """Count the tokens of these rows."""
        for counts in self._by_level.values():
            counts.add(rows)
        if self._sample is not None:
            self._sample.add(rows)

    def chosen(self) -> TokenCounts:
        """The counts of the level that fits the texts."""
        level: Literal["word", "char", "subword"] = next(iter(self._by_level))
        return self._by_level[level if self._sample is None else self._sample.choose()]

    def copy(self) -> "TextCounts":
        """A copy to which texts can be added without changing these counts."""
        copied = object.__new__(TextCounts)
        copied._by_level = {level: counts.copy() for level, counts in self._by_level.items()}
        copied._sample = copy.copy(self._sample)
        return copied


def pieces(values: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """Split the ids into views, to bound the size of the 64-bit copies that `np.bincount` makes."""
    return np.split(values, range(_PIECE, len(values), _PIECE))


def _growing_ids(tokens: Iterable[str]) -> defaultdict[str, int]:
    """The id of each token; looking up a new token gives it the next id."""
    ids = defaultdict[str, int](None, {token: index for index, token in enumerate(tokens)})
    ids.default_factory = ids.__len__
    return ids
