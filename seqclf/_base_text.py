"""What the estimators for texts share: texts, tokens or token ids in, with what the targets say of them."""

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import Tags
from sklearn.utils.validation import _check_feature_names

from seqclf._base import AutoEpochs, BaseRNN, Rows, raise_warm_start_change
from seqclf._data.dataset import Dataset
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._label_features.log_count_ratios import LogCountRatios, cross_fitting_folds
from seqclf._tasks.task import Task
from seqclf._text_tokenizer import TextTokenizer
from seqclf._validation.frames import column_labels, is_frame
from seqclf._validation.parameters import has_methods, integer, optional, real
from seqclf._validation.texts import UNKNOWN, Kind, read_text_input

# A table with a row for each number up to the largest id may be this much larger than the ids need.
_MAX_IDS_PER_DISTINCT, _FREE_IDS = 4, 10_000

_TOKENS = {"word": "words", "char": "characters"}


class BaseTextRNN(BaseRNN):
    """Texts in. The subclasses say what is learned."""

    _constraints: dict[str, Any] = BaseRNN._constraints | {
        "tokenizer": optional(has_methods("fit", "transform")),
        "embedding_dim": optional(integer(1)),
        "token_dropout": real(0, 1, high_open=True),
        "nb_ngrams": integer(0, 8),
    }
    _step_name = "tokens"
    _auto_epochs = AutoEpochs(n_updates=600, min_epochs=3, max_epochs=6)
    input_kind_: Kind
    nb_ratios_: LogCountRatios

    def _validate_X(self, X: Any, reset: bool, name: str = "X") -> Rows:
        kind, rows = read_text_input(X, kind=None if reset else self.input_kind_, name=name)
        if reset:
            self.input_kind_ = kind
            self.__dict__.pop("feature_names_in_", None)
        if (is_frame(X) and len(column_labels(X, name)) > 1) or (not reset and hasattr(self, "feature_names_in_")):
            _check_feature_names(self, X, reset=reset)  # a table of ids, one step a column
        return rows

    def _fit_encoder(self, rows: Rows, weights: np.ndarray) -> Ragged:
        if isinstance(rows, Ragged):
            self.__dict__.pop("tokenizer_", None)
            return self._learn_ids(rows)
        self.tokenizer_ = TextTokenizer() if self.tokenizer is None else clone(self.tokenizer)
        ids = self._fit_tokenizer(rows)
        if self.verbose and getattr(self.tokenizer_, "level_", None) != getattr(self.tokenizer_, "level", None):
            print(f"{_TOKENS[self.tokenizer_.level_]} as tokens (level={self.tokenizer_.level!r})", flush=True)
        if self.verbose and (n_truncated := getattr(self.tokenizer_, "n_truncated_", 0)):
            longest, side = self.tokenizer_.max_length, self.tokenizer_.truncate
            print(f"{n_truncated} of {len(rows)} texts lost tokens at the {side}: max_length={longest}", flush=True)
        n_tokens = len(getattr(self.tokenizer_, "tokens_", ()))
        if type(self.tokenizer_) is not TextTokenizer:
            return self._learn_ids(ids, n_tokens)
        self.__dict__.pop("renumbered_ids_", None)
        self.vocab_size_ = n_tokens
        return ids

    def _fit_tokenizer(self, rows: list[Any]) -> Ragged:
        """Fit `tokenizer_`, and give the ids of the same rows."""
        if type(self.tokenizer_) is TextTokenizer:
            return self.tokenizer_._fit_to_ids(self.input_kind_, rows)
        if hasattr(self.tokenizer_, "fit_transform"):
            output = self.tokenizer_.fit_transform(rows)
        else:
            output = self.tokenizer_.fit(rows, None).transform(rows)
        return self._as_ids(output, len(rows), in_fit=True)

    def _encode(self, rows: Rows, name: str = "X") -> Ragged:
        if isinstance(rows, Ragged):
            ids = rows
        elif type(self.tokenizer_) is TextTokenizer:
            ids = self.tokenizer_._to_ids(rows)
        else:
            ids = self._as_ids(self.tokenizer_.transform(rows), len(rows))
        return self._known_ids(ids)

    def _learn_ids(self, ids: Ragged, n_tokens: int = 0) -> Ragged:
        """Learn which ids there are, and number them anew where most numbers up to the largest are not among them."""
        self.__dict__.pop("renumbered_ids_", None)
        self.vocab_size_ = max(int(ids.values.max(initial=UNKNOWN)) + 1, n_tokens)
        if self.vocab_size_ > _FREE_IDS:
            distinct = np.unique(ids.values)
            if self.vocab_size_ > _MAX_IDS_PER_DISTINCT * len(distinct) + _FREE_IDS:
                self.renumbered_ids_ = distinct[distinct > UNKNOWN]
                self.vocab_size_ = UNKNOWN + 1 + len(self.renumbered_ids_)
        return self._known_ids(ids)

    def _known_ids(self, ids: Ragged) -> Ragged:
        """The ids as the network numbers them; those that it does not know are the unknown token."""
        if hasattr(self, "renumbered_ids_"):
            place = np.searchsorted(self.renumbered_ids_, ids.values)
            found = self.renumbered_ids_.take(place, mode="clip") == ids.values
            return Ragged(np.where(found, UNKNOWN + 1 + place, UNKNOWN).astype(np.int32), ids.lengths)
        unknown = ids.values >= self.vocab_size_
        if not unknown.any():
            return ids
        return Ragged(np.where(unknown, UNKNOWN, ids.values).astype(np.int32), ids.lengths)

    def _as_ids(self, output: Any, n_rows: int, in_fit: bool = False) -> Ragged:
        """What any other tokenizer has made of texts."""
        _, ids = read_text_input(output, kind="ids", name="the tokenizer's output", in_fit=in_fit)
        if len(ids) != n_rows:
            raise ValueError(
                f"The tokenizer, {type(self.tokenizer_).__name__}, gave {len(ids)} rows for {n_rows} texts; "
                "expected one row of token ids for each."
            )
        return ids

    def _fit_label_features(self, training: Dataset, task: Task, rng: np.random.RandomState) -> EncodedSequences:
        if self._is_warm:
            learned = self.nb_ratios_.n_orders if hasattr(self, "nb_ratios_") else 0
            if self.nb_ngrams != learned:
                raise_warm_start_change("nb_ngrams", learned, self.nb_ngrams)
        if not self.nb_ngrams or task.per_step:  # ratios say what a sequence belongs to
            self.__dict__.pop("nb_ratios_", None)
            return training.sequences
        # The ratios of the first fit may have been counted on the rows of a warm start: these get some that were
        # counted without their own targets. What was learned stays as it is.
        ratios = LogCountRatios(int(self.nb_ngrams), self.vocab_size_)
        if not self._is_warm:
            self.nb_ratios_ = ratios
        fold = cross_fitting_folds(task.strata(training.targets).of_rows, training.groups, rng)
        return ratios.fit_transform(
            training.sequences.steps, task.memberships(training.targets), training.weights, fold
        )

    def _add_label_features(self, sequences: EncodedSequences) -> EncodedSequences:
        return self.nb_ratios_.transform(sequences.steps) if hasattr(self, "nb_ratios_") else sequences

    def _input_config(self) -> dict[str, Any]:
        ratios = getattr(self, "nb_ratios_", None)
        return {
            "vocab_size": self.vocab_size_,
            "n_step_features": 0 if ratios is None else ratios.n_features,
            "votes": ratios is not None and ratios.gives_votes,
            "embedding_dim": None if self.embedding_dim is None else int(self.embedding_dim),
            "token_dropout": float(self.token_dropout),
        }

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags
