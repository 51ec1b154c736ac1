"""Estimate of the fraction of unknown words in new texts, from the training texts alone."""

from collections.abc import Sequence

import numpy as np

from seqclf._data.ragged import Ragged

_SAMPLE = 20_000  # words; a fixed size, since in any language a longer sample repeats more of its words
_MIN_TEXTS, _MIN_WORDS = 20, 2_000
_MIN_UNKNOWN, _MIN_UNKNOWN_SINGLE = 0.8, 0.5  # words are unsuitable if at least this fraction of them is unknown
_MIN_SINGLE = 0.95  # if at least this fraction of the texts is a single token, the second limit applies


class WordSample:
    """Every k-th text that has tokens, as token ids, with k a power of two that grows with the number of tokens.

    The sample does not depend on how the texts were divided over calls.
    """

    def __init__(self) -> None:
        self._n_filled = self._n_single = self._n_tokens = 0
        self._positions = np.empty(0, dtype=np.int64)
        self._ids = Ragged(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64))

    def add(self, ids: Ragged) -> None:
        """Add these texts."""
        filled = np.flatnonzero(ids.lengths)
        positions = np.arange(self._n_filled, self._n_filled + len(filled))
        self._n_filled += len(filled)
        self._n_single += int((ids.lengths[filled] == 1).sum())
        self._n_tokens += ids.n_steps
        # A power of two: when `every` grows, the new sample is a subset of the old one.
        every = 1 << max((self._n_tokens // _SAMPLE).bit_length() - 1, 0)
        before, selected = self._positions % every == 0, positions % every == 0
        old, new = self._ids.take(before), ids.take(filled[selected])
        self._ids = Ragged(np.concatenate([old.values, new.values]), np.concatenate([old.lengths, new.lengths]))
        self._positions = np.concatenate([self._positions[before], positions[selected]])

    def describe_unknown(self, tokens: Sequence[str]) -> str | None:
        """A sentence on why words are unsuitable as tokens of these texts, or None if they are suitable.

        The fraction of words that occur once estimates the fraction of unknown words in new texts (Good-Turing). In
        2,000 to 20,000 words it is 0.05 to 0.5 for English and 0.55 to 0.75 for Korean, and 0.85 to 0.95 for Chinese,
        where a "word" is all text between two commas. If texts are one token each, an unknown word leaves no input
        at all.

        Parameters
        ----------
        tokens : sequence of str
            The token of each id.
        """
        if self._n_filled < _MIN_TEXTS:
            return None
        single = self._n_single >= _MIN_SINGLE * self._n_filled
        ids, counts = np.unique(self._ids.values, return_counts=True)
        lengths = np.array([_word_length(tokens[index]) for index in ids])
        n_words = int(counts[lengths > 0].sum())
        if not single and n_words < _MIN_WORDS:
            return None
        # Words of one character are left out: the level "char" would not help them.
        unknown = int(((counts == 1) & (lengths > 1)).sum()) / max(n_words, 1)
        if unknown < (_MIN_UNKNOWN_SINGLE if single else _MIN_UNKNOWN):
            return None
        reason = "Nearly all texts are one token each, and " if single else ""
        text = (
            f"{reason}{unknown:.0%} of the words occur once: expect about this fraction of unknown words in new texts."
        )
        return text[0].upper() + text[1:]


def _word_length(token: str) -> int:
    """The number of characters of a word; 0 for any other token."""
    return len(token) if any(map(str.isalnum, token)) else 0
