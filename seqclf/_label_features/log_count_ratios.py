"""What the targets say of each token and of the tokens before it: log-count ratios as inputs of a network.

An n-gram is a token with the n - 1 tokens before it. Its ratio for an output says how much more often it occurs in rows
that belong to the output than in the others (Wang & Manning 2012, eq. 1):

    r = log((p / |p|) / (q / |q|)),    p = 1 + rows of the output that hold the n-gram,    q = 1 + other rows that do,

where |.| is the sum over all n-grams of the same n (of pairs and longer ones over those learned, and one that no row
holds). The r of an n-gram in m rows is shrunk by m / (m + 2), because few rows say little. A step of a sequence gets,
for n = 1, 2 and so on, the ratios of the n-gram that ends there, one number for each output; 0 for an n-gram that was
not learned, or that only one row holds.

How far a row belongs to an output is a number from 0 to 1, its membership; nothing else is known of the targets.

A training row must not see its own target in its inputs, or the network would learn to read it there. So the training
rows are split into folds, and each gets the ratios counted without its own fold (cross-fitting, as in scikit-learn's
TargetEncoder); rows to predict get those counted on all training rows.

References
----------
S. Wang, C. D. Manning, "Baselines and bigrams: simple, good sentiment and topic classification", ACL 2012.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import StepFeatures
from seqclf._label_features.ngram_tables import NGramTables
from seqclf._label_features.ngrams import Holders
from seqclf._label_features.supervision import Supervision

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# With more outputs than this there are no ratios, because a step would be too wide. With 22 and 64 classes they raised
# no accuracy. With 20 labels they did: each label is a problem of its own.
MAX_OUTPUTS, MAX_LABELS = 10, 32
# What is added to every count: alpha in the paper, with its value there. And how few rows say little: of two rows, half
# of what they say counts.
SMOOTHING, SHRINKAGE = 1.0, 2.0


class LogCountRatios(NGramTables):
    """The ratios of n-grams of token ids, learned from memberships.

    Parameters
    ----------
    ngrams : NGrams
        The numbers of the n-grams, learned on the training rows.
    n_orders : int
        The longest n-grams: 1 for single tokens, 2 for tokens and pairs, and so on.

    Attributes
    ----------
    tables_ : tuple of ndarray of shape (1, n_ngrams, n_outputs), float32
        The ratios of the n-grams by their numbers, counted on all rows, for n = 1 and more.

    Examples
    --------
    Token 2 is in all rows that belong to the only output and in none of the others, token 4 in all rows:

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from seqclf._data.ragged import Ragged
    >>> from seqclf._label_features.ngrams import NGrams
    >>> ids = Ragged.from_items([[2, 4], [3, 4]] * 20)
    >>> memberships = csr_array(np.array([[1.0], [0.0]] * 20))
    >>> supervision = Supervision(memberships, np.ones(40), np.ones(40), fold=np.arange(40) // 2 % 5, calibrate=None)
    >>> ngrams = NGrams(n_orders=1, vocab_size=5)
    >>> ratios = LogCountRatios(ngrams, n_orders=1)
    >>> training = ratios.fit_transform(list(ngrams.learn(ids, limit=9)), supervision)
    >>> new = Ragged.from_items([[2, 3, 4]])
    >>> features = ratios.transform(ngrams.numbers(new), n_rows=1)
    >>> features.tables[0][0][features.entries].round(1).ravel()
    array([ 2.8, -2.8,  0. ], dtype=float32)
    """

    def fit_transform(
        self,
        learned: Sequence[tuple[NDArray[np.int32], Holders]],
        supervision: Supervision,
        keep_folds: bool = False,
    ) -> StepFeatures:
        """Learn the ratios, and give the training rows theirs, each counted without the rows of its own fold.

        Parameters
        ----------
        learned : sequence of (ndarray, Holders)
            What `NGrams.learn` gave for the training rows.
        supervision : Supervision
            What is known of their targets.
        keep_folds : bool, default=False
            Whether the tables without each fold are kept for `transform`.
        """
        weights = supervision.weights / supervision.weights.max()  # Their sum may not be finite.
        weights = weights / weights.mean()
        assert supervision.memberships is not None
        complete, spread, fold = _complete(supervision.memberships), supervision.spread, supervision.fold
        learned = learned[: self.n_orders]
        tables = [_ratios(holders, complete, spread, weights, fold) for _, holders in learned]
        return self._keep(tables, learned, fold, keep_folds)


def _complete(memberships: "csr_array") -> "csr_array":
    """The memberships with a column for what is left of each row, where anything is: the columns add up to 1.

    For a row with several labels what is left is negative, so that the sum over the columns counts it once.
    """
    from scipy.sparse import csr_array, hstack

    rest = 1.0 - memberships.sum(axis=1)
    return hstack([memberships, csr_array(rest[:, None])], format="csr") if rest.any() else memberships


def _ratios(
    holders: Holders,
    memberships: "csr_array",
    spread: NDArray[np.bool_],
    weights: NDArray[np.float64],
    fold: NDArray[np.int64],
) -> NDArray[np.float32]:
    """The ratios of n-grams for few outputs: counted on all rows, then without each fold.

    The columns of `memberships` add up to 1; the first ``len(spread)`` of them are outputs.
    Shape (1 + n_folds, n_ngrams, n_outputs).
    """
    kept = holders.kept
    n_ngrams, n_folds, n_columns = kept.shape[0], int(fold.max()) + 1, memberships.shape[1]
    holder, entry = _all_entries(memberships, kept.indices)
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


def _all_entries(matrix: "csr_array", rows: NDArray[np.int32]) -> tuple[Any, NDArray[Any]]:
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
