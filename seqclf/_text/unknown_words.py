"""How many words of new texts will be unknown, told from the training texts alone."""

from collections.abc import Sequence

import numpy as np

from seqclf._data.ragged import Ragged

_SAMPLE = 20_000  # words: the more words are counted, the more of them occur twice, in any language
_MIN_TEXTS, _MIN_WORDS = 20, 2_000
_MAX_UNKNOWN, _MAX_UNKNOWN_OF_ONE = 0.8, 0.5
_ONE_TOKEN = 0.95  # the share of texts from which on texts are one token each


class WordSample:
    """Every text that has tokens, or every second, fourth, eighth ... of them, as the ids of their tokens.

    Texts may come in any number of parts: which ones are in the sample depends on all of them alone.
    """

    def __init__(self) -> None:
        self._n_filled = self._n_single = self._n_tokens = 0
        self._places = np.empty(0, dtype=np.int64)
        self._ids = Ragged(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64))

    def add(self, ids: Ragged) -> None:
        """Go on with these texts."""
        filled = np.flatnonzero(ids.lengths)
        places = np.arange(self._n_filled, self._n_filled + len(filled))
        self._n_filled += len(filled)
        self._n_single += int((ids.lengths[filled] == 1).sum())
        self._n_tokens += ids.n_steps
        # A power of two: the sample of fewer texts then holds that of more.
        every = 1 << max((self._n_tokens // _SAMPLE).bit_length() - 1, 0)
        before, kept = self._places % every == 0, places % every == 0
        old, new = self._ids.take(before), ids.take(filled[kept])
        self._ids = Ragged(np.concatenate([old.values, new.values]), np.concatenate([old.lengths, new.lengths]))
        self._places = np.concatenate([self._places[before], places[kept]])

    def find_unknown(self, tokens: Sequence[str]) -> str | None:
        """What is wrong with words as tokens of these texts, or None.

        The share of the words that occur once is an estimate of the share of unknown words in new texts (Good and
        Turing). In 2,000 to 20,000 words it is 0.05 to 0.5 for English and 0.55 to 0.75 for Korean; for Chinese, where
        a word is all that is between two commas, 0.85 to 0.95. Where texts are one token each, an unknown word leaves
        nothing to read.

        Parameters
        ----------
        tokens : sequence of str
            The token of each id.
        """
        if self._n_filled < _MIN_TEXTS:
            return None
        one_token = self._n_single >= _ONE_TOKEN * self._n_filled
        ids, counts = np.unique(self._ids.values, return_counts=True)
        lengths = np.array([_word_length(tokens[number]) for number in ids])
        n_words = int(counts[lengths > 0].sum())
        if not one_token and n_words < _MIN_WORDS:
            return None
        # Characters would not help where a word is a single one.
        unknown = int(((counts == 1) & (lengths > 1)).sum()) / max(n_words, 1)
        if unknown < (_MAX_UNKNOWN_OF_ONE if one_token else _MAX_UNKNOWN):
            return None
        kind = "Nearly all texts are one token each, and " if one_token else ""
        text = f"{kind}{unknown:.0%} of the words occur once: about as many words of new texts will be unknown."
        return text[0].upper() + text[1:]


def _word_length(token: str) -> int:
    """The number of characters of a word, 0 of any other token."""
    return len(token) if any(map(str.isalnum, token)) else 0
