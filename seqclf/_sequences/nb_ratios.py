"""What the labels say of each token and of the tokens before it: naive-Bayes log-count ratios as inputs of a network.

An n-gram is a token with the n - 1 tokens before it. Its ratio for a class says how much more often it occurs in rows
of that class than in the others (Wang & Manning 2012, eq. 1):

    r = log((p / |p|) / (q / |q|)),    p = 1 + rows of the class that hold the n-gram,    q = 1 + other rows that do,

where |.| is the sum over all n-grams of the same n (of pairs and longer ones over those learned, and one that no row
holds). The r of an n-gram in m rows is shrunk by m / (m + 2), because few rows say little. A step of a sequence gets,
for n = 1, 2 and so on, the ratio of the n-gram that ends there: one number for two classes, one for each class for
more; 0 for an n-gram that was not learned, or that only one row holds.

A training row must not see its own label in its inputs, or the network would learn to read it there. So the training
rows are split into folds, and each gets the ratios counted without its own fold (cross-fitting, as in scikit-learn's
TargetEncoder); rows to predict get those counted on all training rows.

References
----------
S. Wang, C. D. Manning, "Baselines and bigrams: simple, good sentiment and topic classification", ACL 2012.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from seqclf._sequences.ragged import Ragged

N_FOLDS = 10
_SMOOTHING = 1.0
_SHRINKAGE = 2.0
# N-grams that fewer training rows hold have no ratio. Without its own label the only row of one has nothing to read, so
# that the network can't learn what the number is worth that other texts would read.
_MIN_ROWS = 2
# At most so many pairs (triples, ...) times classes are learned, those in the most rows: a limit to memory.
_MAX_COUNTS = 2**22
# The number of an n-gram that was not learned: its ratios are 0. Of single tokens it is padding, which none holds.
_NEVER = 0


@dataclass(frozen=True, eq=False)
class RatedIds:
    """Token ids with the ratios at each step; the ratios are looked up when they are asked for.

    Parameters
    ----------
    steps : Ragged of shape (n_steps, n_orders), int32
        For n = 1, 2 and so on the numbers of the n-grams that end at each step; that of a single token is its id.
    tables : tuple of ndarray of shape (n_tables, n_ngrams, n_channels), float32
        For each n the ratios of the n-grams by their numbers, in one or several versions (folds).
    version : ndarray of shape (n_sequences,)
        The version that each sequence gets.
    """

    steps: Ragged
    tables: tuple[NDArray[np.float32], ...]
    version: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def values(self) -> NDArray[Any]:
        """The token ids, (n_steps,)."""
        return self.steps.values[:, 0]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of steps of each sequence."""
        return self.steps.lengths

    @cached_property
    def beside(self) -> NDArray[np.float32]:
        """The ratios, (n_steps, n_orders * n_channels): for each n, those of all channels."""
        version = np.repeat(self.version, self.lengths)
        parts = [table[version, numbers] for table, numbers in zip(self.tables, self.steps.values.T, strict=True)]
        return np.concatenate(parts, axis=1)

    def take(self, rows: Any) -> "RatedIds":
        """The sequences at these positions, in this order."""
        return RatedIds(self.steps.take(rows), self.tables, self.version[rows])


# What the network reads.
Sequences = Ragged | RatedIds


def cross_fitting_folds(
    codes: NDArray[np.int64], groups: NDArray[np.int64] | None, rng: np.random.RandomState
) -> NDArray[np.int64]:
    """A fold for each row, drawn at random: every class spread evenly over all folds, or all rows of a group in one."""
    if groups is not None:
        first = np.unique(groups, return_index=True)[1]
        return cross_fitting_folds(codes[first], None, rng)[groups]
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    fold = np.empty(len(codes), dtype=np.int64)
    fold[order] = np.arange(len(codes)) % N_FOLDS
    return fold


class NaiveBayesRatios:
    """The ratios of the n-grams of token ids, learned from labels.

    Parameters
    ----------
    n_orders : int
        The longest n-grams: 1 for single tokens, 2 for tokens and pairs, and so on.
    vocab_size : int
        Number of token ids.

    Attributes
    ----------
    numbers_ : tuple of csr_array of shape (n_shorter, vocab_size), int32
        For n = 2 and more the numbers of the learned n-grams, from 1, by the number of the n-gram one shorter that its
        last token follows, and by that token. The number of a single token is its id.
    tables_ : tuple of ndarray of shape (1, n_ngrams, n_channels), float32
        The ratios of the n-grams by their numbers, counted on all rows, for n = 1 and more.

    Examples
    --------
    Token 2 stands in all rows of class 1 and in none of class 0, token 4 in all of either:

    >>> import numpy as np
    >>> from seqclf._sequences import Ragged
    >>> ids = Ragged.from_items([[2, 4], [3, 4]] * 20)
    >>> codes = np.array([1, 0] * 20)
    >>> ratios = NaiveBayesRatios(n_orders=1, vocab_size=5)
    >>> training = ratios.learn(ids, codes, n_classes=2, weights=np.ones(40), fold=np.arange(40) // 2 % 5)
    >>> ratios.rate(Ragged.from_items([[2, 3, 4]])).beside.round(1)
    array([[ 2.8],
           [-2.8],
           [ 0. ]], dtype=float32)
    """

    def __init__(self, n_orders: int, vocab_size: int):
        self.n_orders, self.vocab_size = n_orders, vocab_size

    @property
    def n_channels(self) -> int:
        """Numbers beside each token."""
        return sum(table.shape[2] for table in self.tables_)

    def learn(
        self,
        ids: Ragged,
        codes: NDArray[np.int64],
        n_classes: int,
        weights: NDArray[np.float64],
        fold: NDArray[np.int64],
    ) -> RatedIds:
        """Learn the ratios, and give the training rows theirs, each counted without the rows of its own fold.

        Parameters
        ----------
        ids : Ragged of shape (n_steps,)
            The token ids of the training rows, below `vocab_size`.
        codes : ndarray of shape (n_sequences,)
            Their classes, from 0.
        n_classes : int
            How many there are.
        weights : ndarray of shape (n_sequences,)
            What each row counts, above 0; only the proportions matter.
        fold : ndarray of shape (n_sequences,)
            The fold of each row, from 0.
        """
        weights = weights / weights.max()  # They may be so large that their sum is not finite.
        weights = weights / weights.mean()
        row_of_step = np.repeat(np.arange(len(ids), dtype=np.int32), ids.lengths)
        spread = _spread(codes, n_classes, fold)
        holders = _matrix(ids.values, row_of_step, (self.vocab_size, len(ids)))
        columns, tables = [ids.values], [_ratios(holders, codes, n_classes, weights, fold, spread)]
        tables[0][:, np.diff(holders.indptr) < _MIN_ROWS] = 0
        self.numbers_: tuple[csr_array, ...] = ()
        for _ in range(1, self.n_orders):
            # All n-grams that occur, numbered in the order of the matrix; then those kept, in the same order.
            found = _matrix(*_ends(ids, columns[-1])[1:], (tables[-1].shape[1], self.vocab_size))
            found.data = np.arange(1, found.nnz + 1, dtype=np.int32)
            numbers = _look_up(found, ids, columns[-1])
            steps = np.flatnonzero(numbers != _NEVER)
            holders = _matrix(numbers[steps], row_of_step[steps], (found.nnz + 1, len(ids)))
            kept = _frequent(np.diff(holders.indptr), max(_MAX_COUNTS // n_classes, 1))
            number_of_kept = np.where(kept, np.cumsum(kept, dtype=np.int32) - 1, _NEVER)
            found.data = number_of_kept[found.data]
            found.eliminate_zeros()
            self.numbers_ += (found,)
            columns.append(number_of_kept[numbers])
            tables.append(_ratios(holders[np.flatnonzero(kept)], codes, n_classes, weights, fold, spread))
        self.tables_ = tuple(table[:1].copy() for table in tables)
        return RatedIds(Ragged(np.stack(columns, axis=1), ids.lengths), tuple(tables), fold + 1)

    def rate(self, ids: Ragged) -> RatedIds:
        """Give rows that are not of the training data their ratios."""
        columns = [ids.values]
        for found in self.numbers_:
            columns.append(_look_up(found, ids, columns[-1]))
        version = np.zeros(len(ids), dtype=np.int64)
        return RatedIds(Ragged(np.stack(columns, axis=1), ids.lengths), self.tables_, version)


def _matrix(rows: NDArray[np.int32], columns: NDArray[np.int32], shape: tuple[int, int]) -> csr_array:
    """True where a pair occurs: scipy brings them in order in linear time, and drops those that occur again."""
    return coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=shape).tocsr()


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
    """Which numbers are kept: that of none, and at most `limit` of n-grams in enough rows, those in the most rows."""
    kept = n_rows >= _MIN_ROWS
    if np.count_nonzero(kept) > limit:
        kept = np.zeros(len(n_rows), dtype=bool)
        kept[np.argsort(-n_rows, kind="stable")[:limit]] = True
    kept[_NEVER] = True
    return kept


def _spread(codes: NDArray[np.int64], n_classes: int, fold: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which channels can be counted without any one fold, (n_channels,).

    Those of a class that has rows in one of several folds only can't: they would be 0 in its own rows and nowhere
    else, so that a row's label could be read there.
    """
    n_folds = int(fold.max()) + 1
    in_fold = np.bincount(codes * n_folds + fold, minlength=n_classes * n_folds).reshape(n_classes, n_folds) > 0
    several = (in_fold.sum(axis=1) > 1) | (in_fold.any(axis=0).sum() == 1)
    return several.all(keepdims=True) if n_classes == 2 else several


def _ratios(
    holders: csr_array,
    codes: NDArray[np.int64],
    n_classes: int,
    weights: NDArray[np.float64],
    fold: NDArray[np.int64],
    spread: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """The ratios of n-grams from the rows that hold each: counted on all rows, then without each fold.

    Shape (1 + n_folds, n_ngrams, n_channels).
    """
    n_ngrams, n_folds = holders.shape[0], int(fold.max()) + 1
    rows = holders.indices
    cells = codes[rows] * n_ngrams + np.repeat(np.arange(n_ngrams), np.diff(holders.indptr))
    # Sums over a fold and over all rows then add up in one order: what only one fold holds is exactly 0 without it.
    by_fold = np.argsort(fold[rows].astype(np.int16), kind="stable")  # Of so few bits numpy sorts in linear time.
    cells, weights = cells[by_fold], weights[rows[by_fold]]
    edges = np.searchsorted(fold[rows[by_fold]], np.arange(n_folds + 1))

    def counts(start: int, stop: int) -> NDArray[np.float64]:
        counted = np.bincount(cells[start:stop], weights[start:stop], minlength=n_classes * n_ngrams)
        return counted.astype(np.float64, copy=False).reshape(n_classes, n_ngrams)  # Of nothing they are integers.

    total = counts(0, len(rows))
    ratios = np.stack([_ratio(total), *(_ratio(total - counts(*span)) for span in pairwise(edges.tolist()))])
    ratios[:, :, ~spread] = 0
    return ratios


def _ratio(counts: NDArray[np.float64]) -> NDArray[np.float32]:
    """(n_classes, size) -> (size, n_channels); a class without rows says nothing."""
    held = counts.sum(axis=0)
    ratios = np.zeros((counts.shape[1], 1 if len(counts) == 2 else len(counts)))
    for channel, ours in enumerate(counts[1:] if len(counts) == 2 else counts):
        others = held - ours
        if ours.any() and others.any():
            p, q = _SMOOTHING + ours, _SMOOTHING + others
            ratios[:, channel] = np.log(p / p.sum()) - np.log(q / q.sum())
    ratios *= (held / (held + _SHRINKAGE))[:, None]
    return ratios.astype(np.float32)
