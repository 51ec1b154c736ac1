"""Features of a token and its neighbours for a linear model, as is usual in taggers.

The features of a token are its spelling, its lower-case form, its shape (runs of capitals, small letters and digits),
and its prefixes and suffixes of up to four characters. The features of the two adjacent tokens are the lower-case form,
the last three characters and the shape; of the tokens at distance two, only the lower-case form. The pairs of the token
and each adjacent one are features too. (These are the features of Ratnaparkhi 1996, with shapes as in Collins 2002.)
The only feature of a token without a spelling is its id.

Features of fewer than two training tokens are left out. Each row is scaled to length 1.

References
----------
A. Ratnaparkhi, "A maximum entropy model for part-of-speech tagging", EMNLP 1996.
M. Collins, "Ranking algorithms for named-entity extraction: boosting and the voted perceptron", ACL 2002.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._label_features.sparse_rows import SparseRows, stack_columns
from seqclf._saved import Saved, State

_MAX_AFFIX_LENGTH = 4
_MIN_TOKENS = 2
# The largest number of tokens whose features are computed at once in prediction.
_MAX_AT_ONCE = 100_000


class SpelledTokens(NamedTuple):
    """Sequences of tokens.

    Parameters
    ----------
    ids : Ragged
        The token ids.
    names : sequence of str or None
        The name of each id; None if ids have no other names.
    spelled : bool
        Whether names are spellings, from which features can be derived.
    """

    ids: Ragged
    names: Sequence[str] | None
    spelled: bool


def features_of_token(token: str) -> list[str]:
    """The features of the token itself."""
    lower = token.lower()
    lengths = range(1, min(_MAX_AFFIX_LENGTH, len(lower) - 1) + 1)
    prefixes, suffixes = [f"starts {lower[:n]}" for n in lengths], [f"ends {lower[-n:]}" for n in lengths]
    return [f"is {token}", f"lower {lower}", f"shape {shape(token)}", *prefixes, *suffixes]


def features_of_neighbour(token: str) -> list[str]:
    """The features of an adjacent token."""
    lower = token.lower()
    return [f"lower {lower}", f"ends {lower[-3:]}", f"shape {shape(token)}"]


def features_of_second_neighbour(token: str) -> list[str]:
    """The features of a token at distance two."""
    return [f"lower {token.lower()}"]


def features_of_id(token: str) -> list[str]:
    """The features of a token without a spelling, at any position."""
    return [f"is {token}"]


def shape(token: str) -> str:
    """Replace each run of capitals by X, of other letters by x and of digits by 0; other runs become one character."""
    kinds = ["0" if c.isdigit() else ("X" if c.isupper() else "x") if c.isalpha() else c for c in token]
    return "".join(kind for kind, _ in groupby(kinds))


# The positions around a token: the distance, the prefix of feature names, and the features.
_POSITIONS: tuple[tuple[int, str, Callable[[str], list[str]]], ...] = (
    (0, "", features_of_token),
    (-1, "before: ", features_of_neighbour),
    (1, "after: ", features_of_neighbour),
    (-2, "two before: ", features_of_second_neighbour),
    (2, "two after: ", features_of_second_neighbour),
)


class TokenContext:
    """Features of tokens, (n_tokens, n_features).

    Examples
    --------
    >>> from seqclf._data.ragged import Ragged
    >>> rows = SpelledTokens(Ragged.from_items([[0, 1], [0, 2]]), ["Ann", "ran", "sat"], True)
    >>> context = TokenContext()
    >>> context.fit_transform(rows).shape
    (4, 12)
    >>> context.names()[:4]
    ['ends n', 'ends nn', 'is Ann', 'lower ann']
    """

    def fit_transform(self, rows: SpelledTokens) -> SparseRows:
        """Choose the features of training rows, and return them for the same rows."""
        tokens, index = self._distinct(rows)
        self._spelled = rows.spelled
        self._tables = []
        for distance, _, features_of in _POSITIONS:
            counts = np.bincount(_neighbours(rows.ids, index, distance, len(tokens)), minlength=len(tokens) + 1)[:-1]
            self._tables.append(_FeatureTable.fit(features_of if rows.spelled else features_of_id, tokens, counts))
        self._lower_index = {token: i for i, token in enumerate(dict.fromkeys(map(str.lower, tokens)))}
        keys, counts = np.unique(self._pair_keys(rows.ids, tokens, index), return_counts=True)
        self._frequent_pairs = keys[(counts >= _MIN_TOKENS) & (keys >= 0)]
        return self._features(rows.ids, tokens, index)

    def transform(self, rows: SpelledTokens) -> SparseRows:
        """The features of other rows."""
        return self._features(rows.ids, *self._distinct(rows))

    def blocks(self, rows: SpelledTokens) -> Iterator[SpelledTokens]:
        """Split the rows into blocks whose features fit into memory."""
        block_of_row = np.cumsum(rows.ids.lengths) // _MAX_AT_ONCE
        for block in np.unique(block_of_row):
            yield rows._replace(ids=rows.ids.take(np.flatnonzero(block_of_row == block)))

    @property
    def n_features_out(self) -> int:
        """The number of features."""
        return sum(len(table.names) for table in self._tables) + 2 * len(self._frequent_pairs)

    @property
    def distances(self) -> NDArray[np.int64]:
        """How far the two tokens of each feature are from the token, (n_features, 2); equal for one token."""
        n_features = [*(len(table.names) for table in self._tables), *2 * [len(self._frequent_pairs)]]
        tokens = [*((distance, distance) for distance, _, _ in _POSITIONS), (-1, 0), (0, 1)]
        return np.repeat(np.array(tokens), n_features, axis=0)

    def names(self) -> list[str]:
        """The name of each feature."""
        names = [
            prefix + name
            for (_, prefix, _), table in zip(_POSITIONS, self._tables, strict=True)
            for name in table.names
        ]
        lower = list(self._lower_index)
        pairs = [f"{lower[key // len(lower)]} {lower[key % len(lower)]}" for key in self._frequent_pairs.tolist()]
        return [
            *names,
            *(f"pair with the token before: {pair}" for pair in pairs),
            *(f"pair with the token after: {pair}" for pair in pairs),
        ]

    def to_state(self) -> State:
        """The state to save."""
        return {
            "spelled": self._spelled,
            "tables": [{"names": table.names} for table in self._tables],
            "small": list(self._lower_index),
            "pairs": self._frequent_pairs,
        }

    @classmethod
    def from_state(cls, saved: Saved) -> "TokenContext":
        """Restore the features."""
        context = cls()
        context._spelled = saved.boolean("spelled")
        names = saved.parts("tables", lambda state: state.texts("names"))
        saved.require(len(names) == len(_POSITIONS), "there is not one table for each position")
        saved.require(all(len(set(columns)) == len(columns) for columns in names), "a feature has two columns")
        context._tables = [
            _FeatureTable(features_of if context._spelled else features_of_id, columns)
            for (_, _, features_of), columns in zip(_POSITIONS, names, strict=True)
        ]
        lower = saved.texts("small")
        context._lower_index = {token: i for i, token in enumerate(lower)}
        saved.require(len(context._lower_index) == len(lower), "a token occurs twice")
        context._frequent_pairs = saved.array("pairs", np.int64, (None,), low=0, high=len(lower) ** 2 - 1)
        saved.require(bool((np.diff(context._frequent_pairs) > 0).all()), "pairs are not in order")
        return context

    @staticmethod
    def _distinct(rows: SpelledTokens) -> tuple[list[str], NDArray[np.int64]]:
        """The distinct tokens, and the index of each token among them."""
        distinct, index = np.unique(rows.ids.values, return_inverse=True)
        tokens = [str(id_) if rows.names is None else rows.names[id_] for id_ in distinct.tolist()]
        return tokens, index

    def _pair_keys(self, ids: Ragged, tokens: list[str], index: NDArray[np.int64]) -> NDArray[np.int64]:
        """The key of each token and the one after it; -1 at the end of a row, and if one was not in training."""
        lower = np.array([*(self._lower_index.get(token.lower(), -1) for token in tokens), -1], dtype=np.int64)
        first, second = lower[index], lower[_neighbours(ids, index, 1, len(tokens))]
        return np.where((first >= 0) & (second >= 0), first * len(self._lower_index) + second, -1)

    def _features(self, ids: Ragged, tokens: list[str], index: NDArray[np.int64]) -> SparseRows:
        matrices = [
            table.transform(tokens)[_neighbours(ids, index, distance, len(tokens))]
            for table, (distance, _, _) in zip(self._tables, _POSITIONS, strict=True)
        ]
        keys = self._pair_keys(ids, tokens, index)
        keys_before = np.full(len(keys), -1)
        keys_before[1:] = keys[:-1]  # The key of the last token of a row is -1, so no pair spans two rows.
        features = stack_columns([*matrices, self._pair_features(keys_before), self._pair_features(keys)])
        lengths = features.lengths
        values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
        return replace(features, values=values)

    def _pair_features(self, keys: NDArray[np.int64]) -> SparseRows:
        position = np.searchsorted(self._frequent_pairs, keys)
        found = np.zeros(len(keys), dtype=bool)
        if len(self._frequent_pairs):
            found = self._frequent_pairs.take(position, mode="clip") == keys
        columns = position[found].astype(np.int32)
        ones = np.ones(len(columns), dtype=np.float32)
        return SparseRows(found.astype(np.int64), columns, ones, len(self._frequent_pairs))


def _neighbours(ids: Ragged, index: NDArray[np.int64], distance: int, missing: int) -> NDArray[np.int64]:
    """The index of the token at `distance` from each token; `missing` outside the row."""
    position = np.arange(len(index)) + distance
    row = np.repeat(np.arange(len(ids)), ids.lengths)
    inside = (position >= ids.offsets[:-1][row]) & (position < ids.offsets[1:][row])
    neighbour = np.full(len(index), missing)
    neighbour[inside] = index[position[inside]]
    return neighbour


class _FeatureTable:
    """The features of tokens at one position, as a matrix with a row for each token; `names` are the columns."""

    def __init__(self, features_of: Callable[[str], list[str]], names: list[str]):
        self._features_of, self.names = features_of, names
        self._column_of = {name: column for column, name in enumerate(names)}

    @classmethod
    def fit(
        cls, features_of: Callable[[str], list[str]], tokens: list[str], counts: NDArray[np.int64]
    ) -> "_FeatureTable":
        """Choose the features that occur often enough; `counts` is how often each token is at the position."""
        n_tokens: dict[str, int] = {}
        for token, count in zip(tokens, counts.tolist(), strict=True):
            for name in set(features_of(token)):
                n_tokens[name] = n_tokens.get(name, 0) + count
        return cls(features_of, sorted(name for name, n in n_tokens.items() if n >= _MIN_TOKENS))

    def transform(self, tokens: list[str]) -> SparseRows:
        """A row for each token, followed by an empty row."""
        column = self._column_of
        items = [sorted({column[name] for name in self._features_of(token) if name in column}) for token in tokens]
        lengths = np.array([*map(len, items), 0], dtype=np.int64)
        columns = np.array([column for item in items for column in item], dtype=np.int32)
        return SparseRows(lengths, columns, np.ones(len(columns), dtype=np.float32), len(self.names))
