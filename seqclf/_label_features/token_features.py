"""TF-IDF of the n-grams of tokens, and of the n-grams of characters inside tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import Spelling
from seqclf._data.ragged import Ragged
from seqclf._label_features.character_ngrams import MAX_LENGTH, MIN_LENGTH, CharacterNGrams, max_entries
from seqclf._label_features.entry_counts import count_entries
from seqclf._label_features.ngrams import NGrams
from seqclf._label_features.sparse_rows import SparseRows, stack_columns
from seqclf._saved import Saved, State

# N-grams of characters in fewer training rows are ignored.
_MIN_ROWS = 2
# With more entries than this, n-grams of characters are left out: words are enough to distinguish long texts, and the
# time of a fit is proportional to the number of entries.
_MAX_CHARACTER_ENTRIES = 20_000_000
# The largest numbers of tokens and rows whose features are computed at once. With characters, these take about 100
# bytes per token.
_MAX_BLOCK_TOKENS, _MAX_BLOCK_ROWS = 2**20, 2**16


class TokenRows(NamedTuple):
    """Rows of tokens in all forms that the features need.

    Parameters
    ----------
    ids : Ragged of int32
        The token ids that the network reads.
    ngram_ids : sequence of ndarray of shape (n_steps,)
        For n = 1 and more, the id of the n-gram that ends at each step.
    spelling : Spelling or None
        The spelling of the tokens, including those that are not in the vocabulary.
    """

    ids: Ragged
    ngram_ids: Sequence[NDArray[np.int32]]
    spelling: Spelling | None

    def slice_rows(self, start: int, stop: int) -> "TokenRows":
        """The rows from `start` to ``stop - 1``."""
        steps = slice(self.ids.offsets[start], self.ids.offsets[stop])
        spelling = None if self.spelling is None else self.spelling.part(steps)
        return TokenRows(self.ids.part(start, stop), [ngram_ids[steps] for ngram_ids in self.ngram_ids], spelling)


class TokenNames(NamedTuple):
    """The names of tokens.

    Parameters
    ----------
    tokens : sequence of str
        The token of each id; the first two are padding and the unknown token.
    separator : str
        Joins the tokens of an n-gram in its name.
    """

    tokens: Sequence[str]
    separator: str


class TokenFeatures:
    """Sublinear TF-IDF, scaled to length 1 in each row separately for n-grams of tokens and n-grams of characters.

    Parameters
    ----------
    ngrams : NGrams
        The n-gram ids, fitted to the training rows.
    n_orders : int
        The longest n-grams of tokens to use.
    names : TokenNames or None
        The names of the tokens; None if token ids have no other names.
    max_features : int
        The largest number of n-grams of each kind; those in the most training rows are selected.

    Attributes
    ----------
    idf_ : ndarray of shape (n_features,), float32
        The weight of each feature: log((1 + n) / (1 + m)) + 1 if m of n training rows have it, as in scikit-learn's
        TfidfTransformer.
    characters_ : CharacterNGrams or None
        None if tokens have no spelling, or the training rows too many characters.
    """

    def __init__(self, ngrams: NGrams, n_orders: int, names: TokenNames | None, max_features: int):
        self.ngrams, self.n_orders, self.token_names, self.max_features = ngrams, n_orders, names, max_features
        self.characters_: CharacterNGrams | None = None

    def fit_transform(self, rows: TokenRows) -> SparseRows:
        """Select the n-grams, fit their weights, and return the features of the training rows."""
        self._select_ngrams(np.ones(sum(self.ngrams.sizes[: self.n_orders]), dtype=bool))
        counts = self._token_counts(rows)
        is_selected = np.zeros(counts.n_columns, dtype=bool)
        is_selected[frequent_columns(counts, 1, self.max_features)] = True
        self._select_ngrams(is_selected)
        counts = counts.select(self._selected_ngrams)
        idf = inverse_frequencies(counts)
        features = tf_idf(counts, idf)
        if (character_counts := self._fit_characters(rows)) is not None:
            character_idf = inverse_frequencies(character_counts)
            features = stack_columns([features, tf_idf(character_counts, character_idf)])
            idf = np.concatenate([idf, character_idf])
        self.idf_ = idf
        return features

    def transform(self, rows: TokenRows) -> SparseRows:
        """The features of other rows."""
        n_ngrams = len(self._selected_ngrams)
        features = tf_idf(self._token_counts(rows), self.idf_[:n_ngrams])
        if self.characters_ is None:
            return features
        assert rows.spelling is not None
        counts = self.characters_.count(Ragged(rows.spelling.ids, rows.ids.lengths), rows.spelling.new_tokens)
        return stack_columns([features, tf_idf(counts, self.idf_[n_ngrams:])])

    def ngram_columns(self, rows: TokenRows) -> list[NDArray[np.int32]]:
        """For n = 1 and more, the column of the n-gram that ends at each step, -1 for one that is not a feature."""
        orders = zip(rows.ngram_ids[: self.n_orders], self._id_offsets, strict=True)
        return [self._column[np.where(ids > 0, ids + offset, 0)] for ids, offset in orders]

    def character_columns(self, rows: TokenRows) -> Ragged | None:
        """The columns of the n-grams of characters in each token, repeated as often as it has them; None without."""
        if self.characters_ is None:
            return None
        assert rows.spelling is not None
        of_steps = self.characters_.of_steps(rows.spelling.ids, rows.spelling.new_tokens)
        return Ragged(of_steps.values + np.int32(len(self._selected_ngrams)), of_steps.lengths)

    def blocks(self, rows: TokenRows) -> Iterator[TokenRows]:
        """Split the rows into blocks whose features fit into memory."""
        for start, stop in rows.ids.block_limits(_MAX_BLOCK_TOKENS, _MAX_BLOCK_ROWS):
            yield rows if stop - start == len(rows.ids) else rows.slice_rows(start, stop)

    @property
    def n_features_out(self) -> int:
        """The number of features."""
        return len(self.idf_)

    def names(self) -> list[str]:
        """The name of each feature: an n-gram of tokens, or an n-gram of characters in quotes."""
        tokens, separator = self.token_names or TokenNames([str(id_) for id_ in range(self.ngrams.vocab_size)], " ")
        ngram_names = [
            separator.join(tokens[token_id] for token_id in ngram)
            for ngrams in self.ngrams.as_token_ids()[: self.n_orders]
            for ngram in ngrams
        ]
        names = [ngram_names[column] for column in self._selected_ngrams]
        if self.characters_ is not None:
            names += [repr(name) for name in self.characters_.names_]
        return names

    def to_state(self) -> State:
        """The state to save, without the n-grams, which are saved separately, and the names of tokens."""
        return {
            "n_orders": self.n_orders,
            "is_kept": self._is_selected,
            "idf": self.idf_,
            "characters": None if self.characters_ is None else self.characters_.to_state(),
        }

    @classmethod
    def from_state(cls, saved: Saved, ngrams: NGrams, names: TokenNames | None) -> "TokenFeatures":
        """Restore the features, for these n-grams and names."""
        saved.require(names is None or len(names.tokens) == ngrams.vocab_size, "there is not one name for each token")
        n_orders = saved.integer("n_orders", low=1, high=ngrams.n_orders)
        features = cls(ngrams, n_orders, names, max_features=0)
        features._select_ngrams(saved.array("is_kept", bool, (sum(ngrams.sizes[:n_orders]),)))
        if saved.value("characters") is not None:
            saved.require(names is not None, "there are n-grams of characters of tokens without names")
            features.characters_ = saved.part(
                "characters", lambda state: CharacterNGrams.from_state(state, ngrams.vocab_size)
            )
            assert names is not None
            # Otherwise a manipulated file could make ordinary texts take any amount of memory.
            lengths = np.fromiter(map(len, names.tokens), dtype=np.int64, count=ngrams.vocab_size) + 2
            is_possible = features.characters_.of_tokens_.lengths <= (MAX_LENGTH - MIN_LENGTH + 1) * lengths
            saved.require(bool(is_possible.all()), "a token has more n-grams of characters than its length allows")
        n_characters = 0 if features.characters_ is None else len(features.characters_.names_)
        features.idf_ = saved.array("idf", np.float32, (len(features._selected_ngrams) + n_characters,))
        return features

    def _select_ngrams(self, is_selected: NDArray[np.bool_]) -> None:
        """Make the selected n-grams of tokens the features; `is_selected` is in the order of n, then of ids."""
        self._is_selected, self._selected_ngrams = is_selected, np.flatnonzero(is_selected)
        self._id_offsets = np.cumsum([0, *self.ngrams.sizes[: self.n_orders]])[:-1].astype(np.int32)
        column = np.where(is_selected, np.cumsum(is_selected, dtype=np.int32) - 1, -1)
        self._column = np.concatenate([[-1], column]).astype(np.int32)

    def _fit_characters(self, rows: TokenRows) -> SparseRows | None:
        """Select the n-grams of characters, and return their counts; None if there are no such features."""
        if self.token_names is None or rows.spelling is None:
            return None
        tokens, new_tokens = ["", "", *self.token_names.tokens[2:]], rows.spelling.new_tokens
        spelled_rows = Ragged(rows.spelling.ids, rows.ids.lengths)
        counts = count_entries(spelled_rows, self.ngrams.vocab_size + len(new_tokens))
        too_many = max_entries(counts, [*tokens, *new_tokens]) > _MAX_CHARACTER_ENTRIES
        if too_many or not any(map(str.strip, tokens)):
            return None
        self.characters_ = CharacterNGrams(tokens)
        counts = self.characters_.count(spelled_rows, new_tokens)
        selected = frequent_columns(counts, _MIN_ROWS, self.max_features)
        self.characters_.select(selected)
        return counts.select(selected)

    def _token_counts(self, rows: TokenRows) -> SparseRows:
        """The count of each selected n-gram of tokens in each row."""
        columns = self.ngram_columns(rows)
        entries = np.stack(columns, axis=1).ravel() if len(columns) > 1 else columns[0]
        return count_entries(Ragged(entries, rows.ids.lengths * len(columns)), len(self._selected_ngrams))


def frequent_columns(counts: SparseRows, min_rows: int, limit: int) -> NDArray[np.int64]:
    """The columns that at least `min_rows` rows have, in ascending order; if more than `limit`, the most frequent."""
    n_rows = np.bincount(counts.columns, minlength=counts.n_columns)
    order = np.argsort(-n_rows, kind="stable")[:limit]
    return np.sort(order[n_rows[order] >= min_rows])


def inverse_frequencies(counts: SparseRows) -> NDArray[np.float32]:
    """The inverse document frequency of each column: log((1 + n) / (1 + m)) + 1 if m of n rows have it."""
    n_rows = np.bincount(counts.columns, minlength=counts.n_columns)
    return (np.log((1 + len(counts)) / (1 + n_rows)) + 1).astype(np.float32)


def tf_idf(counts: SparseRows, idf: NDArray[np.float32]) -> SparseRows:
    """Sublinear TF-IDF of counts; each row that is not empty has length 1."""
    weights = (1 + np.log(counts.values)) * idf[counts.columns]
    filled = np.flatnonzero(counts.lengths)
    if len(filled):
        norms = np.sqrt(np.add.reduceat(weights * weights, counts.offsets[filled]))
        weights /= np.repeat(norms, counts.lengths[filled])
    return replace(counts, values=weights)
