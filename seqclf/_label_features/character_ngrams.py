"""Counts of the character n-grams inside tokens."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from sklearn.feature_extraction.text import CountVectorizer

# From endings of two characters to stems of five; whole words are features already.
SHORTEST, LONGEST = 2, 5


def n_entries(rows: csr_array, tokens: Sequence[str]) -> int:
    """At most so many entries have the counts of n-grams of rows that hold these tokens, (n_rows, n_tokens)."""
    lengths = np.array([len(token) + 2 for token in tokens])
    of_tokens = sum(np.maximum(lengths - n + 1, 0) for n in range(SHORTEST, LONGEST + 1))
    return int(np.asarray(of_tokens)[rows.indices].sum())


class CharacterNGrams:
    """The n-grams of 2 to 5 characters of tokens, with a space before and after each token.

    How often a row holds an n-gram is a sum over its tokens. So the n-grams of a token are counted once, and those of
    rows are a product of two sparse matrices.

    Parameters
    ----------
    tokens : sequence of str
        The tokens whose n-grams are learned; those of other tokens are passed over.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> ngrams = CharacterNGrams(["in", "inn"])
    >>> ngrams.names().tolist()
    [' i', ' in', ' in ', ' inn', ' inn ', 'in', 'in ', 'inn', 'inn ', 'n ', 'nn', 'nn ']
    >>> rows = csr_array(np.array([[0, 2, 1]], dtype=np.float32))
    >>> ngrams.count(rows, new_tokens=["tin"]).toarray()
    array([[2., 2., 0., 2., 2., 3., 1., 2., 2., 3., 2., 2.]], dtype=float32)
    """

    def __init__(self, tokens: Sequence[str]):
        self._vectorizer = CountVectorizer(
            analyzer="char_wb", ngram_range=(SHORTEST, LONGEST), lowercase=False, dtype=np.float32
        )
        self.of_tokens = csr_array(self._vectorizer.fit_transform(tokens))

    def names(self) -> NDArray[Any]:
        """The n-grams, in the order of the columns."""
        names: NDArray[Any] = self._vectorizer.get_feature_names_out()
        return names

    def count(self, rows: csr_array, new_tokens: Sequence[str] = ()) -> csr_array:
        """How often rows hold each n-gram.

        Parameters
        ----------
        rows : csr_array of shape (n_rows, n_tokens + n_new_tokens)
            How often they hold each token.
        new_tokens : sequence of str
            The tokens behind those that the n-grams were learned from.
        """
        counts = csr_array(rows @ self._table(new_tokens))
        counts.sort_indices()  # Their order would depend on the other rows.
        return counts

    def _table(self, new_tokens: Sequence[str]) -> csr_array:
        """How often each token holds each n-gram."""
        if not len(new_tokens):
            return self.of_tokens
        return csr_array(vstack([self.of_tokens, csr_array(self._vectorizer.transform(new_tokens))], format="csr"))
