"""What numeric targets say of each token and of the tokens before it: shrunken means as inputs of a network.

An n-gram is a token with the n - 1 tokens before it. Its value for an output is the mean of the targets of the m rows
that hold it, as a difference from the mean of all rows, shrunk towards 0 by a constant s because few rows say little
(Micci-Barreca 2001):

    sum of (target - mean of all targets) over the rows that hold the n-gram / (m + s).

This is for numbers what log-count ratios are for classes. A step of a sequence gets, for n = 1, 2 and so on, the values
of the n-gram that ends there, one number for each output; 0 for an n-gram that was not learned, or that only one row
holds. A training row gets the values computed without the rows of its own fold; rows to predict get those of all
training rows.

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
from seqclf._label_features.ngrams import Holders
from seqclf._label_features.supervision import Supervision

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# How few rows say little.
SHRINKAGE = 3.0


class TargetMeans(NGramTables):
    """The shrunken means of n-grams of token ids, learned from numeric targets.

    Parameters
    ----------
    ngrams : NGrams
        The numbers of the n-grams, learned on the training rows.
    n_orders : int
        The longest n-grams: 1 for single tokens, 2 for tokens and pairs, and so on.

    Attributes
    ----------
    tables_ : tuple of ndarray of shape (1, n_ngrams, n_outputs), float32
        The values of the n-grams by their numbers, learned from all rows, for n = 1 and more.

    Examples
    --------
    Token 2 is in the rows whose target is 1, token 3 in those whose target is -1, token 4 in all rows:

    >>> import numpy as np
    >>> from seqclf._data.ragged import Ragged
    >>> from seqclf._label_features.ngrams import NGrams
    >>> ids = Ragged.from_items([[2, 4], [3, 4]] * 20)
    >>> targets = np.array([[1.0], [-1.0]] * 20)
    >>> supervision = Supervision(targets, np.ones(40), np.ones(40), fold=np.arange(40) // 2 % 5, calibrate=None)
    >>> ngrams = NGrams(n_orders=1, vocab_size=5)
    >>> means = TargetMeans(ngrams, n_orders=1)
    >>> training = means.fit_transform(list(ngrams.learn(ids, limit=9)), supervision)
    >>> new = Ragged.from_items([[2, 3, 4]])
    >>> features = means.transform(ngrams.numbers(new), n_rows=1)
    >>> features.tables[0][0][features.entries].round(1).ravel()
    array([ 0.9, -0.9,  0. ], dtype=float32)
    """

    def fit_transform(
        self,
        learned: Sequence[tuple[NDArray[np.int32], Holders]],
        supervision: Supervision,
        keep_folds: bool = False,
    ) -> StepFeatures:
        """Learn the means, and give the training rows theirs, each without the rows of its own fold.

        Parameters
        ----------
        learned : sequence of (ndarray, Holders)
            What `NGrams.learn` gave for the training rows.
        supervision : Supervision
            What is known of their targets.
        keep_folds : bool, default=False
            Whether the tables without each fold are kept for `transform`.
        """
        assert supervision.memberships is None
        weights, fold = supervision.weights / supervision.weights.max(), supervision.fold
        weights = weights / weights.mean()
        learned = learned[: self.n_orders]
        tables = [_means(holders.kept, supervision.targets, weights, fold) for _, holders in learned]
        return self._keep(tables, learned, fold, keep_folds)


def _means(
    kept: "csr_array", targets: NDArray[np.float64], weights: NDArray[np.float64], fold: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The values of n-grams: of all rows, then without each fold. Shape (1 + n_folds, n_ngrams, n_outputs)."""
    weighted = np.column_stack([weights, targets * weights[:, None]])
    # The sums over each fold, (n_folds, 1 + n_outputs, n_ngrams): of weights first.
    in_fold = [np.where((fold == one)[:, None], weighted, 0.0) for one in range(int(fold.max()) + 1)]
    totals = np.stack([each.sum(axis=0) for each in in_fold])
    sums = np.stack([kept @ each for each in in_fold])
    # The other folds are added up, not this one subtracted: then what only one fold holds is exactly 0 without it.
    used = [np.ones(len(sums), dtype=bool), *~np.eye(len(sums), dtype=bool)]
    return np.stack([_shrunken(sums[some].sum(axis=0), totals[some].sum(axis=0)) for some in used])


def _shrunken(sums: NDArray[np.float64], totals: NDArray[np.float64]) -> NDArray[np.float32]:
    """Sums over the rows that hold each n-gram (n_ngrams, 1 + n_outputs), and over all -> (n_ngrams, n_outputs)."""
    mean = totals[1:] / totals[0] if totals[0] else 0 * totals[1:]
    n_rows, of_targets = sums[:, :1], sums[:, 1:]
    return ((of_targets - n_rows * mean) / (n_rows + SHRINKAGE)).astype(np.float32)
