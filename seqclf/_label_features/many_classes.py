"""What n-grams say of many classes: a few numbers beside each token, and of each row a vote for every class.

A number for each class beside each token would make a step as wide as there are classes. Instead the classes are split
into two halves at random, a fixed number of times, and a step gets the ratios of one half against the other: together
they tell classes apart, as the bits of a code do (Dietterich & Bakiri 1995). What is left out beside the tokens goes
past them: the ratios of all classes, summed over the n-grams of a row, which is one number for each class and row.

In that sum an n-gram counts by its TF-IDF, (1 + log tf) log((1 + n) / (1 + m)) where m of the n training rows hold it,
and these weights have length 1 in each row; its ratios are multiplied by the same logarithm. So do words that stand
everywhere not drown those that tell one class of many (Rennie et al. 2003). Rows are counted there without regard to
labels.

No table has a cell for every n-gram and class. With c of the m rows that hold an n-gram in a class, its ratio there is

    log(1 + c) - log(1 + m - c) + log(1 + m)    which is 0 where c is, and stored only where it is not,
    - log(1 + m)                                a number for each n-gram, and
    + log(|q| / |p|)                            a number for each class.

References
----------
T. G. Dietterich, G. Bakiri, "Solving multiclass learning problems via error-correcting output codes", JAIR 2 (1995).
J. D. M. Rennie et al., "Tackling the poor assumptions of naive Bayes text classifiers", ICML 2003.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from seqclf._data.ragged import Ragged
from seqclf._label_features.ngrams import Holders

# What is added to every count, and how few rows say little; the ratios of few classes are counted with them too.
SMOOTHING = 1.0
SHRINKAGE = 2.0
# Numbers beside each token for n-grams of one length. Fewer tell less of the order of the words, more cost time.
N_SPLITS = 16
# Sparse products are made of so many rows at once that they have at most so many cells.
_MAX_CELLS = 2**20


@dataclass(frozen=True, eq=False)
class VoteTable:
    """The ratios of n-grams for every class, weighted for a row's votes.

    Parameters
    ----------
    own : csr_array of shape (n_ngrams, n_classes), float32
        For the classes that hold an n-gram, what is theirs alone.
    common : ndarray of shape (n_ngrams, 2), float32
        For all classes alike: a factor of `offsets`, and a summand.
    offsets : ndarray of shape (n_classes,), float32
        log(|q| / |p|) of each class; 0 for a class that nothing can be said of.
    speaks : ndarray of shape (n_classes,), bool
        The classes that something can be said of; the others have votes of 0.
    """

    own: csr_array
    common: NDArray[np.float32]
    offsets: NDArray[np.float32]
    speaks: NDArray[np.bool_]

    def votes(self, held: csr_array) -> NDArray[np.float32]:
        """The votes of rows whose n-grams have these weights, (n_rows, n_classes)."""
        votes = np.empty((held.shape[0], len(self.offsets)), dtype=np.float32)
        at_once = max(_MAX_CELLS // len(self.offsets), 1)
        for start in range(0, len(votes), at_once):
            rows = held[start : start + at_once]
            factor, summand = (rows @ self.common).T[:, :, None]
            votes[start : start + at_once] = (rows @ self.own).toarray() + (factor * self.offsets + summand)
        votes[:, ~self.speaks] = 0
        return votes


def class_splits(n_classes: int) -> NDArray[np.bool_]:
    """Which half of the classes each class is in, (n_classes, N_SPLITS); the same for every fit."""
    rng = np.random.RandomState(0)
    return np.stack([rng.permutation(n_classes) % 2 == 1 for _ in range(N_SPLITS)], axis=1)


def tf_idf(numbers: Ragged, idf: NDArray[np.float32]) -> csr_array:
    """The weights of the n-grams of each row, (n_rows, n_ngrams), of length 1 unless all are 0."""
    tf = csr_array(
        (np.ones(numbers.n_steps, dtype=np.float32), numbers.values.copy(), numbers.offsets.copy()),
        shape=(len(numbers), len(idf)),
    )
    tf.sum_duplicates()
    weights = (1 + np.log(tf.data)) * idf[tf.indices]
    row = np.repeat(np.arange(len(numbers)), np.diff(tf.indptr))
    norms = np.sqrt(np.bincount(row, weights**2, minlength=len(numbers)))
    tf.data = np.divide(weights, norms[row], out=np.zeros_like(weights), where=norms[row] > 0).astype(np.float32)
    tf.eliminate_zeros()
    return tf


def learn_many(
    holders: Holders,
    numbers: Ragged,
    memberships: csr_array,
    weights: NDArray[np.float64],
    fold: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.float32], VoteTable, NDArray[np.float32]]:
    """The ratios of the n-grams of one length.

    Parameters
    ----------
    holders : Holders
        Which rows hold which n-gram.
    numbers : Ragged of int32
        The n-gram that ends at each step of the rows.
    memberships : csr_array of shape (n_rows, n_classes)
        How far each row belongs to each class.
    weights, fold : ndarray of shape (n_rows,)
        What each row counts (0 to leave it out), and its fold.

    Returns
    -------
    tables : ndarray of shape (1 + n_folds, n_ngrams, N_SPLITS)
        The ratios of one half of the classes against the other, on all rows and without each fold.
    idf : ndarray of shape (n_ngrams,)
        What an n-gram counts in a row's votes, beside its frequency there.
    table : VoteTable
        Counted on all rows.
    votes : ndarray of shape (n_rows, n_classes)
        The votes of the rows, each counted without its own fold.
    """
    n_ngrams, n_rows = holders.kept.shape
    n_folds = int(fold.max()) + 1
    n_classes = memberships.shape[1]
    splits = class_splits(n_classes)
    n_holders = np.diff(holders.kept.indptr)
    idf = np.where(n_holders > 0, np.log((1 + n_rows) / (1 + n_holders)), 0).astype(np.float32)
    classes = csr_array(memberships.multiply(weights[:, None]))
    classes.eliminate_zeros()

    by_row = csr_array(holders.kept.T, dtype=np.float64)
    total = by_row.T.tocsr() @ classes
    in_rows = tf_idf(numbers, idf)
    tables = np.empty((1 + n_folds, n_ngrams, N_SPLITS), dtype=np.float32)
    votes = np.zeros((n_rows, n_classes), dtype=np.float32)
    # The n-grams that are not kept, but summed over.
    others = memberships.T @ (weights * holders.others)

    tables[0], table = _without(total, others, holders, splits, idf)
    for one in range(n_folds):
        rows = np.flatnonzero(fold == one)
        # Sums over a fold and over all rows add up in one order: what only one fold holds is exactly 0 without it.
        counts = csr_array(total - by_row[rows].T.tocsr() @ classes[rows])
        theirs = memberships[rows].T @ (weights * holders.others)[rows]
        tables[1 + one], without = _without(counts, others - theirs, holders, splits, idf)
        votes[rows] = without.votes(in_rows[rows])
    return tables, idf, table, votes


def _without(
    counts: csr_array,
    others: NDArray[np.float64],
    holders: Holders,
    splits: NDArray[np.bool_],
    idf: NDArray[np.float32],
) -> tuple[NDArray[np.float32], VoteTable]:
    """The ratios of halves and the votes from weighted counts, (n_ngrams, n_classes)."""
    n_ngrams = counts.shape[0]
    more = SMOOTHING * (holders.n_all - n_ngrams)
    held = counts.sum(axis=1)
    shrunk = held / (held + SHRINKAGE)

    in_class = counts.sum(axis=0) + others
    halves = []
    for half in (splits, ~splits):
        p = SMOOTHING + counts @ half.astype(np.float64)
        halves.append(np.log(p) - np.log(p.sum(axis=0) + more + others @ half))
    ratios = (halves[0] - halves[1]) * shrunk[:, None]
    present = in_class > 0
    ratios[:, ~((present @ splits) & (present @ ~splits))] = 0

    speaks = present & (in_class < in_class.sum())
    smoothing = SMOOTHING * holders.n_all
    offsets = np.log((smoothing + in_class.sum() - in_class) / (smoothing + in_class))
    factor = shrunk * idf
    nothing = np.log(SMOOTHING + held)
    ngram = np.repeat(np.arange(n_ngrams), np.diff(counts.indptr))
    ours, theirs = counts.data, np.maximum(held[ngram] - counts.data, 0)
    own = factor[ngram] * (np.log(SMOOTHING + ours) - np.log(SMOOTHING + theirs) + nothing[ngram])
    table = VoteTable(
        csr_array((own.astype(np.float32), counts.indices, counts.indptr), shape=counts.shape),
        np.stack([factor, -factor * nothing], axis=1).astype(np.float32),
        offsets.astype(np.float32),
        speaks,
    )
    return ratios.astype(np.float32), table
