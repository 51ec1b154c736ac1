"""TF-IDF of what texts hold: n-grams of tokens, and of the characters inside tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import Spelling
from seqclf._data.ragged import Ragged
from seqclf._label_features.character_ngrams import LONGEST, SHORTEST, CharacterNGrams, n_entries
from seqclf._label_features.entry_counts import count_entries
from seqclf._label_features.ngrams import NGrams
from seqclf._label_features.sparse_rows import SparseRows, side_by_side
from seqclf._saved import Saved, State

# N-grams of characters that fewer training rows hold are passed over.
_MIN_ROWS = 2
# With more entries than this the characters of the training rows are left out: long texts are told apart by their
# words, and everything that is learned from the features takes as long as they have entries.
_MAX_CHARACTER_ENTRIES = 20_000_000
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

    def fit_transform(self, rows: Tokens) -> SparseRows:
        """Learn which n-grams there are and how rare each is; gives the features of the same rows."""
        self._read_ngrams(np.ones(sum(self.ngrams.sizes[: self.n_orders]), dtype=bool))
        counts = self._token_counts(rows)
        is_kept = np.zeros(counts.n_columns, dtype=bool)
        is_kept[frequent(counts, 1, self.max_features)] = True
        self._read_ngrams(is_kept)
        counts = counts.select(self._kept_ngrams)
        idf = inverse_frequencies(counts)
        features = weigh(counts, idf)
        if (of_characters := self._learn_characters(rows)) is not None:
            idf_of_characters = inverse_frequencies(of_characters)
            features = side_by_side([features, weigh(of_characters, idf_of_characters)])
            idf = np.concatenate([idf, idf_of_characters])
        self.idf_ = idf
        return features

    def transform(self, rows: Tokens) -> SparseRows:
        """The features of rows."""
        n_ngrams = len(self._kept_ngrams)
        features = weigh(self._token_counts(rows), self.idf_[:n_ngrams])
        if self.characters_ is None:
            return features
        assert rows.spelling is not None
        counts = self.characters_.count(Ragged(rows.spelling.ids, rows.ids.lengths), rows.spelling.new_tokens)
        return side_by_side([features, weigh(counts, self.idf_[n_ngrams:])])

    def blocks(self, rows: Tokens) -> Iterator[Tokens]:
        """The rows in parts, whose features fit into memory."""
        offsets, start = rows.ids.offsets, 0
        while start < len(rows.ids):
            stop = int(np.searchsorted(offsets, offsets[start] + _MAX_TOKENS, side="right")) - 1
            stop = min(max(stop, start + 1), start + _MAX_ROWS)
            yield rows if stop - start == len(rows.ids) else rows.part(start, stop)
            start = stop

    @property
    def n_features_out(self) -> int:
        """How many features there are."""
        return len(self.idf_)

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
            chosen += [repr(name) for name in self.characters_.names_]
        return chosen

    def to_state(self) -> State:
        """What is saved; neither the n-grams, which others need too, nor the names of tokens."""
        return {
            "n_orders": self.n_orders,
            "is_kept": self._is_kept,
            "idf": self.idf_,
            "characters": None if self.characters_ is None else self.characters_.to_state(),
        }

    @classmethod
    def from_state(cls, saved: Saved, ngrams: NGrams, names: TokenNames | None) -> "TokenFeatures":
        """The same features, of these n-grams and names."""
        saved.require(names is None or len(names.tokens) == ngrams.vocab_size, "there is not one name for each token")
        n_orders = saved.integer("n_orders", low=1, high=ngrams.n_orders)
        features = cls(ngrams, n_orders, names, max_features=0)
        features._read_ngrams(saved.array("is_kept", bool, (sum(ngrams.sizes[:n_orders]),)))
        if saved.value("characters") is not None:
            saved.require(names is not None, "there are n-grams of characters of tokens without names")
            features.characters_ = saved.part(
                "characters", lambda part: CharacterNGrams.from_state(part, ngrams.vocab_size)
            )
            assert names is not None
            # Else ordinary texts could take any amount of memory.
            lengths = np.fromiter(map(len, names.tokens), dtype=np.int64, count=ngrams.vocab_size) + 2
            fits = features.characters_.of_tokens_.lengths <= (LONGEST - SHORTEST + 1) * lengths
            saved.require(bool(fits.all()), "a token has more n-grams of characters than its length allows")
        n_characters = 0 if features.characters_ is None else len(features.characters_.names_)
        features.idf_ = saved.array("idf", np.float32, (len(features._kept_ngrams) + n_characters,))
        return features

    def _read_ngrams(self, is_kept: NDArray[np.bool_]) -> None:
        """Count those n-grams of tokens from now on that are kept."""
        self._is_kept, self._kept_ngrams = is_kept, np.flatnonzero(is_kept)
        self._first = np.cumsum([0, *self.ngrams.sizes[: self.n_orders]])[:-1].astype(np.int32)
        column = np.where(is_kept, np.cumsum(is_kept, dtype=np.int32) - 1, -1)
        self._column = np.concatenate([[-1], column]).astype(np.int32)

    def _learn_characters(self, rows: Tokens) -> SparseRows | None:
        """The counts of the n-grams of characters that are read from now on, if any are."""
        if self.token_names is None or rows.spelling is None:
            return None
        tokens, new_tokens = ["", "", *self.token_names.tokens[2:]], rows.spelling.new_tokens
        spelled = Ragged(rows.spelling.ids, rows.ids.lengths)
        counts = count_entries(spelled, self.ngrams.vocab_size + len(new_tokens))
        too_many = n_entries(counts, [*tokens, *new_tokens]) > _MAX_CHARACTER_ENTRIES
        if too_many or not any(map(str.strip, tokens)):
            return None
        self.characters_ = CharacterNGrams(tokens)
        counts = self.characters_.count(spelled, new_tokens)
        kept = frequent(counts, _MIN_ROWS, self.max_features)
        self.characters_.keep(kept)
        return counts.select(kept)

    def _token_counts(self, rows: Tokens) -> SparseRows:
        """How often rows hold each n-gram of tokens that is a feature."""
        numbers = rows.numbers[: self.n_orders]
        columns = [
            self._column[np.where(each > 0, each + first, 0)] for each, first in zip(numbers, self._first, strict=True)
        ]
        entries = np.stack(columns, axis=1).ravel() if len(columns) > 1 else columns[0]
        return count_entries(Ragged(entries, rows.ids.lengths * len(columns)), len(self._kept_ngrams))


def frequent(counts: SparseRows, min_rows: int, limit: int) -> NDArray[np.int64]:
    """The columns that enough rows have, at most `limit`, in their order."""
    n_rows = np.bincount(counts.columns, minlength=counts.n_columns)
    order = np.argsort(-n_rows, kind="stable")[:limit]
    return np.sort(order[n_rows[order] >= min_rows])


def inverse_frequencies(counts: SparseRows) -> NDArray[np.float32]:
    """The larger the fewer rows have a column."""
    n_rows = np.bincount(counts.columns, minlength=counts.n_columns)
    return (np.log((1 + len(counts)) / (1 + n_rows)) + 1).astype(np.float32)


def weigh(counts: SparseRows, idf: NDArray[np.float32]) -> SparseRows:
    """Sublinear TF-IDF of counts, of length 1 in each row that has any."""
    weights = (1 + np.log(counts.values)) * idf[counts.columns]
    filled = np.flatnonzero(counts.lengths)
    if len(filled):
        norms = np.sqrt(np.add.reduceat(weights * weights, counts.offsets[filled]))
        weights /= np.repeat(norms, counts.lengths[filled])
    return replace(counts, values=weights)
