"""What the targets say of series: the scores of a ridge model, of random convolutions or of the last steps."""

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from seqclf._data.encoded import EncodedSequences
from seqclf._label_features.label_features import LabelFeatures
from seqclf._label_features.last_steps import LastSteps
from seqclf._label_features.linear import linear
from seqclf._label_features.linear_scores import LinearScores
from seqclf._label_features.random_convolutions import RandomConvolutions, most_features
from seqclf._label_features.ridge import Ridge, fit_ridge
from seqclf._label_features.supervision import Supervision


class SeriesLabelFeatures(LabelFeatures):
    """Scores of series.

    Parameters
    ----------
    seed : int
        Of the random convolutions.
    """

    scores: LinearScores

    def __init__(self, seed: int):
        self._seed = seed

    def fit_transform(
        self, sequences: EncodedSequences, supervision: Supervision, keep_folds: bool = False
    ) -> EncodedSequences:
        """Draw convolutions, and fit the ridge model to what they find.

        Where targets are numbers, a model of the last steps is fitted too, because convolutions say what happens in a
        series, and not when. It is kept if its loss is lower by more than the standard error of the difference.
        """
        fit = partial(_fit, separately=not supervision.exclusive)
        convolutions = RandomConvolutions(most_features(len(sequences)), self._seed)
        self.scores = LinearScores(convolutions, [fit], linear)
        scores = self.scores.fit_transform(sequences.steps, supervision, keep_folds)
        if supervision.memberships is None:
            of_steps = LinearScores(LastSteps(), [fit], linear)
            scores_of_steps = of_steps.fit_transform(sequences.steps, supervision, keep_folds)
            # The standard error of a mean of n squares of normal errors is sqrt(2 / n) of it. That of the difference of
            # two such means is about half of that, because the errors of both models are alike.
            margin = 1 - np.sqrt(2 / max(len(sequences), 2)) / 2
            if of_steps.calibration_.loss < margin * self.scores.calibration_.loss:
                self.scores, scores = of_steps, scores_of_steps
        return replace(sequences, scores=scores)

    def transform(self, sequences: EncodedSequences, fold: NDArray[np.int64] | None = None) -> EncodedSequences:
        """Apply the ridge model."""
        return replace(sequences, scores=self.scores.transform(sequences.steps, fold))


def _fit(
    features: NDArray[np.float32],
    targets: csr_array | NDArray[np.float64],
    weights: NDArray[np.float64],
    fold: NDArray[np.int64],
    separately: bool,
) -> Ridge:
    """Ridge models of numbers, or of memberships as -1 and 1, so that a score above 0 speaks for an output."""
    numbers = 2 * targets.toarray() - 1 if isinstance(targets, csr_array) else targets
    return fit_ridge(features, numbers, weights, fold, separately)
