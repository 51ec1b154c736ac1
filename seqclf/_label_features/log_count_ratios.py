"""Log-count ratios of n-grams as step features: how strongly a token and the tokens before it indicate each output.

An n-gram is a token with the n - 1 tokens before it. Its ratio for an output measures how much more often it occurs in
rows of the output than in other rows (Wang & Manning 2012, eq. 1):

    r = log((p / |p|) / (q / |q|)),    p = 1 + rows of the output with the n-gram,    q = 1 + other rows with it,

where |.| is the sum over all n-grams of the same n (for n > 1 over the frequent ones, and one that no row contains).
The r of an n-gram in m rows is shrunk by m / (m + 2), because few rows are weak evidence. A step gets, for n = 1, 2 and
so on, the ratios of the n-gram that ends there, one value for each output. The ratios are 0 for an n-gram without an
id, and for one that only a single row contains.

The membership of a row in an output is a number from 0 to 1; ratios use no other information about the targets.

A training row must not see its own target in its inputs, or the network would fit to that leak. The training rows are
therefore split into folds, and each gets the ratios counted without its own fold (cross-fitting, as in scikit-learn's
TargetEncoder). In prediction, rows get the ratios counted on all training rows.

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
from seqclf._label_features.ngrams import NGramOccurrences
from seqclf._label_features.supervision import Supervision

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# With more outputs than this there are no ratios, because a step would be too wide. Ratios did not raise the accuracy
# with 22 and 64 classes. They did with 20 labels, each of which is a separate problem.
MAX_OUTPUTS, MAX_LABELS = 10, 32
# The smoothing is added to every count: alpha in the paper, with its value there. The shrinkage is the number of rows
# at which a ratio is halved.
SMOOTHING, SHRINKAGE = 1.0, 2.0


class LogCountRatios(NGramTables):
    """The ratios of n-grams of token ids, fitted to memberships.

    Parameters
    ----------
    ngrams : NGrams
        The n-gram ids, fitted to the training rows.
    n_orders : int
        The longest n-grams: 1 for single tokens, 2 for tokens and pairs, and so on.

    Attributes
    ----------
    tables_ : tuple of ndarray of shape (1, n_ngrams, n_outputs), float32
        The ratios of the n-grams by their ids, counted on all rows, for n = 1 and more.

    Examples
    --------
    Token 2 is in all rows of the only output and in no other row, token 4 in all rows:

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from seqclf._data.ragged import Ragged
    >>> from seqclf._label_features.ngrams import NGrams
    >>> ids = Ragged.from_items([[2, 4], [3, 4]] * 20)
    >>> memberships = csr_array(np.array([[1.0], [0.0]] * 20))
    >>> supervision = Supervision(memberships, np.ones(40), np.ones(40), fold=np.arange(40) // 2 % 5, calibrate=None)
    >>> ngrams = NGrams(n_orders=1, vocab_size=5)
    >>> ratios = LogCountRatios(ngrams, n_orders=1)
    >>> training = ratios.fit_transform(list(ngrams.fit_transform(ids, limit=9)), supervision)
    >>> new = Ragged.from_items([[2, 3, 4]])
    >>> features = ratios.transform(ngrams.transform(new), n_rows=1)
    >>> features.tables[0][0][features.entries].round(1).ravel()
    array([ 2.8, -2.8,  0. ], dtype=float32)
    """

    def fit_transform(
        self,
        orders: Sequence[tuple[NDArray[np.int32], NGramOccurrences]],
        supervision: Supervision,
        keep_folds: bool = False,
    ) -> StepFeatures:
        """Count the ratios, and return those of the training rows, each counted without the fold of the row.

        Parameters
        ----------
        orders : sequence of (ndarray, NGramOccurrences)
            The ids and occurrences that `NGrams.fit_transform` yields for the training rows.
        supervision : Supervision
            Targets and folds of the training rows.
        keep_folds : bool, default=False
            Whether to retain the tables without each fold for `transform`.
        """
        weights = supervision.weights / supervision.weights.max()  # The sum of huge weights may be infinite.
        weights = weights / weights.mean()
        assert supervision.memberships is not None
        complete, is_learnable, fold = _complete(supervision.memberships), supervision.is_learnable, supervision.fold
        orders = orders[: self.n_orders]
        tables = [_ratios(occurrences, complete, is_learnable, weights, fold) for _, occurrences in orders]
        return self._store(tables, orders, fold, keep_folds)


def _complete(memberships: "csr_array") -> "csr_array":
    """The memberships, with one more column if their sum is not 1 in every row: all columns together add up to 1.

    The additional value is negative for a row with several labels, so that a sum over the columns counts the row once.
    """
    from scipy.sparse import csr_array, hstack

    remainder = 1.0 - memberships.sum(axis=1)
    return hstack([memberships, csr_array(remainder[:, None])], format="csr") if remainder.any() else memberships


def _ratios(
    occurrences: NGramOccurrences,
    memberships: "csr_array",
    is_learnable: NDArray[np.bool_],
    weights: NDArray[np.float64],
    fold: NDArray[np.int64],
) -> NDArray[np.float32]:
    """The ratios of n-grams, counted on all rows, then without each fold: (1 + n_folds, n_ngrams, n_outputs).

    The columns of `memberships` add up to 1; the first ``len(is_learnable)`` of them are outputs.
    """
    selected = occurrences.selected
    n_ngrams, n_folds, n_columns = selected.shape[0], int(fold.max()) + 1, memberships.shape[1]
    # Each pair of an occurrence and a membership of its row adds to one cell of the counts (n_columns, n_ngrams).
    occurrence, entry = _all_entries(memberships, selected.indices)
    rows = selected.indices[occurrence]
    cells = memberships.indices[entry].astype(np.int64) * n_ngrams
    cells += np.repeat(np.arange(n_ngrams), np.diff(selected.indptr))[occurrence]
    # The counts of the unselected n-grams together, (n_folds, n_columns), which only the sums need.
    row_of_entry = np.repeat(np.arange(len(weights)), np.diff(memberships.indptr))
    entry_weights = (weights * occurrences.n_unselected)[row_of_entry] * memberships.data
    column_folds = memberships.indices * n_folds + fold[row_of_entry]
    unselected = np.bincount(column_folds, entry_weights, minlength=n_columns * n_folds)
    unselected = unselected.reshape(n_columns, n_folds).T
    # With rows sorted by fold, the sums over a fold and over all rows are added up in the same order. The count without
    # a fold is then exactly 0 for an n-gram that occurs in this fold only.
    by_fold = np.argsort(fold[rows].astype(np.int16), kind="stable")  # numpy sorts int16 in linear time.
    cells, cell_weights = cells[by_fold], weights[rows[by_fold]] * memberships.data[entry[by_fold]]
    fold_offsets = np.searchsorted(fold[rows[by_fold]], np.arange(n_folds + 1))

    def counts(start: int, stop: int) -> NDArray[np.float64]:
        sums = np.bincount(cells[start:stop], cell_weights[start:stop], minlength=n_columns * n_ngrams)
        # bincount returns integers for an empty array.
        return sums.astype(np.float64, copy=False).reshape(n_columns, n_ngrams)

    def ratios_of(counts: NDArray[np.float64], unselected: NDArray[np.float64]) -> NDArray[np.float32]:
        n_unselected = occurrences.n_total - n_ngrams
        ratios = _log_count_ratios(counts, unselected, n_unselected, n_outputs=len(is_learnable))
        ratios[:, ~is_learnable] = 0
        return ratios

    total, total_unselected = counts(0, len(rows)), unselected.sum(axis=0)
    folds = zip(pairwise(fold_offsets.tolist()), unselected, strict=True)
    without_folds = [ratios_of(total - counts(*span), total_unselected - in_fold) for span, in_fold in folds]
    return np.stack([ratios_of(total, total_unselected), *without_folds])


def _all_entries(matrix: "csr_array", rows: NDArray[np.int32]) -> tuple[Any, NDArray[Any]]:
    """All entries of `rows`: for each entry the position of its row in `rows`, and its position in ``matrix.data``."""
    n_entries = np.diff(matrix.indptr)
    if (n_entries == 1).all():
        return slice(None), rows
    n = n_entries[rows]
    position = np.repeat(np.arange(len(rows)), n)
    first = matrix.indptr[rows] - (np.cumsum(n) - n)
    return position, first[position] + np.arange(len(position))


def _log_count_ratios(
    counts: NDArray[np.float64], unselected: NDArray[np.float64], n_unselected: int, n_outputs: int
) -> NDArray[np.float32]:
    """Counts (n_columns, n_ngrams) -> ratios (n_ngrams, n_outputs); the ratios of an output without rows are 0.

    `unselected` are the counts of the `n_unselected` other n-grams together, (n_columns,).
    """
    totals = counts.sum(axis=0)
    ratios = np.zeros((counts.shape[1], n_outputs))
    for output, inside in enumerate(counts[:n_outputs]):
        outside = totals - inside
        unselected_inside, unselected_outside = unselected[output], unselected.sum() - unselected[output]
        if (inside.any() or unselected_inside > 0) and (outside.any() or unselected_outside > 0):
            p, q = SMOOTHING + inside, SMOOTHING + outside
            p_sum = p.sum() + (SMOOTHING * n_unselected + unselected_inside)
            q_sum = q.sum() + (SMOOTHING * n_unselected + unselected_outside)
            ratios[:, output] = np.log(p / p_sum) - np.log(q / q_sum)
    ratios *= (totals / (totals + SHRINKAGE))[:, None]
    return ratios.astype(np.float32)
