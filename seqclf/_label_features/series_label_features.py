"""Label features of series: the scores of a ridge model of random convolutions or of the last steps."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import EncodedSequences
from seqclf._label_features.label_features import InputKind, LabelFeatures
from seqclf._label_features.last_steps import LastSteps
from seqclf._label_features.linear_scores import Features, LinearScores
from seqclf._label_features.random_convolutions import RandomConvolutions, max_features_for
from seqclf._label_features.supervision import Supervision
from seqclf._saved import Saved, State

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from seqclf._label_features.ridge import Ridge

# The features that the ridge model can be fitted to, by their names in a state.
_FEATURES: dict[str, type[RandomConvolutions] | type[LastSteps]] = {
    "random convolutions": RandomConvolutions,
    "last steps": LastSteps,
}


class SeriesLabelFeatures(LabelFeatures):
    """Scores of series.

    Parameters
    ----------
    seed : int
        The seed of the random convolutions.
    """

    scores: LinearScores

    def __init__(self, seed: int):
        self._seed = seed

    def fit_transform(
        self, sequences: EncodedSequences, supervision: Supervision, keep_folds: bool = False
    ) -> EncodedSequences:
        """Draw convolutions, and fit the ridge model to their features.

        For numeric targets a model of the last steps is fitted too, because the features of convolutions show what
        happens in a series, but not when. It is used if its loss is lower by more than the standard error of the
        difference.
        """
        fit = partial(_fit, penalty_per_target=not supervision.exclusive)
        convolutions = RandomConvolutions(max_features_for(len(sequences)), self._seed)
        self.scores = LinearScores(convolutions, [fit])
        scores = self.scores.fit_transform(sequences.steps, supervision, keep_folds)
        if supervision.memberships is None:
            of_steps = LinearScores(LastSteps(), [fit])
            scores_of_steps = of_steps.fit_transform(sequences.steps, supervision, keep_folds)
            # The relative standard error of a mean of n squared normal errors is sqrt(2 / n). For the difference of two
            # such means it is about half of that, because the errors of both models are correlated.
            margin = 1 - np.sqrt(2 / max(len(sequences), 2)) / 2
            if of_steps.calibration_.loss < margin * self.scores.calibration_.loss:
                self.scores, scores = of_steps, scores_of_steps
        return replace(sequences, scores=scores)

    def transform(self, sequences: EncodedSequences, fold: NDArray[np.int64] | None = None) -> EncodedSequences:
        """Apply the ridge model."""
        return replace(sequences, scores=self.scores.transform(sequences.steps, fold))

    def mismatch(self, inputs: InputKind, n_outputs: int) -> str | None:
        """Why these features do not match the inputs and the number of outputs; None if they do."""
        features = self.scores.features
        assert isinstance(features, RandomConvolutions | LastSteps)
        if inputs.per_step or inputs.n_ids is not None or inputs.n_channels != features.n_channels_:
            return f"its linear model is one of series of {features.n_channels_} channels"
        return self._output_mismatch(n_outputs)

    def to_state(self) -> State:
        """The state to save."""
        kind = next(name for name, features in _FEATURES.items() if type(self.scores.features) is features)
        return {"features": kind, "scores": self.scores.to_state()}

    @classmethod
    def from_state(cls, saved: Saved) -> "SeriesLabelFeatures":
        """Restore the scores."""
        label_features, features = cls(seed=0), _FEATURES[saved.option("features", list(_FEATURES))]

        def restore(state: Saved) -> Features:
            return features.from_state(state)

        label_features.scores = saved.part("scores", lambda state: LinearScores.from_state(state, restore))
        return label_features


def _fit(
    features: NDArray[np.float32],
    targets: "csr_array | NDArray[np.float64]",
    weights: NDArray[np.float64],
    fold: NDArray[np.int64],
    penalty_per_target: bool,
) -> "Ridge":
    """Ridge models of values, or of memberships as -1 and 1, so that a score above 0 indicates an output."""
    from seqclf._label_features.ridge import fit_ridge

    values = targets if isinstance(targets, np.ndarray) else 2 * targets.toarray() - 1
    return fit_ridge(features, values, weights, fold, penalty_per_target)
