"""Contributions of the wide half of a model: what each token adds to the estimates of its linear model.

The value of a feature is divided equally among its occurrences in the text, and among the tokens of the n-gram. An
n-gram of characters belongs to the token that it is in.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._label_features.linear_scores import LinearScores, compute_scores
from seqclf._label_features.sparse_rows import SparseRows
from seqclf._label_features.tag_label_features import TagLabelFeatures
from seqclf._label_features.text_label_features import TextLabelFeatures
from seqclf._label_features.token_context import TokenContext
from seqclf._label_features.token_features import TokenFeatures, TokenRows

Floats = NDArray[np.float64]


def divide_ngram_values(values: Floats, order: int) -> Floats:
    """Divide the value of each n-gram of `order` tokens equally among them; `values`, (n_tokens,), are at its last one.

    A value at one of the first ``order - 1`` tokens must be 0: no n-gram ends there.
    """
    shared = np.zeros(len(values))
    for distance in range(min(order, len(values))):
        shared[: len(values) - distance] += values[distance:] / order
    return shared


def wide_contributions(features: TextLabelFeatures, sequence: EncodedSequences, output: int) -> Floats:
    """What each token of one text adds to the estimate of one output, compared with an empty text: (n_tokens,)."""
    scores, rows = cast(LinearScores, features.scores), features.token_rows(sequence)
    token_features = cast(TokenFeatures, scores.features)
    row = token_features.transform(rows)
    slopes = scores.mean_slopes(compute_scores(row, scores.coef_, scores.intercept_)[0], output)
    weight_of = _WeightOfOccurrence(row, scores.coef_, slopes, token_features, rows)
    contributions = np.zeros(sequence.steps.n_steps)
    for order, columns in enumerate(weight_of.ngram_columns, 1):
        contributions += divide_ngram_values(weight_of(columns), order)
    if (characters := weight_of.character_columns) is not None:
        token = np.repeat(np.arange(len(contributions)), characters.lengths)
        contributions += np.bincount(token, weight_of(characters.values), minlength=len(contributions))
    return contributions


class _WeightOfOccurrence:
    """The part of the estimate of a text that one occurrence of a feature has.

    Parameters
    ----------
    row : SparseRows
        The features of the text, as one row.
    coef : ndarray of shape (n_features, n_outputs)
        The weights of the features in the scores.
    slopes : ndarray of shape (n_outputs,)
        The weights of the scores in the estimate.
    features : TokenFeatures
    rows : TokenRows
        The text.
    """

    def __init__(
        self,
        row: SparseRows,
        coef: NDArray[np.float32],
        slopes: Floats,
        features: TokenFeatures,
        rows: TokenRows,
    ):
        self.ngram_columns = features.ngram_columns(rows)
        self.character_columns: Ragged | None = features.character_columns(rows)
        of_characters = [] if self.character_columns is None else [self.character_columns.values]
        occurring = np.concatenate([*self.ngram_columns, *of_characters])
        self._columns, n_occurrences = np.unique(occurring[occurring >= 0], return_counts=True)
        order = np.argsort(row.columns)  # the same columns
        self._weights = coef[self._columns] @ slopes * row.values[order] / n_occurrences

    def __call__(self, columns: NDArray[np.int32]) -> Floats:
        """The part of each occurrence; 0 for the column -1."""
        weights = np.zeros(len(columns))
        is_feature = columns >= 0
        weights[is_feature] = self._weights[np.searchsorted(self._columns, columns[is_feature])]
        return weights


def divide_context_scores(features: TagLabelFeatures, sequence: EncodedSequences, slopes: Floats) -> Floats:
    """Divide the scores of the steps of a tagger among the tokens whose features they were computed from.

    Parameters
    ----------
    features : TagLabelFeatures
    sequence : EncodedSequences
        One sequence.
    slopes : ndarray of shape (n_steps, n_outputs)
        The weight of each score in the output that is explained.

    Returns
    -------
    ndarray of shape (n_steps,)
        What depends on no single token, such as the intercept, belongs to the token at the step of the score.
    """
    scores = features.scores
    row = cast(TokenContext, scores.features).transform(features.spelled(sequence))
    estimates = features.transform(sequence).step_features
    n_steps = len(estimates)
    step = np.repeat(np.arange(n_steps), row.lengths)
    calibration_slopes = np.where(scores.is_learnable_, scores.calibration_.slope, 0.0)
    parts = row.values * ((scores.coef_[row.columns] * calibration_slopes) * slopes[step]).sum(axis=1)
    contributions = (estimates * slopes).sum(axis=1) - np.bincount(step, parts, minlength=n_steps)
    for tokens in (step[:, None] + cast(TokenContext, scores.features).distances[row.columns]).T:
        contributions += np.bincount(tokens, parts / 2, minlength=n_steps)
    return contributions
