"""Counts of the character n-grams inside tokens."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._label_features.entry_counts import count_parts
from seqclf._label_features.sparse_rows import SparseRows
from seqclf._saved import Saved, State

# From endings of two characters to stems of five; whole words are features already.
SHORTEST, LONGEST = 2, 5


def n_entries(rows: SparseRows, tokens: Sequence[str]) -> int:
    """At most so many entries have the counts of n-grams of rows that hold these tokens, (n_rows, n_tokens)."""
    lengths = np.array([len(token) + 2 for token in tokens])
    of_tokens = sum(np.maximum(lengths - n + 1, 0) for n in range(SHORTEST, LONGEST + 1))
    return int(np.asarray(of_tokens)[rows.columns].sum())


def ngrams_of(token: str) -> list[str]:
    """The n-grams of each word of a token, which has one word unless there is white space in it.

    They are those of scikit-learn's ``CountVectorizer(analyzer="char_wb")``.
    """
    found = []
    for word in token.split():
        padded = f" {word} "
        for n in range(SHORTEST, min(LONGEST, len(padded)) + 1):
            found += [padded[start : start + n] for start in range(len(padded) - n + 1)]
    return found


class CharacterNGrams:
    """The n-grams of 2 to 5 characters of tokens, with a space before and after each token.

    How often a row holds an n-gram is a sum over its tokens. So the n-grams of known tokens are looked for once.

    Parameters
    ----------
    tokens : sequence of str
        The tokens whose n-grams are learned; those of other tokens are passed over.

    Attributes
    ----------
    names_ : list of str
        The n-grams, in the order of the columns: that of their characters' numbers.
    of_tokens_ : Ragged of int32
        The n-grams of each token by their columns, each as often as the token has it.

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
        found: defaultdict[str, int] = defaultdict()
        found.default_factory = found.__len__
        items = [[found[name] for name in ngrams_of(token)] for token in tokens]
        self.names_ = sorted(found)
        column = np.empty(len(found), dtype=np.int32)
        column[[found[name] for name in self.names_]] = np.arange(len(found))
        self.of_tokens_ = _ragged(items)
        self.of_tokens_ = Ragged(column[self.of_tokens_.values], self.of_tokens_.lengths)
        self._column = {name: number for number, name in enumerate(self.names_)}

    def keep(self, columns: NDArray[np.int64]) -> None:
        """Forget all n-grams but those of these columns, in rising order."""
        column = np.full(len(self.names_), -1, dtype=np.int32)
        column[columns] = np.arange(len(columns))
        found = column[self.of_tokens_.values]
        kept = np.flatnonzero(found >= 0)
        lengths = np.diff(np.searchsorted(kept, self.of_tokens_.offsets))
        self.names_, self.of_tokens_ = [self.names_[one] for one in columns.tolist()], Ragged(found[kept], lengths)
        self._column = {name: number for number, name in enumerate(self.names_)}

    def count(self, rows: Ragged, new_tokens: Sequence[str] = ()) -> SparseRows:
        """How often rows hold each n-gram.

        Parameters
        ----------
        rows : Ragged of int32
            The numbers of their tokens: those that the n-grams were learned from, then those of `new_tokens`.
        new_tokens : sequence of str
            Other tokens.
        """
        column = self._column.get
        items = [[one for one in map(column, ngrams_of(token)) if one is not None] for token in new_tokens]
        return count_parts(rows, len(self.names_), self.of_tokens_, _ragged(items))

    def to_state(self) -> State:
        """What is saved: the n-grams, and which of them each token has."""
        lengths = self.of_tokens_.lengths.astype(np.int32)
        return {"names": self.names_, "lengths": lengths, "columns": self.of_tokens_.values}

    @classmethod
    def from_state(cls, saved: Saved, n_tokens: int) -> "CharacterNGrams":
        """The n-grams of so many tokens."""
        ngrams = cls([])
        ngrams.names_ = saved.texts("names")
        ngrams._column = {name: number for number, name in enumerate(ngrams.names_)}
        saved.require(len(ngrams._column) == len(ngrams.names_), "an n-gram has two columns")
        columns = saved.array("columns", np.int32, (None,), low=0, high=len(ngrams.names_) - 1)
        lengths = saved.array("lengths", np.int32, (n_tokens,), low=0).astype(np.int64)
        saved.require(int(lengths.sum()) == len(columns), "the lengths do not add up to the number of columns")
        ngrams.of_tokens_ = Ragged(columns, lengths)
        return ngrams


def _ragged(items: list[list[int]]) -> Ragged:
    lengths = np.fromiter(map(len, items), dtype=np.int64, count=len(items))
    values: list[Any] = [number for item in items for number in item]
    return Ragged(np.array(values, dtype=np.int32), lengths)
