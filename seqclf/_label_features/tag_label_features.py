"""What the targets say of each token of a sequence: the scores of a linear model of the token and its neighbours."""

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

# How closely the linear models may fit, to choose from; with more tokens times outputs than this it is the first one,
# which takes the least time.
_STRENGTHS = (1.0, 3.0)
_MAX_TO_CHOOSE = 10_000_000


class TagLabelFeatures(LabelFeatures):
    """Scores of tokens, which are numbers next to each token.

    Parameters
    ----------
    tokens : sequence of str or None
        What the token ids that are known are called; None where that is their numbers.
    """

    scores: LinearScores

    def __init__(self, tokens: Sequence[str] | None):
        self._tokens = tokens

    @property
    def n_step_features(self) -> int:
        """Numbers next to each token."""
        return len(self.scores.intercept_)

    def fit_transform(
        self, sequences: EncodedSequences, supervision: Supervision, keep_folds: bool = False
    ) -> EncodedSequences:
        """Learn the linear models; `supervision` is of tokens."""
        n_scores = sequences.steps.n_steps * supervision.n_outputs
        from seqclf._label_features.linear_models import fit_linear_models

        strengths = _STRENGTHS if n_scores <= _MAX_TO_CHOOSE else _STRENGTHS[:1]
        fits = [partial(fit_linear_models, C=C, loss="squared_hinge") for C in strengths]
        self.scores = LinearScores(TokenContext(), fits)
        return _with(sequences, self.scores.fit_transform(self._spelled(sequences), supervision, keep_folds))

    def transform(self, sequences: EncodedSequences, fold: NDArray[np.int64] | None = None) -> EncodedSequences:
        """Apply the linear models."""
        of_tokens = None if fold is None else np.repeat(fold, sequences.lengths)
        return _with(sequences, self.scores.transform(self._spelled(sequences), of_tokens))

    def mismatch(self, inputs: InputKind, n_outputs: int) -> str | None:
        """Why these features do not go with such inputs and so many outputs; None if they do."""
        if not inputs.per_step or inputs.n_ids is None:
            return "its linear model is one of tokens that have a label each"
        if self._tokens is not None and len(self._tokens) != inputs.n_ids:
            return f"its linear model knows {len(self._tokens)} tokens, not {inputs.n_ids}"
        return self._other_outputs(n_outputs)

    def to_state(self) -> State:
        """What is saved, but not what the tokens are called."""
        return {"scores": self.scores.to_state()}

    @classmethod
    def from_state(cls, saved: Saved, tokens: Sequence[str] | None) -> "TagLabelFeatures":
        """The same features, where the tokens are called that."""
        features = cls(tokens)
        features.scores = saved.part("scores", lambda part: LinearScores.from_state(part, TokenContext.from_state))
        return features

    def _spelled(self, sequences: EncodedSequences) -> SpelledTokens:
        spelling = sequences.spelling
        if spelling is None or self._tokens is None:
            return SpelledTokens(sequences.steps, self._tokens, False)
        ids = replace(sequences.steps, values=spelling.ids)
        return SpelledTokens(ids, [*self._tokens, *spelling.new_tokens], True)


def _with(sequences: EncodedSequences, scores: NDArray[np.float32]) -> EncodedSequences:
    """The sequences, each token with its scores."""
    entries = np.arange(len(scores), dtype=np.int32)[:, None]
    features = StepFeatures(entries, (scores[None],), np.zeros(len(sequences), dtype=np.int64))
    return replace(sequences, features=features, spelling=None)
