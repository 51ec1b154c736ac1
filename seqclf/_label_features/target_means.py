"""Shrunken means of numeric targets for n-grams, as step features.

An n-gram is a token with the n - 1 tokens before it. Its value for an output is the mean target of the m rows that
contain it, as a difference from the mean of all rows, shrunk towards 0 by a constant s because few rows are weak
evidence (Micci-Barreca 2001):

    sum of (target - mean of all targets) over the rows that contain the n-gram / (m + s).

For numeric targets, this is what log-count ratios are for classes. A step gets, for n = 1, 2 and so on, the values of
the n-gram that ends there, one for each output. The values are 0 for an n-gram without an id, and for one that only a
single row contains. A training row gets the values computed without its own fold. In prediction, rows get the values of
all training rows.

References
----------
D. Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes in classification and prediction
problems", ACM SIGKDD Explorations 3 (2001).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import StepFeatures
from seqclf._label_features.ngram_tables import NGramTables
from seqclf._label_features.ngrams import NGramOccurrences
from seqclf._label_features.supervision import Supervision

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# The constant s: the number of rows at which a value is halved.
SHRINKAGE = 3.0


class TargetMeans(NGramTables):
    """The shrunken means of n-grams of token ids, fitted to numeric targets.

    Parameters
    ----------
    ngrams : NGrams
        The n-gram ids, fitted to the training rows.
    n_orders : int
        The longest n-grams: 1 for single tokens, 2 for tokens and pairs, and so on.

    Attributes
    ----------
    tables_ : tuple of ndarray of shape (1, n_ngrams, n_outputs), float32
        The values of the n-grams by their ids, fitted to all rows, for n = 1 and more.

    Examples
    --------
    Token 2 is in all rows with the target 1, token 3 in all rows with the target -1, token 4 in all rows:

    >>> import numpy as np
    >>> from seqclf._data.ragged import Ragged
    >>> from seqclf._label_features.ngrams import NGrams
    >>> ids = Ragged.from_items([[2, 4], [3, 4]] * 20)
    >>> targets = np.array([[1.0], [-1.0]] * 20)
    >>> supervision = Supervision(targets, np.ones(40), np.ones(40), fold=np.arange(40) // 2 % 5, calibrate=None)
    >>> ngrams = NGrams(n_orders=1, vocab_size=5)
    >>> means = TargetMeans(ngrams, n_orders=1)
    >>> training = means.fit_transform(list(ngrams.fit_transform(ids, limit=9)), supervision)
    >>> new = Ragged.from_items([[2, 3, 4]])
    >>> features = means.transform(ngrams.transform(new), n_rows=1)
    >>> features.tables[0][0][features.entries].round(1).ravel()
    array([ 0.9, -0.9,  0. ], dtype=float32)
    """

    def fit_transform(
        self,
        orders: Sequence[tuple[NDArray[np.int32], NGramOccurrences]],
        supervision: Supervision,
        keep_folds: bool = False,
    ) -> StepFeatures:
        """Compute the means, and return those of the training rows, each without the fold of the row.

        Parameters
        ----------
        orders : sequence of (ndarray, NGramOccurrences)
            The ids and occurrences that `NGrams.fit_transform` yields for the training rows.
        supervision : Supervision
            Targets and folds of the training rows.
        keep_folds : bool, default=False
            Whether to retain the tables without each fold for `transform`.
        """
        assert supervision.memberships is None
        weights, fold = supervision.weights / supervision.weights.max(), supervision.fold
        weights = weights / weights.mean()
        orders = orders[: self.n_orders]
        tables = [_means(occurrences.selected, supervision.targets, weights, fold) for _, occurrences in orders]
        return self._store(tables, orders, fold, keep_folds)


def _means(
    occurrences: "csr_array", targets: NDArray[np.float64], weights: NDArray[np.float64], fold: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The values of n-grams over all rows, then without each fold: (1 + n_folds, n_ngrams, n_outputs)."""
    weighted = np.column_stack([weights, targets * weights[:, None]])
    # For each fold the sum of weights, then the weighted sums of targets: over all rows (n_folds, 1 + n_outputs), and
    # over the rows that contain each n-gram (n_folds, n_ngrams, 1 + n_outputs).
    by_fold = [np.where((fold == i)[:, None], weighted, 0.0) for i in range(int(fold.max()) + 1)]
    totals = np.stack([values.sum(axis=0) for values in by_fold])
    sums = np.stack([occurrences @ values for values in by_fold])
    # The other folds are added up; subtracting this fold would not give exactly 0 for an n-gram that occurs only in it.
    used = [np.ones(len(sums), dtype=bool), *~np.eye(len(sums), dtype=bool)]
    return np.stack([_shrunken_means(sums[folds].sum(axis=0), totals[folds].sum(axis=0)) for folds in used])


def _shrunken_means(sums: NDArray[np.float64], totals: NDArray[np.float64]) -> NDArray[np.float32]:
    """Sums over the rows of each n-gram (n_ngrams, 1 + n_outputs), and over all rows -> means (n_ngrams, n_outputs)."""
    mean = totals[1:] / totals[0] if totals[0] else 0 * totals[1:]
    n_rows, target_sums = sums[:, :1], sums[:, 1:]
    return ((target_sums - n_rows * mean) / (n_rows + SHRINKAGE)).astype(np.float32)
