"""Label features for tagging: the scores of a linear model of each token and its neighbours."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import EncodedSequences, StepFeatures
from seqclf._label_features.label_features import InputKind, LabelFeatures
from seqclf._label_features.linear_scores import LinearScores
from seqclf._label_features.supervision import Supervision
from seqclf._label_features.token_context import SpelledTokens, TokenContext
from seqclf._saved import Saved, State

# The candidates for C.
_C_CANDIDATES = (1.0, 3.0)
# With more tokens times outputs than this, only the first candidate is fitted, which is the fastest.
_MAX_SCORES_TO_TUNE = 10_000_000


class TagLabelFeatures(LabelFeatures):
    """Scores of tokens, as step features.

    Parameters
    ----------
    tokens : sequence of str or None
        The token of each id in the vocabulary; None if token ids have no other names.
    """

    scores: LinearScores

    def __init__(self, tokens: Sequence[str] | None):
        self._tokens = tokens

    @property
    def n_step_features(self) -> int:
        """The number of features of each token."""
        return len(self.scores.intercept_)

    def fit_transform(
        self, sequences: EncodedSequences, supervision: Supervision, keep_folds: bool = False
    ) -> EncodedSequences:
        """Fit the linear models; the rows of `supervision` are tokens."""
        n_scores = sequences.steps.n_steps * supervision.n_outputs
        from seqclf._label_features.linear_models import fit_linear_models

        candidates = _C_CANDIDATES if n_scores <= _MAX_SCORES_TO_TUNE else _C_CANDIDATES[:1]
        fits = [partial(fit_linear_models, C=C, loss="squared_hinge") for C in candidates]
        self.scores = LinearScores(TokenContext(), fits)
        return _with_scores(sequences, self.scores.fit_transform(self.spelled(sequences), supervision, keep_folds))

    def transform(self, sequences: EncodedSequences, fold: NDArray[np.int64] | None = None) -> EncodedSequences:
        """Apply the linear models."""
        token_fold = None if fold is None else np.repeat(fold, sequences.lengths)
        return _with_scores(sequences, self.scores.transform(self.spelled(sequences), token_fold))

    def mismatch(self, inputs: InputKind, n_outputs: int) -> str | None:
        """Why these features do not match the inputs and the number of outputs; None if they do."""
        if not inputs.per_step or inputs.n_ids is None:
            return "its linear model is one of tokens that have a label each"
        if self._tokens is not None and len(self._tokens) != inputs.n_ids:
            return f"its linear model has {len(self._tokens)} tokens, not {inputs.n_ids}"
        return self._output_mismatch(n_outputs)

    def to_state(self) -> State:
        """The state to save, without the names of the tokens."""
        return {"scores": self.scores.to_state()}

    @classmethod
    def from_state(cls, saved: Saved, tokens: Sequence[str] | None) -> "TagLabelFeatures":
        """Restore the features, for tokens with these names."""
        features = cls(tokens)
        features.scores = saved.part("scores", lambda state: LinearScores.from_state(state, TokenContext.from_state))
        return features

    def spelled(self, sequences: EncodedSequences) -> SpelledTokens:
        """The sequences in the form that the linear model needs."""
        spelling = sequences.spelling
        if spelling is None or self._tokens is None:
            return SpelledTokens(sequences.steps, self._tokens, False)
        ids = replace(sequences.steps, values=spelling.ids)
        return SpelledTokens(ids, [*self._tokens, *spelling.new_tokens], True)


def _with_scores(sequences: EncodedSequences, scores: NDArray[np.float32]) -> EncodedSequences:
    """The sequences with the scores of each token as step features."""
    entries = np.arange(len(scores), dtype=np.int32)[:, None]
    features = StepFeatures(entries, (scores[None],), np.zeros(len(sequences), dtype=np.int64))
    return replace(sequences, features=features, spelling=None)
