"""TF-IDF of what texts hold: n-grams of tokens, and of the characters inside tokens."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from seqclf._data.encoded import Spelling
from seqclf._data.ragged import Ragged
from seqclf._label_features.character_ngrams import CharacterNGrams, n_entries
from seqclf._label_features.ngrams import NGrams

# N-grams of characters that fewer training rows hold are passed over.
_MIN_ROWS = 2
# With more entries than this the characters of the training rows are left out: long texts are told apart by their
# words, and everything that is learned from the features takes as long as they have entries.
_MAX_CHARACTER_ENTRIES = 20_000_000
# Entries that are sorted at once: a limit to memory, as the next two are.
_BLOCK = 2**22
# Tokens and rows whose features are made at once: with characters, a token has some 100 bytes of them.
_MAX_TOKENS, _MAX_ROWS = 2**20, 2**16


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

    def part(self, start: int, stop: int) -> "Tokens":
        """The rows from `start` up to `stop`."""
        steps = slice(self.ids.offsets[start], self.ids.offsets[stop])
        spelling = self.spelling and self.spelling._replace(ids=self.spelling.ids[steps])
        ids = Ragged(self.ids.values[steps], self.ids.lengths[start:stop])
        return Tokens(ids, [numbers[steps] for numbers in self.numbers], spelling)


class TokenNames(NamedTuple):
    """What tokens are called.

    Parameters
    ----------
    tokens : sequence of str
        The token of each id; the first two are padding and the unknown token.
    separator : str
        What is between the tokens of an n-gram in its name.
    """

    tokens: Sequence[str]
    separator: str


class TokenFeatures:
    """Sublinear TF-IDF, of length 1 in each row for the n-grams of tokens, and again for those of characters.

    Parameters
    ----------
    ngrams : NGrams
        Learned on the training rows.
    n_orders : int
        The longest n-grams of tokens that are read.
    names : TokenNames or None
        What the tokens are called; None where their ids are their names.
    max_features : int
        At most so many n-grams of each kind are taken: those that the most training rows hold.

    Attributes
    ----------
    idf_ : ndarray of shape (n_features,), float32
        The weight of each feature, the larger the fewer training rows have it: log((1 + n) / (1 + m)) + 1 where m of n
        rows do, as in scikit-learn's TfidfTransformer.
    characters_ : CharacterNGrams or None
        None where tokens have no spelling, or the training rows too many characters.
    """

    def __init__(self, ngrams: NGrams, n_orders: int, names: TokenNames | None, max_features: int):
        self.ngrams, self.n_orders, self.token_names, self.max_features = ngrams, n_orders, names, max_features
        self.characters_: CharacterNGrams | None = None

    def fit_transform(self, rows: Tokens) -> csr_array:
        """Learn which n-grams there are and how rare each is; gives the features of the same rows."""
        first = np.cumsum([0, *self.ngrams.sizes[: self.n_orders]])
        self._first = first[:-1].astype(np.int32)
        self._column = np.arange(-1, first[-1], dtype=np.int32)
        counts = self._token_counts(rows)
        self._kept_ngrams = frequent(counts, 1, self.max_features)
        self._column[:] = -1
        self._column[1 + self._kept_ngrams] = np.arange(len(self._kept_ngrams))
        counts = csr_array(counts[:, self._kept_ngrams])
        idf = inverse_frequencies(counts)
        features = weigh(counts, idf)
        if (of_characters := self._learn_characters(rows)) is not None:
            idf_of_characters = inverse_frequencies(of_characters)
            features = csr_array(hstack([features, weigh(of_characters, idf_of_characters)], format="csr"))
            idf = np.concatenate([idf, idf_of_characters])
        self.idf_ = idf
        return features

    def transform(self, rows: Tokens) -> csr_array:
        """The features of rows."""
        n_ngrams = len(self._kept_ngrams)
        features = weigh(self._token_counts(rows), self.idf_[:n_ngrams])
        if self.characters_ is None:
            return features
        assert rows.spelling is not None
        counts = self.characters_.count(self._spelled_counts(rows.spelling, rows.ids), rows.spelling.new_tokens)
        of_characters = weigh(csr_array(counts[:, self._kept_characters]), self.idf_[n_ngrams:])
        return csr_array(hstack([features, of_characters], format="csr"))

    def blocks(self, rows: Tokens) -> Iterator[Tokens]:
        """The rows in parts, whose features fit into memory."""
        offsets, start = rows.ids.offsets, 0
        while start < len(rows.ids):
            stop = int(np.searchsorted(offsets, offsets[start] + _MAX_TOKENS, side="right")) - 1
            stop = min(max(stop, start + 1), start + _MAX_ROWS)
            yield rows if stop - start == len(rows.ids) else rows.part(start, stop)
            start = stop

    def names(self) -> list[str]:
        """What each feature is: an n-gram of tokens, or one of characters in quotes."""
        spelled, separator = self.token_names or TokenNames([str(id) for id in range(self.ngrams.vocab_size)], " ")
        names = [
            separator.join(spelled[token] for token in ngram)
            for ngrams in self.ngrams.spelled()[: self.n_orders]
            for ngram in ngrams
        ]
        chosen = [names[column] for column in self._kept_ngrams]
        if self.characters_ is not None:
            chosen += [repr(name) for name in self.characters_.names()[self._kept_characters]]
        return chosen

    def _learn_characters(self, rows: Tokens) -> csr_array | None:
        """The counts of the n-grams of characters that are read from now on, if any are."""
        if self.token_names is None or rows.spelling is None:
            return None
        tokens = ["", "", *self.token_names.tokens[2:]]
        spelled = self._spelled_counts(rows.spelling, rows.ids)
        too_many = n_entries(spelled, [*tokens, *rows.spelling.new_tokens]) > _MAX_CHARACTER_ENTRIES
        if too_many or not any(map(str.strip, tokens)):
            return None
        self.characters_ = CharacterNGrams(tokens)
        counts = self.characters_.count(spelled, rows.spelling.new_tokens)
        self._kept_characters = frequent(counts, _MIN_ROWS, self.max_features)
        return csr_array(counts[:, self._kept_characters])

    def _token_counts(self, rows: Tokens) -> csr_array:
        """How often rows hold each n-gram of tokens that is a feature."""
        numbers = rows.numbers[: self.n_orders]
        columns = [
            self._column[np.where(each > 0, each + first, 0)] for each, first in zip(numbers, self._first, strict=True)
        ]
        entries = np.stack(columns, axis=1).ravel() if len(columns) > 1 else columns[0]
        return count_entries(Ragged(entries, rows.ids.lengths * len(columns)), int(self._column.max()) + 1)

    def _spelled_counts(self, spelling: Spelling, ids: Ragged) -> csr_array:
        """How often rows hold each token, those too that the network does not know."""
        n_tokens = self.ngrams.vocab_size + len(spelling.new_tokens)
        return count_entries(Ragged(spelling.ids, ids.lengths), n_tokens)


def frequent(counts: csr_array, min_rows: int, limit: int) -> NDArray[np.int64]:
    """The columns that enough rows have, at most `limit`, in their order."""
    n_rows = np.bincount(counts.indices, minlength=counts.shape[1])
    order = np.argsort(-n_rows, kind="stable")[:limit]
    return np.sort(order[n_rows[order] >= min_rows])


def inverse_frequencies(counts: csr_array) -> NDArray[np.float32]:
    """The larger the fewer rows have a column."""
    n_rows = np.bincount(counts.indices, minlength=counts.shape[1])
    return (np.log((1 + counts.shape[0]) / (1 + n_rows)) + 1).astype(np.float32)


def weigh(counts: csr_array, idf: NDArray[np.float32]) -> csr_array:
    """Sublinear TF-IDF of counts, of length 1 in each row that has any; it takes the place of the counts."""
    weights = (1 + np.log(counts.data)) * idf[counts.indices]
    filled = np.flatnonzero(np.diff(counts.indptr))
    if len(filled):
        norms = np.sqrt(np.add.reduceat(weights * weights, counts.indptr[filled]))
        weights /= np.repeat(norms, np.diff(counts.indptr)[filled])
    counts.data = weights
    return counts


def count_entries(rows: Ragged, n_columns: int) -> csr_array:
    """How often each row holds each number from 0 to below `n_columns`; negative ones are not counted."""
    indices, counts = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    n_different = np.zeros(len(rows), dtype=np.int64)
    start = 0
    while start < len(rows):
        stop = max(int(np.searchsorted(rows.offsets, rows.offsets[start] + _BLOCK, side="right")) - 1, start + 1)
        values = rows.values[rows.offsets[start] : rows.offsets[stop]]
        row = np.repeat(np.arange(stop - start), rows.lengths[start:stop])
        known = values >= 0
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
