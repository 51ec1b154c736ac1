"""Numbers for the n-grams of token ids, and the rows that hold them. It knows nothing of labels.

An n-gram is a token with the n - 1 tokens before it. Those that enough rows hold are numbered from 1, for each n apart,
in the order of the ids; where they are asked for, those in a single row follow; 0 is the number of all others.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from seqclf._data.ragged import Ragged

# Enough rows: an n-gram of one row is unknown to the model that has not seen its fold.
_MIN_ROWS = 2
# With more n-grams than this, those in a single row have no number: a model of 25,000 reviews stays below 30 MB.
_MAX_RARE = 2**19
# The number of an n-gram that was not learned.
_NEVER = 0


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

    kept: csr_array
    n_all: int
    others: NDArray[np.int64]


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
    of_longer_ : tuple of csr_array of shape (n_shorter, vocab_size), int32
        For n = 2 and more the number of an n-gram by that of the n-gram one shorter that its last token follows, and by
        that token.

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
    of_longer_: tuple[csr_array, ...]

    def __init__(self, n_orders: int, vocab_size: int, n_rare: int = 0):
        self.n_orders, self.vocab_size, self.n_rare = n_orders, vocab_size, n_rare

    def learn(self, ids: Ragged, limit: int) -> Iterator[tuple[NDArray[np.int32], Holders]]:
        """Number the n-grams of rows; for n = 1 and more, the number at each step, and who holds which.

        At most `limit` of each n get a number: those in the most rows. N-grams in a single row are in no `Holders`.
        """
        row_of_step = np.repeat(np.arange(len(ids), dtype=np.int32), ids.lengths)
        holders = _matrix(ids.values, row_of_step, (self.vocab_size, len(ids)))
        kept = _frequent(np.diff(holders.indptr), limit)
        self.of_tokens_ = _numbers(kept, np.diff(holders.indptr), limit, self.n_rare > 0)
        numbers, kept_holders = self.of_tokens_[ids.values], _with_none(holders, kept)
        per_row, kept_per_row = (np.bincount(found.indices, minlength=len(ids)) for found in (holders, kept_holders))
        yield numbers, Holders(kept_holders, self.vocab_size, per_row - kept_per_row)

        self.of_longer_ = ()
        nothing = np.zeros(len(ids), dtype=np.int64)
        for order in range(1, self.n_orders):
            # All n-grams that occur, numbered in the order of the matrix; then those kept, in the same order.
            found = _matrix(*_ends(ids, numbers)[1:], (self.sizes[-1] + 1, self.vocab_size))
            found.data = np.arange(1, found.nnz + 1, dtype=np.int32)
            of_all = _look_up(found, ids, numbers)
            steps = np.flatnonzero(of_all != _NEVER)
            holders = _matrix(of_all[steps] - 1, row_of_step[steps], (found.nnz, len(ids)))
            kept = _frequent(np.diff(holders.indptr), limit)
            number = _numbers(kept, np.diff(holders.indptr), limit, self.n_rare > order)
            found.data = number[found.data - 1]
            found.eliminate_zeros()
            self.of_longer_ += (found,)
            numbers = np.concatenate([[np.int32(_NEVER)], number])[of_all]
            kept_holders = _with_none(holders, kept)
            yield numbers, Holders(kept_holders, kept_holders.shape[0], nothing)

    @property
    def sizes(self) -> list[int]:
        """For n = 1 and more how many n-grams have a number."""
        return [int(self.of_tokens_.max(initial=_NEVER)), *(found.nnz for found in self.of_longer_)]

    def spelled(self) -> list[list[tuple[int, ...]]]:
        """For n = 1 and more the n-grams in the order of their numbers, as tuples of token ids."""
        numbered = np.argsort(self.of_tokens_, kind="stable")[np.count_nonzero(self.of_tokens_ == _NEVER) :]
        shorter: list[tuple[int, ...]] = [(token,) for token in numbered.tolist()]
        orders = [shorter]
        for found in self.of_longer_:
            before = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
            by_number = np.argsort(found.data)
            pairs = zip(before[by_number].tolist(), found.indices[by_number].tolist(), strict=True)
            shorter = [(*shorter[number - 1], last) for number, last in pairs]
            orders.append(shorter)
        return orders

    def numbers(self, ids: Ragged) -> list[NDArray[np.int32]]:
        """For n = 1 and more the number of the n-gram that ends at each step."""
        columns = [self.of_tokens_[ids.values]]
        for found in self.of_longer_:
            columns.append(_look_up(found, ids, columns[-1]))
        return columns


def entries_of(numbers: Sequence[NDArray[np.int32]], tables: Sequence[NDArray[np.float32]]) -> NDArray[np.int32]:
    """Where each step looks up what is learned of its n-grams, (n_steps, n_orders); 0 for those in a single row."""
    columns = [np.where(each < table.shape[1], each, 0) for each, table in zip(numbers, tables, strict=True)]
    return np.stack(columns, axis=1).astype(np.int32, copy=False)


def _matrix(rows: NDArray[np.int32], columns: NDArray[np.int32], shape: tuple[int, int]) -> csr_array:
    """True where a pair occurs: scipy brings them in order in linear time, and drops those that occur again."""
    return coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=shape).tocsr()


def _with_none(holders: csr_array, kept: NDArray[np.bool_]) -> csr_array:
    """The rows that are kept, after one without an entry."""
    taken = holders[np.flatnonzero(kept)]
    indptr = np.concatenate([taken.indptr[:1], taken.indptr])
    return csr_array((taken.data, taken.indices, indptr), shape=(len(indptr) - 1, holders.shape[1]))


def _ends(ids: Ragged, shorter: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """The steps before which one of the `shorter` n-grams ends, the number of that, and the token at the step."""
    continued = np.ones(ids.n_steps, dtype=bool)
    continued[ids.offsets[:-1][ids.lengths > 0]] = False
    continued[1:] &= shorter[:-1] != _NEVER
    steps = np.flatnonzero(continued)
    return steps, shorter[steps - 1], ids.values[steps]


def _look_up(found: csr_array, ids: Ragged, shorter: NDArray[np.int32]) -> NDArray[np.int32]:
    """The number of the n-gram that ends at each step, from the numbers of those one shorter."""
    steps, before, last = _ends(ids, shorter)
    numbers = np.full(ids.n_steps, _NEVER, dtype=np.int32)
    if len(steps):
        numbers[steps] = found[before, last]
    return numbers


def _frequent(n_rows: NDArray[np.int64], limit: int) -> NDArray[np.bool_]:
    """Which n-grams are in enough rows; at most `limit`, those in the most rows."""
    kept = n_rows >= _MIN_ROWS
    if np.count_nonzero(kept) > limit:
        kept = np.zeros(len(n_rows), dtype=bool)
        kept[np.argsort(-n_rows, kind="stable")[:limit]] = True
    return kept


def _numbers(frequent: NDArray[np.bool_], n_rows: NDArray[np.int64], limit: int, rare: bool) -> NDArray[np.int32]:
    """The numbers of n-grams: of the frequent ones from 1 on, and behind them of the rare ones, if these have any."""
    numbers = np.where(frequent, np.cumsum(frequent, dtype=np.int32), np.int32(_NEVER))
    n_frequent, in_one_row = int(numbers.max(initial=_NEVER)), (n_rows > 0) & (n_rows < _MIN_ROWS)
    if rare and n_frequent < limit and np.count_nonzero(in_one_row) <= _MAX_RARE:
        numbers[in_one_row] = np.arange(n_frequent + 1, n_frequent + 1 + np.count_nonzero(in_one_row))
    return numbers
