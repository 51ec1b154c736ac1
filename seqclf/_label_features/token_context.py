"""What a linear model knows of a token among its neighbours: the usual features of taggers.

Of the token itself: its spelling, its spelling in lower case, its shape (runs of capitals, small letters and digits),
and its beginnings and ends of up to four characters. Of the tokens next to it: lower case, the last three characters,
shape. Of those one further away: lower case. And the pairs that it makes with the tokens next to it. (The features are
those of Ratnaparkhi 1996, with shapes as in Collins 2002.) A token without a spelling, an id, has its number alone.

Features that fewer than two tokens of the training rows have are left out. Rows have a length of 1.

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
from seqclf._label_features.sparse_rows import SparseRows, side_by_side
from seqclf._saved import Saved, State

_LONGEST_AFFIX = 4
_MIN_TOKENS = 2
# The largest number of tokens whose features are made at once in prediction.
_MAX_AT_ONCE = 100_000


class SpelledTokens(NamedTuple):
    """Sequences of tokens.

    Parameters
    ----------
    ids : Ragged
        The number of each token.
    names : sequence of str or None
        What each number is called; None where that is the number itself.
    spelled : bool
        Whether names are spellings, which say more of a token than which one it is.
    """

    ids: Ragged
    names: Sequence[str] | None
    spelled: bool


def own(token: str) -> list[str]:
    """What is known of the token itself."""
    small = token.lower()
    sizes = range(1, min(_LONGEST_AFFIX, len(small) - 1) + 1)
    starts, ends = [f"starts {small[:n]}" for n in sizes], [f"ends {small[-n:]}" for n in sizes]
    return [f"is {token}", f"lower {small}", f"shape {shape(token)}", *starts, *ends]


def near(token: str) -> list[str]:
    """What is known of a token next to it."""
    small = token.lower()
    return [f"lower {small}", f"ends {small[-3:]}", f"shape {shape(token)}"]


def far(token: str) -> list[str]:
    """What is known of a token that is one further away."""
    return [f"lower {token.lower()}"]


def unspelled(token: str) -> list[str]:
    """What is known of a token that is an id, at any place."""
    return [f"is {token}"]


def shape(token: str) -> str:
    """X for a run of capitals, x of other letters, 0 of digits; other characters as they are."""
    kinds = ["0" if c.isdigit() else ("X" if c.isupper() else "x") if c.isalpha() else c for c in token]
    return "".join(kind for kind, _ in groupby(kinds))


# The places next to a token, with what is known of each.
_PLACES: tuple[tuple[int, str, Callable[[str], list[str]]], ...] = (
    (0, "", own),
    (-1, "before: ", near),
    (1, "after: ", near),
    (-2, "two before: ", far),
    (2, "two after: ", far),
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
        """Learn the features of training rows; gives those of the same rows."""
        tokens, number = self._distinct(rows)
        self._spelled = rows.spelled
        self._tables = []
        for distance, _, known in _PLACES:
            counts = np.bincount(_at(rows.ids, number, distance, len(tokens)), minlength=len(tokens) + 1)[:-1]
            self._tables.append(_Table.learn(known if rows.spelled else unspelled, tokens, counts))
        self._small = {token: i for i, token in enumerate(dict.fromkeys(map(str.lower, tokens)))}
        keys, counts = np.unique(self._pairs(rows.ids, tokens, number), return_counts=True)
        self._known_pairs = keys[(counts >= _MIN_TOKENS) & (keys >= 0)]
        return self._matrix(rows.ids, tokens, number)

    def transform(self, rows: SpelledTokens) -> SparseRows:
        """The features of other rows."""
        return self._matrix(rows.ids, *self._distinct(rows))

    def blocks(self, rows: SpelledTokens) -> Iterator[SpelledTokens]:
        """The rows in parts, whose features fit into memory."""
        part = np.cumsum(rows.ids.lengths) // _MAX_AT_ONCE
        for one in np.unique(part):
            yield rows._replace(ids=rows.ids.take(np.flatnonzero(part == one)))

    @property
    def n_features_out(self) -> int:
        """How many features there are."""
        return sum(len(table.names) for table in self._tables) + 2 * len(self._known_pairs)

    def names(self) -> list[str]:
        """What each feature is."""
        names = [
            place + name for (_, place, _), table in zip(_PLACES, self._tables, strict=True) for name in table.names
        ]
        small = list(self._small)
        pairs = [f"{small[key // len(small)]} {small[key % len(small)]}" for key in self._known_pairs.tolist()]
        return [
            *names,
            *(f"pair with the token before: {pair}" for pair in pairs),
            *(f"pair with the token after: {pair}" for pair in pairs),
        ]

    def to_state(self) -> State:
        """What is saved."""
        return {
            "spelled": self._spelled,
            "tables": [{"names": table.names} for table in self._tables],
            "small": list(self._small),
            "pairs": self._known_pairs,
        }

    @classmethod
    def from_state(cls, saved: Saved) -> "TokenContext":
        """The same features."""
        context = cls()
        context._spelled = saved.boolean("spelled")
        names = saved.parts("tables", lambda part: part.texts("names"))
        saved.require(len(names) == len(_PLACES), "there is not one table for each place")
        saved.require(all(len(set(each)) == len(each) for each in names), "a feature has two columns")
        context._tables = [
            _Table(known if context._spelled else unspelled, each)
            for (_, _, known), each in zip(_PLACES, names, strict=True)
        ]
        small = saved.texts("small")
        context._small = {token: i for i, token in enumerate(small)}
        saved.require(len(context._small) == len(small), "a token is there twice")
        context._known_pairs = saved.array("pairs", np.int64, (None,), low=0, high=len(small) ** 2 - 1)
        saved.require(bool((np.diff(context._known_pairs) > 0).all()), "pairs are not in order")
        return context

    @staticmethod
    def _distinct(rows: SpelledTokens) -> tuple[list[str], NDArray[np.int64]]:
        """The different tokens, and which of them each token is."""
        distinct, number = np.unique(rows.ids.values, return_inverse=True)
        tokens = [str(one) if rows.names is None else rows.names[one] for one in distinct.tolist()]
        return tokens, number

    def _pairs(self, ids: Ragged, tokens: list[str], number: NDArray[np.int64]) -> NDArray[np.int64]:
        """The key of each token with the one after it; -1 where there is none, or one that was not in training."""
        known = np.array([*(self._small.get(token.lower(), -1) for token in tokens), -1], dtype=np.int64)
        first, second = known[number], known[_at(ids, number, 1, len(tokens))]
        return np.where((first >= 0) & (second >= 0), first * len(self._small) + second, -1)

    def _matrix(self, ids: Ragged, tokens: list[str], number: NDArray[np.int64]) -> SparseRows:
        parts = [
            table.of(tokens)[_at(ids, number, distance, len(tokens))]
            for table, (distance, _, _) in zip(self._tables, _PLACES, strict=True)
        ]
        keys = self._pairs(ids, tokens, number)
        before = np.full(len(keys), -1)
        before[1:] = keys[:-1]  # The last token of a sequence has no pair.
        features = side_by_side([*parts, self._of_pairs(before), self._of_pairs(keys)])
        lengths = features.lengths
        values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
        return replace(features, values=values)

    def _of_pairs(self, keys: NDArray[np.int64]) -> SparseRows:
        place = np.searchsorted(self._known_pairs, keys)
        found = np.zeros(len(keys), dtype=bool)
        if len(self._known_pairs):
            found = self._known_pairs.take(place, mode="clip") == keys
        columns = place[found].astype(np.int32)
        ones = np.ones(len(columns), dtype=np.float32)
        return SparseRows(found.astype(np.int64), columns, ones, len(self._known_pairs))


def _at(ids: Ragged, number: NDArray[np.int64], distance: int, none: int) -> NDArray[np.int64]:
    """The token at a distance from each token; `none` where the sequence has no such place."""
    place = np.arange(len(number)) + distance
    row = np.repeat(np.arange(len(ids)), ids.lengths)
    inside = (place >= ids.offsets[:-1][row]) & (place < ids.offsets[1:][row])
    found = np.full(len(number), none)
    found[inside] = number[place[inside]]
    return found


class _Table:
    """What is known of tokens at one place, a row for each of them; `names` are the columns."""

    def __init__(self, known: Callable[[str], list[str]], names: list[str]):
        self._known, self.names = known, names
        self._column = {name: number for number, name in enumerate(names)}

    @classmethod
    def learn(cls, known: Callable[[str], list[str]], tokens: list[str], counts: NDArray[np.int64]) -> "_Table":
        """The columns of what enough tokens have, from how often each is at the place."""
        n_tokens: dict[str, int] = {}
        for token, count in zip(tokens, counts.tolist(), strict=True):
            for name in set(known(token)):
                n_tokens[name] = n_tokens.get(name, 0) + count
        return cls(known, sorted(name for name, n in n_tokens.items() if n >= _MIN_TOKENS))

    def of(self, tokens: list[str]) -> SparseRows:
        """The rows of tokens, and one without an entry."""
        column = self._column
        items = [sorted({column[name] for name in self._known(token) if name in column}) for token in tokens]
        lengths = np.array([*map(len, items), 0], dtype=np.int64)
        columns = np.array([number for item in items for number in item], dtype=np.int32)
        return SparseRows(lengths, columns, np.ones(len(columns), dtype=np.float32), len(self.names))
