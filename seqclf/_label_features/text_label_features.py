"""Label features of texts: values of the n-grams at each step, and the scores of a linear model."""

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
from seqclf._label_features.token_features import TokenFeatures, TokenNames, TokenRows
from seqclf._saved import Saved, State

# Memory limits: the largest number of n-grams of one length times outputs (16 MB of float32), and of features times
# outputs (80 MB).
_MAX_RATIOS, _MAX_WEIGHTS = 2**22, 20_000_000
# The longest n-grams that are features even if they occur in a single row.
_MAX_RARE_ORDER = 2
# The candidates for C. Large values suit few rows, and targets with little noise.
_C_CANDIDATES = (0.3, 1.0, 3.0)
# With more tokens times outputs than this only the middle candidate is fitted, to save time; it is the best one for
# many rows.
_MAX_SCORES_TO_TUNE = 10_000_000

# The features of n-grams, by their names in a state.
_NGRAM_FEATURES: dict[str, type[LogCountRatios] | type[TargetMeans]] = {"ratios": LogCountRatios, "means": TargetMeans}


class TextLabelFeatures(LabelFeatures):
    """Step features and scores of texts, from the same n-gram ids.

    Parameters
    ----------
    nb_ngrams : int
        The longest n-grams whose ratios or means are step features; 0 for none. There are also none with more than ten
        classes, or 32 labels or numeric targets.
    wide_ngrams : int
        The longest n-grams that are features of the linear model; 0 for no such model.
    vocab_size : int
        The number of token ids.
    names : TokenNames or None
        The names of the tokens; None if token ids have no other names.

    Attributes
    ----------
    of_ngrams : LogCountRatios, TargetMeans or None
        The step features: ratios for memberships, means for numeric targets.
    """

    def __init__(self, nb_ngrams: int, wide_ngrams: int, vocab_size: int, names: TokenNames | None):
        self.nb_ngrams, self._wide_ngrams, self._names = nb_ngrams, wide_ngrams, names
        # Many pairs of words occur in a single row of the training texts, and again in new texts.
        max_rare_order = 0 if wide_ngrams > _MAX_RARE_ORDER else wide_ngrams
        self._ngrams = NGrams(max(nb_ngrams, wide_ngrams), vocab_size, max_rare_order)
        self.of_ngrams: LogCountRatios | TargetMeans | None = None

    def mismatch(self, inputs: InputKind, n_outputs: int) -> str | None:
        """Why these features do not match the inputs and the number of outputs; None if they do."""
        if inputs.per_step or inputs.n_ids != self._ngrams.vocab_size:
            return f"its n-grams are those of texts of {self._ngrams.vocab_size} token ids"
        features = None if self.scores is None else self.scores.features
        if isinstance(features, TokenFeatures) and features.characters_ is not None and not inputs.spelled:
            return "it has n-grams of characters, but its tokens have no spelling"
        if self.of_ngrams is not None and self.of_ngrams.tables_[0].shape[2] != n_outputs:
            return f"its n-gram tables are for {self.of_ngrams.tables_[0].shape[2]} outputs, not {n_outputs}"
        return self._output_mismatch(n_outputs)

    @property
    def n_step_features(self) -> int:
        """The number of features of each token."""
        return 0 if self.of_ngrams is None else sum(table.shape[2] for table in self.of_ngrams.tables_)

    def fit_transform(
        self, sequences: EncodedSequences, supervision: Supervision, keep_folds: bool = False
    ) -> EncodedSequences:
        """Fit the tables of n-grams and the linear models."""
        n_outputs, is_numeric = supervision.n_outputs, supervision.memberships is None
        ids = sequences.steps
        orders = list(self._ngrams.fit_transform(ids, max(_MAX_RATIOS // n_outputs, 1)))
        features = scores = None
        if self.nb_ngrams and n_outputs <= (MAX_OUTPUTS if supervision.exclusive else MAX_LABELS):
            self.of_ngrams = (TargetMeans if is_numeric else LogCountRatios)(self._ngrams, self.nb_ngrams)
            features = self.of_ngrams.fit_transform(orders, supervision, keep_folds)
        if self._wide_ngrams:
            token_features = TokenFeatures(self._ngrams, self._wide_ngrams, self._names, _MAX_WEIGHTS // n_outputs)
            from seqclf._label_features.linear_models import fit_linear_models

            candidates = _C_CANDIDATES if ids.n_steps * n_outputs <= _MAX_SCORES_TO_TUNE else _C_CANDIDATES[1:2]
            loss: Literal["squared_error", "squared_hinge"] = "squared_error" if is_numeric else "squared_hinge"
            fits = [partial(fit_linear_models, C=C, loss=loss) for C in candidates]
            self.scores = LinearScores(token_features, fits)
            rows = TokenRows(ids, [ngram_ids for ngram_ids, _ in orders], sequences.spelling)
            scores = self.scores.fit_transform(rows, supervision, keep_folds)
        return replace(sequences, features=features, scores=scores, spelling=None)

    def transform(self, sequences: EncodedSequences, fold: NDArray[np.int64] | None = None) -> EncodedSequences:
        """Look up the n-grams, and apply the linear models."""
        rows = self.token_rows(sequences)
        features = None if self.of_ngrams is None else self.of_ngrams.transform(rows.ngram_ids, len(rows.ids), fold)
        scores = None if self.scores is None else self.scores.transform(rows, fold)
        return replace(sequences, features=features, scores=scores, spelling=None)

    def token_rows(self, sequences: EncodedSequences) -> TokenRows:
        """The sequences in the forms that the linear model needs."""
        ids = sequences.steps
        return TokenRows(ids, self._ngrams.transform(ids), sequences.spelling)

    def to_state(self) -> State:
        """The state to save, without the names of the tokens."""
        of_ngrams = None
        if self.of_ngrams is not None:
            kind = next(name for name, features in _NGRAM_FEATURES.items() if type(self.of_ngrams) is features)
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
        """Restore the features, for tokens with these names."""
        ngrams = saved.part("ngrams", NGrams.from_state)
        n_orders = ngrams.n_orders
        nb_ngrams, wide_ngrams = (saved.integer(name, high=n_orders) for name in ("nb_ngrams", "wide_ngrams"))
        saved.require(n_orders == max(nb_ngrams, wide_ngrams, 1), "the longest n-grams are not those that are needed")
        features = cls(nb_ngrams, wide_ngrams, ngrams.vocab_size, names)
        features._ngrams = ngrams
        if saved.value("of_ngrams") is not None:
            features.of_ngrams = saved.part("of_ngrams", lambda state: _restore_ngram_features(state, ngrams))
            saved.require(features.of_ngrams.n_orders == nb_ngrams, "there are not nb_ngrams tables")
        if saved.value("scores") is not None:
            features.scores = saved.part(
                "scores",
                lambda scores: LinearScores.from_state(
                    scores, lambda state: TokenFeatures.from_state(state, ngrams, names)
                ),
            )
        return features


def _restore_ngram_features(saved: Saved, ngrams: NGrams) -> LogCountRatios | TargetMeans:
    return _NGRAM_FEATURES[saved.option("kind", list(_NGRAM_FEATURES))].from_state(saved, ngrams)
