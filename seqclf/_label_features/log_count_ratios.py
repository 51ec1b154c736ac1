"""What the labels say of each token and of the tokens before it: naive-Bayes log-count ratios as inputs of a network.

An n-gram is a token with the n - 1 tokens before it. Its ratio for a class says how much more often it occurs in rows
of that class than in the others (Wang & Manning 2012, eq. 1):

    r = log((p / |p|) / (q / |q|)),    p = 1 + rows of the class that hold the n-gram,    q = 1 + other rows that do,

where |.| is the sum over all n-grams of the same n (of pairs and longer ones over those learned, and one that no row
holds). The r of an n-gram in m rows is shrunk by m / (m + 2), because few rows say little. A step of a sequence gets,
for n = 1, 2 and so on, the ratio of the n-gram that ends there: one number for two classes, one for each class for up
to ten, for more what `many_classes` tells of; 0 for an n-gram that was not learned, or that only one row holds.

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

from seqclf._data.ragged import Ragged
from seqclf._label_features.many_classes import N_SPLITS, SHRINKAGE, SMOOTHING, VoteTable, learn_many, tf_idf
from seqclf._label_features.ngrams import Holders, NGrams

N_FOLDS = 10
# Of up to so many classes each has a number of its own beside every token.
FEW_CLASSES = 10
# At most so many n-grams of one length times numbers beside each are learned: a limit to memory.
_MAX_COUNTS = 2**22


@dataclass(frozen=True, eq=False)
class RatedIds:
    """Token ids with the ratios at each step; the ratios are looked up when they are asked for.

    Parameters
    ----------
    steps : Ragged of shape (n_steps, 1 + n_orders), int32
        The token ids, and for n = 1, 2 and so on the numbers of the n-grams that end at each step.
    tables : tuple of ndarray of shape (n_tables, n_ngrams, n_channels), float32
        For each n the ratios of the n-grams by their numbers, in one or several versions (folds).
    version : ndarray of shape (n_sequences,)
        The version that each sequence gets.
    votes : ndarray of shape (n_sequences, n_classes), float32, or None
        Of many classes what the n-grams of a sequence say together of each.
    """

    steps: Ragged
    tables: tuple[NDArray[np.float32], ...]
    version: NDArray[np.int64]
    votes: NDArray[np.float32] | None = None

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

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each sequence starts, and at the very end the number of steps: (n_sequences + 1,)."""
        return self.steps.offsets

    @property
    def n_channels(self) -> int:
        """How many ratios stand beside each token id."""
        return sum(table.shape[2] for table in self.tables)

    @cached_property
    def beside(self) -> NDArray[np.float32]:
        """The ratios, (n_steps, n_orders * n_channels): for each n, those of all channels."""
        version = np.repeat(self.version, self.lengths)
        parts = [table[version, numbers] for table, numbers in zip(self.tables, self.steps.values.T[1:], strict=True)]
        return np.concatenate(parts, axis=1)

    def take(self, rows: Any) -> "RatedIds":
        """The sequences at these positions, in this order."""
        votes = None if self.votes is None else self.votes[rows]
        return RatedIds(self.steps.take(rows), self.tables, self.version[rows], votes)


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
    ngrams_ : NGrams
        The numbers of the learned n-grams.
    tables_ : tuple of ndarray of shape (1, n_ngrams, n_channels), float32
        The ratios of the n-grams by their numbers, counted on all rows, for n = 1 and more.
    votes_ : tuple of (ndarray of shape (n_ngrams,), VoteTable)
        Of more than `FEW_CLASSES` classes, for n = 1 and more, the weights of the n-grams and what they say of each.

    Examples
    --------
    Token 2 stands in all rows of class 1 and in none of class 0, token 4 in all of either:

    >>> import numpy as np
    >>> from seqclf._data.ragged import Ragged
    >>> ids = Ragged.from_items([[2, 4], [3, 4]] * 20)
    >>> codes = np.array([1, 0] * 20)
    >>> ratios = NaiveBayesRatios(n_orders=1, vocab_size=5)
    >>> training = ratios.learn(ids, codes, n_classes=2, weights=np.ones(40), fold=np.arange(40) // 2 % 5)
    >>> ratios.rate(Ragged.from_items([[2, 3, 4]])).beside.round(1)
    array([[ 2.8],
           [-2.8],
           [ 0. ]], dtype=float32)
    """

    ngrams_: NGrams
    tables_: tuple[NDArray[np.float32], ...]
    votes_: tuple[tuple[NDArray[np.float32], VoteTable], ...]

    def __init__(self, n_orders: int, vocab_size: int):
        self.n_orders, self.vocab_size = n_orders, vocab_size

    @property
    def n_channels(self) -> int:
        """Numbers beside each token."""
        return sum(table.shape[2] for table in self.tables_)

    @property
    def gives_votes(self) -> bool:
        """Whether a row has a vote for each class, in place of the means of the numbers beside its tokens."""
        return bool(self.votes_)

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
        spread = _spread(codes, n_classes, fold)
        many = n_classes > FEW_CLASSES
        votes = np.zeros((len(ids), n_classes), dtype=np.float32) if many else None
        columns, tables, vote_tables = [ids.values], [], []
        self.ngrams_ = NGrams(self.n_orders, self.vocab_size)
        limit = max(_MAX_COUNTS // (N_SPLITS if many else n_classes), 1)
        for order, (numbers, holders) in enumerate(self.ngrams_.learn(ids, limit)):
            columns.append(numbers)
            if votes is None:
                tables.append(_ratios(holders, codes, n_classes, weights, fold, spread))
                continue
            # The rows of a class in one fold alone don't count: without that fold nothing would be known of it.
            counted = weights * spread[codes]
            table, idf, vote_table, ours = learn_many(
                holders, Ragged(numbers, ids.lengths), codes, n_classes, counted, fold
            )
            tables.append(table)
            vote_tables.append((idf, vote_table))
            votes += _share(order) * ours
        self.tables_ = tuple(table[:1].copy() for table in tables)
        self.votes_ = tuple(vote_tables)
        return RatedIds(Ragged(np.stack(columns, axis=1), ids.lengths), tuple(tables), fold + 1, votes)

    def rate(self, ids: Ragged) -> RatedIds:
        """Give rows that are not of the training data their ratios."""
        columns = self.ngrams_.numbers(ids)
        votes = None
        for order, (numbers, (idf, table)) in enumerate(zip(columns, self.votes_, strict=False)):
            ours = _share(order) * table.votes(tf_idf(Ragged(numbers, ids.lengths), idf))
            votes = ours if votes is None else votes + ours
        version = np.zeros(len(ids), dtype=np.int64)
        return RatedIds(Ragged(np.stack([ids.values, *columns], axis=1), ids.lengths), self.tables_, version, votes)


def _share(order: int) -> np.float32:
    """What the n-grams of each length count in the votes: a quarter of those one shorter, because they say it again."""
    return np.float32(0.5 * 0.25**order)


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
    holders: Holders,
    codes: NDArray[np.int64],
    n_classes: int,
    weights: NDArray[np.float64],
    fold: NDArray[np.int64],
    spread: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """The ratios of n-grams of few classes: counted on all rows, then without each fold.

    Shape (1 + n_folds, n_ngrams, n_channels).
    """
    kept = holders.kept
    n_ngrams, n_folds = kept.shape[0], int(fold.max()) + 1
    rows = kept.indices
    cells = codes[rows] * n_ngrams + np.repeat(np.arange(n_ngrams), np.diff(kept.indptr))
    # N-grams that are not kept, but summed over.
    n_more = holders.n_all - n_ngrams
    more = np.bincount(codes * n_folds + fold, weights * holders.others, minlength=n_classes * n_folds)
    more = more.reshape(n_classes, n_folds).T
    # Sums over a fold and over all rows then add up in one order: what only one fold holds is exactly 0 without it.
    in_order = np.argsort(fold[rows].astype(np.int16), kind="stable")  # Of so few bits numpy sorts in linear time.
    cells, weights = cells[in_order], weights[rows[in_order]]
    edges = np.searchsorted(fold[rows[in_order]], np.arange(n_folds + 1))

    def counts(start: int, stop: int) -> NDArray[np.float64]:
        counted = np.bincount(cells[start:stop], weights[start:stop], minlength=n_classes * n_ngrams)
        return counted.astype(np.float64, copy=False).reshape(n_classes, n_ngrams)  # Of nothing they are integers.

    total, all_more = counts(0, len(rows)), more.sum(axis=0)
    spans = zip(pairwise(edges.tolist()), more, strict=True)
    by_fold = [_ratio(total - counts(*span), all_more - theirs, n_more) for span, theirs in spans]
    ratios = np.stack([_ratio(total, all_more, n_more), *by_fold])
    ratios[:, :, ~spread] = 0
    return ratios


def _ratio(counts: NDArray[np.float64], more: NDArray[np.float64], n_more: int) -> NDArray[np.float32]:
    """(n_classes, size) -> (size, n_channels); a class without rows says nothing.

    `more` are the counts of `n_more` further n-grams together, (n_classes,).
    """
    held = counts.sum(axis=0)
    ratios = np.zeros((counts.shape[1], 1 if len(counts) == 2 else len(counts)))
    for channel, code in enumerate((1,) if len(counts) == 2 else range(len(counts))):
        others, more_others = held - counts[code], more.sum() - more[code]
        if (counts[code].any() or more[code] > 0) and (others.any() or more_others > 0):
            p, q = SMOOTHING + counts[code], SMOOTHING + others
            p_sum = p.sum() + (SMOOTHING * n_more + more[code])
            q_sum = q.sum() + (SMOOTHING * n_more + more_others)
            ratios[:, channel] = np.log(p / p_sum) - np.log(q / q_sum)
    ratios *= (held / (held + SHRINKAGE))[:, None]
    return ratios.astype(np.float32)
