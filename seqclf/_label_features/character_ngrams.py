"""Counts of the character n-grams inside tokens."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._label_features.entry_counts import count_expanded_entries
from seqclf._label_features.sparse_rows import SparseRows
from seqclf._saved import Saved, State

# From endings of two characters to stems of five. Whole words are features already.
MIN_LENGTH, MAX_LENGTH = 2, 5


def max_entries(rows: SparseRows, tokens: Sequence[str]) -> int:
    """The largest possible number of entries in the n-gram counts of these rows.

    `rows` holds the token counts of each row, (n_rows, n_tokens).
    """
    lengths = np.array([len(token) + 2 for token in tokens])
    per_token = sum(np.maximum(lengths - n + 1, 0) for n in range(MIN_LENGTH, MAX_LENGTH + 1))
    return int(np.asarray(per_token)[rows.columns].sum())


def char_wb_ngrams(token: str) -> list[str]:
    """The n-grams of each word of a token, as ``CountVectorizer(analyzer="char_wb")`` of scikit-learn finds them.

    A token is one word unless it contains white space.
    """
    found = []
    for word in token.split():
        padded = f" {word} "
        for n in range(MIN_LENGTH, min(MAX_LENGTH, len(padded)) + 1):
            found += [padded[start : start + n] for start in range(len(padded) - n + 1)]
    return found


class CharacterNGrams:
    """The n-grams of 2 to 5 characters of tokens, with a space before and after each token.

    The count of an n-gram in a row is a sum over the tokens of the row, so each fitted token is split only once.

    Parameters
    ----------
    tokens : sequence of str
        The tokens whose n-grams become columns. N-grams that occur only in other tokens are ignored.

    Attributes
    ----------
    names_ : list of str
        The n-grams in the order of the columns, sorted by code points.
    of_tokens_ : Ragged of int32
        The columns of the n-grams of each token, repeated as often as the token has the n-gram.

    Examples
    --------
    >>> from seqclf._data.ragged import Ragged
    >>> ngrams = CharacterNGrams(["in", "inn"])
    >>> ngrams.names_
    [' i', ' in', ' in ', ' inn', ' inn ', 'in', 'in ', 'inn', 'inn ', 'n ', 'nn', 'nn ']
    >>> ngrams.count(Ragged.from_items([[1, 1, 2]]), new_tokens=["tin"]).toarray()
    array([[2., 2., 0., 2., 2., 3., 1., 2., 2., 3., 2., 2.]], dtype=float32)
    """

    def __init__(self, tokens: Sequence[str]):
        order_found: defaultdict[str, int] = defaultdict()
        order_found.default_factory = order_found.__len__
        items = [[order_found[name] for name in char_wb_ngrams(token)] for token in tokens]
        self.names_ = sorted(order_found)
        column = np.empty(len(order_found), dtype=np.int32)
        column[[order_found[name] for name in self.names_]] = np.arange(len(order_found))
        self.of_tokens_ = _ragged(items)
        self.of_tokens_ = Ragged(column[self.of_tokens_.values], self.of_tokens_.lengths)
        self._column_of = {name: column for column, name in enumerate(self.names_)}

    def select(self, columns: NDArray[np.int64]) -> None:
        """Keep only the n-grams of these columns, which are in ascending order."""
        new_column = np.full(len(self.names_), -1, dtype=np.int32)
        new_column[columns] = np.arange(len(columns))
        found = new_column[self.of_tokens_.values]
        selected = np.flatnonzero(found >= 0)
        lengths = np.diff(np.searchsorted(selected, self.of_tokens_.offsets))
        self.of_tokens_ = Ragged(found[selected], lengths)
        self.names_ = [self.names_[column] for column in columns.tolist()]
        self._column_of = {name: column for column, name in enumerate(self.names_)}

    def count(self, rows: Ragged, new_tokens: Sequence[str] = ()) -> SparseRows:
        """Count each n-gram in each row.

        Parameters
        ----------
        rows : Ragged of int32
            Token indices: first those of the tokens of the constructor, then those of `new_tokens`.
        new_tokens : sequence of str
            Further tokens.
        """
        return count_expanded_entries(rows, len(self.names_), self.of_tokens_, self._of_new_tokens(new_tokens))

    def of_steps(self, ids: NDArray[np.int32], new_tokens: Sequence[str]) -> Ragged:
        """The columns of the n-grams of each token, repeated as often as it has them; `ids` as in :meth:`count`."""
        new = self._of_new_tokens(new_tokens)
        is_new = ids >= len(self.of_tokens_)
        items = self.of_tokens_.take(np.where(is_new, 0, ids)).items()
        items[is_new] = new.take(ids[is_new] - len(self.of_tokens_)).items()
        return Ragged.from_items(items, dtype=np.int32)

    def _of_new_tokens(self, tokens: Sequence[str]) -> Ragged:
        column = self._column_of.get
        return _ragged([[one for one in map(column, char_wb_ngrams(token)) if one is not None] for token in tokens])

    def to_state(self) -> State:
        """The state to save: the n-grams, and which of them each token has."""
        lengths = self.of_tokens_.lengths.astype(np.int32)
        return {"names": self.names_, "lengths": lengths, "columns": self.of_tokens_.values}

    @classmethod
    def from_state(cls, saved: Saved, n_tokens: int) -> "CharacterNGrams":
        """Restore the n-grams of `n_tokens` tokens."""
        ngrams = cls([])
        ngrams.names_ = saved.texts("names")
        ngrams._column_of = {name: column for column, name in enumerate(ngrams.names_)}
        saved.require(len(ngrams._column_of) == len(ngrams.names_), "an n-gram has two columns")
        columns = saved.array("columns", np.int32, (None,), low=0, high=len(ngrams.names_) - 1)
        lengths = saved.array("lengths", np.int32, (n_tokens,), low=0).astype(np.int64)
        saved.require(int(lengths.sum()) == len(columns), "the lengths do not add up to the number of columns")
        ngrams.of_tokens_ = Ragged(columns, lengths)
        return ngrams


def _ragged(items: list[list[int]]) -> Ragged:
    lengths = np.fromiter(map(len, items), dtype=np.int64, count=len(items))
    values: list[Any] = [value for item in items for value in item]
    return Ragged(np.array(values, dtype=np.int32), lengths)
