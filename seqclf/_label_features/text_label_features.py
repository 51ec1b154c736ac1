"""What the targets say of texts: of n-grams at each step, and the scores of a linear model."""

from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import EncodedSequences
from seqclf._label_features.label_features import InputKind, LabelFeatures
from seqclf._label_features.linear_scores import LinearScores
from seqclf._label_features.log_count_ratios import MAX_LABELS, MAX_OUTPUTS, LogCountRatios
from seqclf._label_features.ngrams import NGrams
from seqclf._label_features.supervision import Supervision
from seqclf._label_features.target_means import TargetMeans
from seqclf._label_features.token_features import TokenFeatures, TokenNames, Tokens
from seqclf._saved import Saved, State

# The largest number of n-grams of one length, times the outputs; and of features times outputs: limits to memory, of
# 16 MB and 80 MB of float32.
_MAX_RATIOS, _MAX_WEIGHTS = 2**22, 20_000_000
# The longest n-grams of which those in one row are features too.
_MAX_RARE_ORDER = 2
# How closely the linear models may fit, to choose from: the fewer rows the more closely, and the less noise the more.
_STRENGTHS = (0.3, 1.0, 3.0)
# With more tokens times outputs than this one fit takes long enough; then it is the middle one, the best of many rows.
_MAX_TO_CHOOSE = 10_000_000

# What is known of n-grams, by the names that a state has for it.
_OF_NGRAMS: dict[str, type[LogCountRatios] | type[TargetMeans]] = {"ratios": LogCountRatios, "means": TargetMeans}


class TextLabelFeatures(LabelFeatures):
    """Ratios and scores from one count of the n-grams.

    Parameters
    ----------
    nb_ngrams : int
        The longest n-grams whose ratios or means are next to each token; 0 for none. With more than ten classes, or 32
        labels or numbers, there are none.
    wide_ngrams : int
        The longest n-grams that the linear model reads; 0 for no such model.
    vocab_size : int
        The number of token ids.
    names : TokenNames or None
        What the tokens are called; None where their ids are their names.

    Attributes
    ----------
    of_ngrams : LogCountRatios, TargetMeans or None
        What steps are told: of memberships ratios, of numbers means.
    """

    def __init__(self, nb_ngrams: int, wide_ngrams: int, vocab_size: int, names: TokenNames | None):
        self.nb_ngrams, self._wide_ngrams, self._names = nb_ngrams, wide_ngrams, names
        # Of pairs of words many are in one row and in one row of new texts.
        n_rare = 0 if wide_ngrams > _MAX_RARE_ORDER else wide_ngrams
        self._ngrams = NGrams(max(nb_ngrams, wide_ngrams), vocab_size, n_rare)
        self.of_ngrams: LogCountRatios | TargetMeans | None = None

    def mismatch(self, inputs: InputKind, n_outputs: int) -> str | None:
        """Why these features do not go with such inputs and so many outputs; None if they do."""
        if inputs.per_step or inputs.n_ids != self._ngrams.vocab_size:
            return f"its n-grams are those of texts of {self._ngrams.vocab_size} token ids"
        of_tokens = None if self.scores is None else self.scores.features
        if isinstance(of_tokens, TokenFeatures) and of_tokens.characters_ is not None and not inputs.spelled:
            return "it has n-grams of characters, and its tokens no spelling"
        if self.of_ngrams is not None and self.of_ngrams.tables_[0].shape[2] != n_outputs:
            return f"what it knows of n-grams is of {self.of_ngrams.tables_[0].shape[2]} outputs, not {n_outputs}"
        return self._other_outputs(n_outputs)

    @property
    def n_step_features(self) -> int:
        """Numbers next to each token."""
        return 0 if self.of_ngrams is None else sum(table.shape[2] for table in self.of_ngrams.tables_)

    def fit_transform(
        self, sequences: EncodedSequences, supervision: Supervision, keep_folds: bool = False
    ) -> EncodedSequences:
        """Learn ratios and linear models."""
        n_outputs, of_numbers = supervision.n_outputs, supervision.memberships is None
        ids = sequences.steps
        learned = list(self._ngrams.learn(ids, max(_MAX_RATIOS // n_outputs, 1)))
        features = scores = None
        if self.nb_ngrams and n_outputs <= (MAX_OUTPUTS if supervision.exclusive else MAX_LABELS):
            self.of_ngrams = (TargetMeans if of_numbers else LogCountRatios)(self._ngrams, self.nb_ngrams)
            features = self.of_ngrams.fit_transform(learned, supervision, keep_folds)
        if self._wide_ngrams:
            of_tokens = TokenFeatures(self._ngrams, self._wide_ngrams, self._names, _MAX_WEIGHTS // n_outputs)
            from seqclf._label_features.linear_models import fit_linear_models

            strengths = _STRENGTHS if ids.n_steps * n_outputs <= _MAX_TO_CHOOSE else _STRENGTHS[1:2]
            loss: Literal["squared_error", "squared_hinge"] = "squared_error" if of_numbers else "squared_hinge"
            fits = [partial(fit_linear_models, C=C, loss=loss) for C in strengths]
            self.scores = LinearScores(of_tokens, fits)
            tokens = Tokens(ids, [numbers for numbers, _ in learned], sequences.spelling)
            scores = self.scores.fit_transform(tokens, supervision, keep_folds)
        return replace(sequences, features=features, scores=scores, spelling=None)

    def transform(self, sequences: EncodedSequences, fold: NDArray[np.int64] | None = None) -> EncodedSequences:
        """Look ratios up, and apply the linear models."""
        ids = sequences.steps
        numbers = self._ngrams.numbers(ids)
        features = None if self.of_ngrams is None else self.of_ngrams.transform(numbers, len(ids), fold)
        scores = None
        if self.scores is not None:
            scores = self.scores.transform(Tokens(ids, numbers, sequences.spelling), fold)
        return replace(sequences, features=features, scores=scores, spelling=None)

    def to_state(self) -> State:
        """What is saved, but not the names of the tokens."""
        of_ngrams = None
        if self.of_ngrams is not None:
            kind = next(name for name, of in _OF_NGRAMS.items() if type(self.of_ngrams) is of)
            of_ngrams = {"kind": kind, **self.of_ngrams.to_state()}
        return {
            "nb_ngrams": self.nb_ngrams,
            "wide_ngrams": self._wide_ngrams,
            "ngrams": self._ngrams.to_state(),
            "of_ngrams": of_ngrams,
            "scores": None if self.scores is None else self.scores.to_state(),
        }

    @classmethod
    def from_state(cls, saved: Saved, names: TokenNames | None) -> "TextLabelFeatures":
        """The same features, where the tokens have these names."""
        ngrams = saved.part("ngrams", NGrams.from_state)
        n_orders = ngrams.n_orders
        nb_ngrams, wide_ngrams = (saved.integer(name, high=n_orders) for name in ("nb_ngrams", "wide_ngrams"))
        saved.require(n_orders == max(nb_ngrams, wide_ngrams, 1), "the longest n-grams are not those that are needed")
        features = cls(nb_ngrams, wide_ngrams, ngrams.vocab_size, names)
        features._ngrams = ngrams
        if saved.value("of_ngrams") is not None:
            features.of_ngrams = saved.part("of_ngrams", lambda part: _read_of_ngrams(part, ngrams))
            saved.require(features.of_ngrams.n_orders == nb_ngrams, "there are not nb_ngrams tables")
        if saved.value("scores") is not None:
            features.scores = saved.part(
                "scores",
                lambda part: LinearScores.from_state(part, lambda each: TokenFeatures.from_state(each, ngrams, names)),
            )
        return features


def _read_of_ngrams(saved: Saved, ngrams: NGrams) -> LogCountRatios | TargetMeans:
    return _OF_NGRAMS[saved.option("kind", list(_OF_NGRAMS))].from_state(saved, ngrams)
