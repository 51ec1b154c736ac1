"""What the targets say of each token and of the tokens before it: log-count ratios as inputs of a network.

An n-gram is a token with the n - 1 tokens before it. Its ratio for an output says how much more often it occurs in rows
that belong to the output than in the others (Wang & Manning 2012, eq. 1):

    r = log((p / |p|) / (q / |q|)),    p = 1 + rows of the output that hold the n-gram,    q = 1 + other rows that do,

where |.| is the sum over all n-grams of the same n (of pairs and longer ones over those learned, and one that no row
holds). The r of an n-gram in m rows is shrunk by m / (m + 2), because few rows say little. A step of a sequence gets,
for n = 1, 2 and so on, the ratios of the n-gram that ends there: one number for each output for up to ten, for more
what `many_classes` tells of; 0 for an n-gram that was not learned, or that only one row holds.

How far a row belongs to an output is a number from 0 to 1, its membership; nothing else is known of the targets.

A training row must not see its own target in its inputs, or the network would learn to read it there. So the training
rows are split into folds, and each gets the ratios counted without its own fold (cross-fitting, as in scikit-learn's
TargetEncoder); rows to predict get those counted on all training rows.

References
----------
S. Wang, C. D. Manning, "Baselines and bigrams: simple, good sentiment and topic classification", ACL 2012.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from seqclf._data.encoded import EncodedSequences, StepFeatures
from seqclf._data.ragged import Ragged
from seqclf._label_features.many_classes import N_SPLITS, SHRINKAGE, SMOOTHING, VoteTable, learn_many, tf_idf
from seqclf._label_features.ngrams import Holders, NGrams

N_FOLDS = 10
# Up to this many outputs have a number of their own next to every token.
FEW_OUTPUTS = 10
# The largest number of n-grams of one length, times the numbers of each: a limit to memory.
_MAX_COUNTS = 2**22


def cross_fitting_folds(
    strata: NDArray[np.int64], groups: NDArray[np.int64] | None, rng: np.random.RandomState
) -> NDArray[np.int64]:
    """A fold for each row, drawn at random: strata spread evenly over all folds, all rows of a group in one.

    Where there is only one group its rows are spread as if there were none.
    """
    if groups is not None and groups.any():
        first = np.unique(groups, return_index=True)[1]
        return cross_fitting_folds(strata[first], None, rng)[groups]
    order = rng.permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    fold = np.empty(len(strata), dtype=np.int64)
    fold[order] = np.arange(len(strata)) % N_FOLDS
    return fold


class LogCountRatios:
    """The ratios of the n-grams of token ids, learned from memberships.

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
    tables_ : tuple of ndarray of shape (1, n_ngrams, n_features), float32
        The ratios of the n-grams by their numbers, counted on all rows, for n = 1 and more.
    votes_ : tuple of (ndarray of shape (n_ngrams,), VoteTable)
        With more than `FEW_OUTPUTS` outputs, for n = 1 and more, the weights of the n-grams and what they say of each.

    Examples
    --------
    Token 2 stands in all rows that belong to the only output and in none of the others, token 4 in all rows:

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from seqclf._data.ragged import Ragged
    >>> ids = Ragged.from_items([[2, 4], [3, 4]] * 20)
    >>> memberships = csr_array(np.array([[1.0], [0.0]] * 20))
    >>> ratios = LogCountRatios(n_orders=1, vocab_size=5)
    >>> training = ratios.fit_transform(ids, memberships, weights=np.ones(40), fold=np.arange(40) // 2 % 5)
    >>> ratios.transform(Ragged.from_items([[2, 3, 4]])).step_features.round(1)
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
    def n_features(self) -> int:
        """Numbers next to each token."""
        return sum(table.shape[2] for table in self.tables_)

    @property
    def gives_votes(self) -> bool:
        """Whether a row has a vote for each output, in place of the means of the numbers next to its tokens."""
        return bool(self.votes_)

    def fit_transform(
        self, ids: Ragged, memberships: csr_array, weights: NDArray[np.float64], fold: NDArray[np.int64]
    ) -> EncodedSequences:
        """Learn the ratios, and give the training rows theirs, each counted without the rows of its own fold.

        Parameters
        ----------
        ids : Ragged of shape (n_steps,)
            The token ids of the training rows, below `vocab_size`.
        memberships : csr_array of shape (n_sequences, n_outputs)
            How far each row belongs to each output, from 0 to 1.
        weights : ndarray of shape (n_sequences,)
            What each row counts, above 0; only the proportions matter.
        fold : ndarray of shape (n_sequences,)
            The fold of each row, from 0.
        """
        weights = weights / weights.max()  # They may be so large that their sum is not finite.
        weights = weights / weights.mean()
        n_outputs = memberships.shape[1]
        complete = _complete(memberships)
        spread = _spread(memberships, fold)
        many = n_outputs > FEW_OUTPUTS
        votes = np.zeros((len(ids), n_outputs), dtype=np.float32) if many else None
        columns, tables, vote_tables = [], [], []
        self.ngrams_ = NGrams(self.n_orders, self.vocab_size)
        limit = max(_MAX_COUNTS // (N_SPLITS if many else complete.shape[1]), 1)
        for order, (numbers, holders) in enumerate(self.ngrams_.learn(ids, limit)):
            columns.append(numbers)
            if votes is None:
                tables.append(_ratios(holders, complete, weights, fold, spread))
                continue
            # Rows of an output with rows in one fold alone don't count: without that fold nothing is known of it.
            counted = weights * (memberships @ spread.astype(np.float64) > 0)
            table, idf, vote_table, ours = learn_many(holders, Ragged(numbers, ids.lengths), memberships, counted, fold)
            tables.append(table)
            vote_tables.append((idf, vote_table))
            votes += _order_weight(order) * ours
        self.tables_ = tuple(table[:1].copy() for table in tables)
        self.votes_ = tuple(vote_tables)
        return EncodedSequences(ids, StepFeatures(np.stack(columns, axis=1), tuple(tables), fold + 1), votes)

    def transform(self, ids: Ragged) -> EncodedSequences:
        """Give rows that are not of the training data their ratios."""
        columns = self.ngrams_.numbers(ids)
        votes = None
        for order, (numbers, (idf, table)) in enumerate(zip(columns, self.votes_, strict=False)):
            ours = _order_weight(order) * table.votes(tf_idf(Ragged(numbers, ids.lengths), idf))
            votes = ours if votes is None else votes + ours
        version = np.zeros(len(ids), dtype=np.int64)
        return EncodedSequences(ids, StepFeatures(np.stack(columns, axis=1), self.tables_, version), votes)


def _order_weight(order: int) -> np.float32:
    """What the n-grams of each length count in the votes: a quarter of those one shorter, because they say it again."""
    return np.float32(0.5 * 0.25**order)


def _complete(memberships: csr_array) -> csr_array:
    """The memberships with a column for what is left of each row, where anything is: the columns add up to 1."""
    rest = 1.0 - memberships.sum(axis=1)
    return hstack([memberships, csr_array(rest[:, None])], format="csr") if rest.any() else memberships


def _spread(memberships: csr_array, fold: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which outputs can be counted without any one fold, (n_outputs,).

    An output whose rows, or whose other rows, are all in one of several folds can't: its ratios would be 0 in that fold
    and nowhere else, so that a row's target could be read there.
    """
    n_outputs, n_folds = memberships.shape[1], int(fold.max()) + 1
    entries = memberships.tocoo()
    cells = entries.col * n_folds + fold[entries.row]
    counts = [np.bincount(cells[kept], minlength=n_outputs * n_folds) for kept in (entries.data > 0, entries.data >= 1)]
    members, whole_members = (each.reshape(n_outputs, n_folds) for each in counts)
    rows = np.bincount(fold, minlength=n_folds)
    several = ((members > 0).sum(axis=1) > 1) & ((whole_members < rows).sum(axis=1) > 1)
    return several | (np.count_nonzero(rows) == 1)


def _ratios(
    holders: Holders,
    memberships: csr_array,
    weights: NDArray[np.float64],
    fold: NDArray[np.int64],
    spread: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """The ratios of n-grams for few outputs: counted on all rows, then without each fold.

    The columns of `memberships` add up to 1; the first ``len(spread)`` of them are outputs.
    Shape (1 + n_folds, n_ngrams, n_outputs).
    """
    kept = holders.kept
    n_ngrams, n_folds, n_columns = kept.shape[0], int(fold.max()) + 1, memberships.shape[1]
    holder, entry = _entries_of(memberships, kept.indices)
    rows = kept.indices[holder]
    cells = memberships.indices[entry].astype(np.int64) * n_ngrams
    cells += np.repeat(np.arange(n_ngrams), np.diff(kept.indptr))[holder]
    # The counts of n-grams that are not kept, but summed over.
    row_of_entry = np.repeat(np.arange(len(weights)), np.diff(memberships.indptr))
    of_entry = (weights * holders.others)[row_of_entry] * memberships.data
    more = np.bincount(memberships.indices * n_folds + fold[row_of_entry], of_entry, minlength=n_columns * n_folds)
    more = more.reshape(n_columns, n_folds).T
    # Sums over a fold and over all rows then add up in one order: what only one fold holds is exactly 0 without it.
    in_order = np.argsort(fold[rows].astype(np.int16), kind="stable")  # Integers of 16 bits are sorted in linear time.
    cells, counted = cells[in_order], weights[rows[in_order]] * memberships.data[entry[in_order]]
    edges = np.searchsorted(fold[rows[in_order]], np.arange(n_folds + 1))

    def counts(start: int, stop: int) -> NDArray[np.float64]:
        found = np.bincount(cells[start:stop], counted[start:stop], minlength=n_columns * n_ngrams)
        # The bincount of an empty array is of integers.
        return found.astype(np.float64, copy=False).reshape(n_columns, n_ngrams)

    def ratios_of(counts: NDArray[np.float64], more: NDArray[np.float64]) -> NDArray[np.float32]:
        ratios = _log_count_ratios(counts, more, holders.n_all - n_ngrams, n_outputs=len(spread))
        ratios[:, ~spread] = 0
        return ratios

    total, all_more = counts(0, len(rows)), more.sum(axis=0)
    spans = zip(pairwise(edges.tolist()), more, strict=True)
    return np.stack(
        [ratios_of(total, all_more), *(ratios_of(total - counts(*span), all_more - theirs) for span, theirs in spans)]
    )


def _entries_of(matrix: csr_array, rows: NDArray[np.int32]) -> tuple[Any, NDArray[Any]]:
    """All entries of those rows: for each the position of its row in `rows`, and its own in ``matrix.data``."""
    n_entries = np.diff(matrix.indptr)
    if (n_entries == 1).all():
        return slice(None), rows
    n = n_entries[rows]
    position = np.repeat(np.arange(len(rows)), n)
    first = matrix.indptr[rows] - (np.cumsum(n) - n)
    return position, first[position] + np.arange(len(position))


def _log_count_ratios(
    counts: NDArray[np.float64], more: NDArray[np.float64], n_more: int, n_outputs: int
) -> NDArray[np.float32]:
    """Counts (n_columns, n_ngrams) -> ratios (n_ngrams, n_outputs); an output without rows has ratios of 0.

    `more` are the counts of `n_more` further n-grams together, (n_columns,).
    """
    held = counts.sum(axis=0)
    ratios = np.zeros((counts.shape[1], n_outputs))
    for output, ours in enumerate(counts[:n_outputs]):
        others, more_others = held - ours, more.sum() - more[output]
        if (ours.any() or more[output] > 0) and (others.any() or more_others > 0):
            p, q = SMOOTHING + ours, SMOOTHING + others
            p_sum = p.sum() + (SMOOTHING * n_more + more[output])
            q_sum = q.sum() + (SMOOTHING * n_more + more_others)
            ratios[:, output] = np.log(p / p_sum) - np.log(q / q_sum)
    ratios *= (held / (held + SHRINKAGE))[:, None]
    return ratios.astype(np.float32)
