"""TF-IDF of what texts hold: n-grams of tokens, and of the characters inside tokens."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack
from sklearn.feature_extraction.text import TfidfTransformer

from seqclf._data.encoded import Spelling
from seqclf._data.ragged import Ragged
from seqclf._label_features.character_ngrams import CharacterNGrams
from seqclf._label_features.ngrams import NGrams

# N-grams of characters that fewer training rows hold are passed over.
_MIN_ROWS = 2
# With more entries than this the characters of the training rows are left out: long texts are told apart by their
# words, and everything that is learned from the features takes as long as they have entries.
_MAX_CHARACTER_ENTRIES = 20_000_000
# Entries that are sorted at once.
_BLOCK = 2**22


class Tokens(NamedTuple):
    """Rows of token ids, read in all ways that the features need.

    Parameters
    ----------
    ids : Ragged of int32
        The token ids that the network knows.
    numbers : sequence of ndarray of shape (n_steps,)
        For n = 1 and more the number of the n-gram that ends at each step.
    spelling : Spelling or None
        The tokens as they are spelled.
    """

    ids: Ragged
    numbers: Sequence[NDArray[np.int32]]
    spelling: Spelling | None


class TokenFeatures:
    """Sublinear TF-IDF, of length 1 in each row for the n-grams of tokens, and again for those of characters.

    Parameters
    ----------
    ngrams : NGrams
        Learned on the training rows.
    n_orders : int
        The longest n-grams of tokens that are read.
    tokens : sequence of str or None
        The token of each id, "" for those without a spelling; None where no token has one.
    max_features : int
        At most so many n-grams of each kind are taken: those that the most training rows hold.

    Attributes
    ----------
    characters_ : CharacterNGrams or None
        None where tokens have no spelling, or the training rows too many characters.
    """

    def __init__(self, ngrams: NGrams, n_orders: int, tokens: Sequence[str] | None, max_features: int):
        self.ngrams, self.n_orders, self.tokens, self.max_features = ngrams, n_orders, tokens, max_features
        self.characters_: CharacterNGrams | None = None

    def fit_transform(self, rows: Tokens) -> csr_array:
        """Learn which n-grams there are and how rare each is; gives the features of the same rows."""
        counts = self._token_counts(rows)
        self._kept_ngrams = self._frequent(counts, min_rows=1)
        counts = counts[:, self._kept_ngrams]
        self._tf_idf_of_ngrams = _learned_weights(counts)
        parts = [_weighted(self._tf_idf_of_ngrams, counts)]
        if self.tokens is not None and rows.spelling is not None and any(map(str.strip, self.tokens)):
            characters = CharacterNGrams(self.tokens)
            spelled = self._spelled_counts(rows.spelling, rows.ids)
            if characters.n_entries(spelled[:, : len(self.tokens)]) <= _MAX_CHARACTER_ENTRIES:
                self.characters_ = characters
                counts = characters.count(spelled, rows.spelling.new_tokens)
                self._kept_characters = self._frequent(counts, min_rows=_MIN_ROWS)
                counts = counts[:, self._kept_characters]
                self._tf_idf_of_characters = _learned_weights(counts)
                parts.append(_weighted(self._tf_idf_of_characters, counts))
        return csr_array(hstack(parts, format="csr", dtype=np.float32))

    def transform(self, rows: Tokens) -> csr_array:
        """The features of rows."""
        parts = [_weighted(self._tf_idf_of_ngrams, self._token_counts(rows)[:, self._kept_ngrams])]
        if self.characters_ is not None:
            assert rows.spelling is not None
            counts = self.characters_.count(self._spelled_counts(rows.spelling, rows.ids), rows.spelling.new_tokens)
            parts.append(_weighted(self._tf_idf_of_characters, counts[:, self._kept_characters]))
        return csr_array(hstack(parts, format="csr", dtype=np.float32))

    def names(self) -> list[str]:
        """What each feature is: an n-gram of tokens, or one of characters in quotes."""
        names = [""]
        spelled = [str(number) for number in range(self.ngrams.vocab_size)] if self.tokens is None else self.tokens
        separator = "" if all(len(token) < 2 for token in spelled) else " "
        for ngrams in self.ngrams.spelled()[: self.n_orders]:
            names += [separator.join(spelled[token] for token in ngram) for ngram in ngrams]
        chosen = [names[column] for column in self._kept_ngrams]
        if self.characters_ is not None:
            chosen += [repr(name) for name in self.characters_.names()[self._kept_characters]]
        return chosen

    def _token_counts(self, rows: Tokens) -> csr_array:
        """How often rows hold each n-gram of tokens; column 0, of those that were not learned, is empty."""
        first = 0
        columns = []
        for numbers, n_ngrams in zip(rows.numbers[: self.n_orders], self.ngrams.sizes, strict=False):
            columns.append(np.where(numbers > 0, numbers + first, 0))
            first += n_ngrams
        entries = np.stack(columns, axis=1).ravel()
        return count_entries(Ragged(entries, rows.ids.lengths * len(columns)), first + 1)

    def _spelled_counts(self, spelling: Spelling, ids: Ragged) -> csr_array:
        assert self.tokens is not None
        return count_entries(Ragged(spelling.ids, ids.lengths), len(self.tokens) + len(spelling.new_tokens))

    def _frequent(self, counts: csr_array, min_rows: int) -> NDArray[np.int64]:
        """The columns that enough rows hold, at most `max_features`, in their order."""
        n_rows = np.bincount(counts.indices, minlength=counts.shape[1])
        order = np.argsort(-n_rows, kind="stable")[: self.max_features]
        return np.sort(order[n_rows[order] >= min_rows])


def _learned_weights(counts: csr_array) -> TfidfTransformer:
    """How rare each feature is."""
    tf_idf = TfidfTransformer(sublinear_tf=True)
    return tf_idf.fit(counts) if all(counts.shape) else tf_idf


def _weighted(tf_idf: TfidfTransformer, counts: csr_array) -> csr_array:
    """Counts of rows as TF-IDF; scikit-learn refuses those of no row and of no feature."""
    return tf_idf.transform(counts) if all(counts.shape) else counts


def count_entries(rows: Ragged, n_columns: int) -> csr_array:
    """How often each row holds each number from 1 to below `n_columns`; 0 is not counted."""
    indices, counts = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    n_different = np.zeros(len(rows), dtype=np.int64)
    start = 0
    while start < len(rows):
        stop = max(int(np.searchsorted(rows.offsets, rows.offsets[start] + _BLOCK, side="right")) - 1, start + 1)
        values = rows.values[rows.offsets[start] : rows.offsets[stop]]
        row = np.repeat(np.arange(stop - start), rows.lengths[start:stop])
        known = values > 0
        entries = row[known] * n_columns + values[known]
        entries.sort()
        first = np.flatnonzero(np.diff(entries, prepend=-1))
        row, columns = np.divmod(entries[first], n_columns)
        n_different[start:stop] = np.bincount(row, minlength=stop - start)
        indices.append(columns)
        counts.append(np.diff(first, append=len(entries)))
        start = stop
    indptr = np.concatenate([[0], np.cumsum(n_different)])
    data, columns = np.concatenate(counts).astype(np.float32), np.concatenate(indices).astype(np.int32)
    return csr_array((data, columns, indptr), shape=(len(rows), n_columns))
