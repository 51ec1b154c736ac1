"""Numbers for the n-grams of token ids, and the rows that hold them. It knows nothing of labels.

An n-gram is a token with the n - 1 tokens before it. Those that enough rows hold are numbered from 1, for each n apart,
in the order of the ids; where they are asked for, those in a single row follow; 0 is the number of all others.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._saved import Saved, State

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Enough rows: an n-gram of one row is unknown to the model that has not seen its fold.
_MIN_ROWS = 2
# With more n-grams than this, those in a single row have no number: a model of 25,000 reviews stays below 30 MB.
_MAX_RARE = 2**19
# The number of an n-gram that was not learned.
_NEVER = 0
# Which n-grams have a number, and which of them are behind the others.
_NONE, _FREQUENT, _RARE = 0, 1, 2


class Holders(NamedTuple):
    """Which rows hold which n-gram of one length, of those that enough rows hold.

    Parameters
    ----------
    kept : csr_array of shape (n_ngrams, n_rows), bool
        By the numbers of the n-grams; no row holds number 0.
    n_all : int
        How many n-grams there are: all token ids; of pairs and longer ones those with a number, and one without.
    others : ndarray of shape (n_rows,)
        How many of them without a number each row holds.
    """

    kept: "csr_array"
    n_all: int
    others: NDArray[np.int64]


class LongerNGrams(NamedTuple):
    """The n-grams of one length, two or more, that have a number.

    Parameters
    ----------
    keys : ndarray of shape (n_ngrams,), int64
        The number of the n-gram one shorter that the last token follows, times the number of token ids, plus that
        token; in rising order.
    numbers : ndarray of shape (n_ngrams,), int32
    """

    keys: NDArray[np.int64]
    numbers: NDArray[np.int32]


class NGrams:
    """The numbers of the n-grams of training rows, for every n up to `n_orders`.

    Parameters
    ----------
    n_orders : int
        The longest n-grams: 1 for single tokens, 2 for tokens and pairs, and so on.
    vocab_size : int
        Number of token ids.
    n_rare : int, default=0
        Up to this n those n-grams have numbers too that only one row holds, where there are at most 2**19 of them.

    Attributes
    ----------
    of_tokens_ : ndarray of shape (vocab_size,), int32
        The number of each token id.
    of_longer_ : tuple of LongerNGrams
        The numbers of the others, for n = 2 and more.
    n_frequent_ : list of int
        For n = 1 and more how many n-grams with a number more than one row holds; the first numbers are theirs.

    Examples
    --------
    >>> from seqclf._data.ragged import Ragged
    >>> from seqclf._label_features.ngrams import NGrams
    >>> ngrams = NGrams(n_orders=2, vocab_size=9)
    >>> for numbers, holders in ngrams.learn(Ragged.from_items([[7, 4, 7], [4, 7], [5, 4, 4]]), limit=100):
    ...     print(numbers, holders.kept.toarray().astype(int).tolist())
    [2 1 2 1 2 0 1 1] [[0, 0, 0], [1, 1, 1], [1, 1, 0]]
    [0 0 1 0 1 0 0 0] [[0, 0, 0], [1, 1, 0]]
    >>> ngrams.numbers(Ragged.from_items([[4, 7, 4]]))
    [array([1, 2, 1], dtype=int32), array([0, 1, 0], dtype=int32)]
    """

    of_tokens_: NDArray[np.int32]
    of_longer_: tuple[LongerNGrams, ...]
    n_frequent_: list[int]

    def __init__(self, n_orders: int, vocab_size: int, n_rare: int = 0):
        self.n_orders, self.vocab_size, self.n_rare = n_orders, vocab_size, n_rare

    def learn(self, ids: Ragged, limit: int) -> Iterator[tuple[NDArray[np.int32], Holders]]:
        """Number the n-grams of rows; for n = 1 and more, the number at each step, and who holds which.

        At most `limit` of each n get a number: those in the most rows. N-grams in a single row are in no `Holders`.
        """
        row_of_step = np.repeat(np.arange(len(ids), dtype=np.int32), ids.lengths)
        holders = _matrix(ids.values, row_of_step, (self.vocab_size, len(ids)))
        kept = _frequent(np.diff(holders.indptr), limit)
        self.n_frequent_ = [int(np.count_nonzero(kept))]
        self.of_tokens_ = _numbers(_kinds(kept, np.diff(holders.indptr), limit, self.n_rare > 0))
        numbers, kept_holders = self.of_tokens_[ids.values], _with_none(holders, kept)
        per_row, kept_per_row = (np.bincount(found.indices, minlength=len(ids)) for found in (holders, kept_holders))
        yield numbers, Holders(kept_holders, self.vocab_size, per_row - kept_per_row)

        self.of_longer_ = ()
        nothing = np.zeros(len(ids), dtype=np.int64)
        for order in range(1, self.n_orders):
            # All n-grams that occur, numbered in the order of their keys; then those kept, in the same order.
            steps, keys = self._keys(ids, numbers)
            keys, of_all = np.unique(keys, return_inverse=True)
            holders = _matrix(of_all, row_of_step[steps], (len(keys), len(ids)))
            kept = _frequent(np.diff(holders.indptr), limit)
            self.n_frequent_.append(int(np.count_nonzero(kept)))
            kinds = _kinds(kept, np.diff(holders.indptr), limit, self.n_rare > order)
            number = _numbers(kinds)
            numbers = np.full(ids.n_steps, _NEVER, dtype=np.int32)
            numbers[steps] = number[of_all]
            self.of_longer_ += (LongerNGrams(keys[kinds != _NONE], number[kinds != _NONE]),)
            kept_holders = _with_none(holders, kept)
            yield numbers, Holders(kept_holders, kept_holders.shape[0], nothing)

    @property
    def sizes(self) -> list[int]:
        """For n = 1 and more how many n-grams have a number."""
        return [int(self.of_tokens_.max(initial=_NEVER)), *(len(found.keys) for found in self.of_longer_)]

    def spelled(self) -> list[list[tuple[int, ...]]]:
        """For n = 1 and more the n-grams in the order of their numbers, as tuples of token ids."""
        numbered = np.argsort(self.of_tokens_, kind="stable")[np.count_nonzero(self.of_tokens_ == _NEVER) :]
        shorter: list[tuple[int, ...]] = [(token,) for token in numbered.tolist()]
        orders = [shorter]
        for found in self.of_longer_:
            before, last = np.divmod(found.keys[np.argsort(found.numbers)], self.vocab_size)
            pairs = zip(before.tolist(), last.tolist(), strict=True)
            shorter = [(*shorter[number - 1], token) for number, token in pairs]
            orders.append(shorter)
        return orders

    def numbers(self, ids: Ragged) -> list[NDArray[np.int32]]:
        """For n = 1 and more the number of the n-gram that ends at each step."""
        columns = [self.of_tokens_[ids.values]]
        for found in self.of_longer_:
            steps, keys = self._keys(ids, columns[-1])
            numbers = np.full(ids.n_steps, _NEVER, dtype=np.int32)
            if len(found.keys):
                places = np.searchsorted(found.keys, keys)
                places[places == len(found.keys)] = 0
                numbers[steps] = np.where(found.keys[places] == keys, found.numbers[places], _NEVER)
            columns.append(numbers)
        return columns

    def _keys(self, ids: Ragged, shorter: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The steps before which one of the `shorter` n-grams ends, and the key of it with the token at the step."""
        continued = np.ones(ids.n_steps, dtype=bool)
        continued[ids.offsets[:-1][ids.lengths > 0]] = False
        continued[1:] &= shorter[:-1] != _NEVER
        steps = np.flatnonzero(continued)
        return steps, shorter[steps - 1].astype(np.int64) * self.vocab_size + ids.values[steps]

    def to_state(self) -> State:
        """What is saved: which n-grams there are, and which of them have the numbers behind the others.

        Their numbers follow from that.
        """
        longer = []
        sizes = zip(self.of_longer_, self.sizes[:-1], self.n_frequent_[1:], strict=True)
        for found, n_shorter, n_frequent in sizes:
            before, last = np.divmod(found.keys, self.vocab_size)
            n_following = np.bincount(before, minlength=n_shorter + 1).astype(np.int32)
            kinds = _kinds_of(found.numbers, n_frequent)
            longer.append({"kinds": kinds, "n_following": n_following, "last": last.astype(np.int32)})
        return {"tokens": _kinds_of(self.of_tokens_, self.n_frequent_[0]), "longer": longer}

    @classmethod
    def from_state(cls, saved: Saved) -> "NGrams":
        """The same n-grams."""
        kinds = saved.array("tokens", np.uint8, (None,), high=_RARE)
        saved.require(len(kinds) > 0, "there are no tokens")
        ngrams = cls(1, len(kinds))
        ngrams.of_tokens_, ngrams.of_longer_ = _numbers(kinds), ()
        ngrams.n_frequent_ = [int(np.count_nonzero(kinds == _FREQUENT))]
        for part in saved.parts("longer", lambda part: part):
            found, n_frequent = _read_longer(part, ngrams.sizes[-1], ngrams.vocab_size)
            ngrams.of_longer_ += (found,)
            ngrams.n_frequent_.append(n_frequent)
            ngrams.n_orders += 1
        return ngrams


def _read_longer(saved: Saved, n_shorter: int, vocab_size: int) -> tuple[LongerNGrams, int]:
    """N-grams whose last token follows one of so many shorter ones, and how many are frequent."""
    last = saved.array("last", np.int32, (None,), low=0, high=vocab_size - 1)
    kinds = saved.array("kinds", np.uint8, (len(last),), low=_FREQUENT, high=_RARE)
    n_following = saved.array("n_following", np.int32, (n_shorter + 1,), low=0, high=len(last))
    saved.require(int(n_following.sum()) == len(last), "n_following does not add up to the number of n-grams")
    saved.require(n_following[0] == 0, "a token follows an n-gram without a number")
    keys = np.repeat(np.arange(n_shorter + 1) * vocab_size, n_following) + last
    saved.require(bool((np.diff(keys) > 0).all()), "n-grams are not in order")
    return LongerNGrams(keys, _numbers(kinds)), int(np.count_nonzero(kinds == _FREQUENT))


def entries_of(numbers: Sequence[NDArray[np.int32]], tables: Sequence[NDArray[np.float32]]) -> NDArray[np.int32]:
    """Where each step looks up what is learned of its n-grams, (n_steps, n_orders); 0 for those in a single row."""
    columns = [np.where(each < table.shape[1], each, 0) for each, table in zip(numbers, tables, strict=True)]
    return np.stack(columns, axis=1).astype(np.int32, copy=False)


def _matrix(rows: NDArray[np.integer], columns: NDArray[np.integer], shape: tuple[int, int]) -> "csr_array":
    """True where a pair occurs: scipy brings them in order in linear time, and drops those that occur again."""
    from scipy.sparse import coo_array

    return coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=shape).tocsr()


def _with_none(holders: "csr_array", kept: NDArray[np.bool_]) -> "csr_array":
    """The rows that are kept, after one without an entry."""
    from scipy.sparse import csr_array

    taken = holders[np.flatnonzero(kept)]
    indptr = np.concatenate([taken.indptr[:1], taken.indptr])
    return csr_array((taken.data, taken.indices, indptr), shape=(len(indptr) - 1, holders.shape[1]))


def _frequent(n_rows: NDArray[np.int64], limit: int) -> NDArray[np.bool_]:
    """Which n-grams are in enough rows; at most `limit`, those in the most rows."""
    kept = n_rows >= _MIN_ROWS
    if np.count_nonzero(kept) > limit:
        kept = np.zeros(len(n_rows), dtype=bool)
        kept[np.argsort(-n_rows, kind="stable")[:limit]] = True
    return kept


def _kinds(frequent: NDArray[np.bool_], n_rows: NDArray[np.int64], limit: int, rare: bool) -> NDArray[np.uint8]:
    """Which n-grams have a number: the frequent ones, and those in a single row where these are to have any."""
    kinds = np.where(frequent, _FREQUENT, _NONE).astype(np.uint8)
    in_one_row = (n_rows > 0) & (n_rows < _MIN_ROWS)
    if rare and np.count_nonzero(frequent) < limit and np.count_nonzero(in_one_row) <= _MAX_RARE:
        kinds[in_one_row] = _RARE
    return kinds


def _numbers(kinds: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The numbers of n-grams: of the frequent ones from 1 on, and behind them of the rare ones, if these have any."""
    n_frequent, numbers = np.count_nonzero(kinds == _FREQUENT), np.full(len(kinds), _NEVER, dtype=np.int32)
    numbers[kinds == _FREQUENT] = np.arange(1, 1 + n_frequent)
    numbers[kinds == _RARE] = np.arange(1 + n_frequent, 1 + np.count_nonzero(kinds))
    return numbers


def _kinds_of(numbers: NDArray[np.int32], n_frequent: int) -> NDArray[np.uint8]:
    """The kinds of n-grams with these numbers."""
    return np.where(numbers == _NEVER, _NONE, np.where(numbers <= n_frequent, _FREQUENT, _RARE)).astype(np.uint8)
