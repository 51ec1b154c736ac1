"""Base of the estimators whose X holds texts, lists of tokens or token ids."""

from copy import deepcopy
from typing import Any, cast

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags
from sklearn.utils.validation import _check_feature_names, check_is_fitted

from seqclf._base import AutoEpochs, BaseRNN
from seqclf._data.dataset import Rows
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._inputs.series_encoder import SeriesEncoder
from seqclf._inputs.text_encoder import TextEncoder
from seqclf._label_features.label_features import LabelFeatures
from seqclf._label_features.log_count_ratios import LogCountRatios
from seqclf._label_features.target_means import TargetMeans
from seqclf._label_features.text_label_features import TextLabelFeatures
from seqclf._tasks.task import Task
from seqclf._text_tokenizer import IndexedTokens, TextTokenizer
from seqclf._validation.argument_errors import names_argument
from seqclf._validation.channels import as_name_tuple
from seqclf._validation.frames import column_labels, is_frame
from seqclf._validation.parameters import has_methods, integer, optional, raise_parameter_changed, real
from seqclf._validation.texts import UNKNOWN, Kind, validate_text_input

# Ids are renumbered if the largest id + 1 exceeds _MAX_IDS_PER_DISTINCT * n_distinct + _FREE_IDS, because most of an
# embedding of all ids up to the largest one would then be unused.
_MAX_IDS_PER_DISTINCT, _FREE_IDS = 4, 10_000
# Maximum length of the token n-grams of the linear model: for words and subwords, and for characters.
_MAX_WIDE_NGRAM, _MAX_WIDE_CHARACTER_NGRAM = 2, 5

_TOKEN_NAMES = {"word": "words", "char": "characters"}


class BaseTextRNN(BaseRNN):
    """Base of the estimators for texts; the target base class of a subclass defines what is learned."""

    _constraints: dict[str, Any] = BaseRNN._constraints | {
        "tokenizer": optional(has_methods("fit", "transform")),
        "embedding_dim": optional(integer(1)),
        "token_dropout": real(0, 1, high_open=True),
        "nb_ngrams": integer(0, 8),
    }
    _step_name = "tokens"
    _auto_epochs = AutoEpochs(n_updates=600, n_steps=20_000_000, min_epochs=3, max_epochs=6)
    # Without a linear model and n-gram features the network has to learn everything.
    _auto_epochs_alone = AutoEpochs(n_updates=2_000, n_steps=20_000_000, min_epochs=3, max_epochs=30)
    input_kind_: Kind
    _label_features: TextLabelFeatures | None

    def _ngram_features(self, name: str) -> LogCountRatios | TargetMeans:
        """The fitted n-gram features; messages call the attribute `name`."""
        features = getattr(self, "_label_features", None)
        if features is None or features.of_ngrams is None:
            raise AttributeError(
                f"{type(self).__name__} has no {name}: it is not fitted, or was fitted without n-grams."
            )
        return cast(LogCountRatios | TargetMeans, features.of_ngrams)

    @names_argument
    def _validate_X(self, X: Any, reset: bool, name: str = "X") -> Rows:
        kind, rows = validate_text_input(X, kind=None if reset else self.input_kind_, name=name)
        if reset:
            self.input_kind_ = kind
            self.__dict__.pop("feature_names_in_", None)
        if (is_frame(X) and len(column_labels(X, name)) > 1) or (not reset and hasattr(self, "feature_names_in_")):
            _check_feature_names(self, X, reset=reset)  # a frame of ids, with one column per step
        return rows

    def _fit_encoder(self, rows: Rows, weights: np.ndarray) -> EncodedSequences:
        if isinstance(rows, Ragged):
            self.__dict__.pop("tokenizer_", None)
            return EncodedSequences(self._fit_ids(rows))
        self.tokenizer_ = self._default_tokenizer() if self.tokenizer is None else clone(self.tokenizer)
        return self._fit_token_ids(rows, *self._fit_tokenizer(rows))

    def _start_encoder(self, rows: Rows, weights: np.ndarray) -> EncodedSequences:
        """Fit the encoder to the first chunk of a stream; a tokenizer that is already fitted is used unchanged."""
        if isinstance(rows, Ragged) or self.tokenizer is None or not _is_fitted(self.tokenizer):
            return self._fit_encoder(rows, weights)
        self.tokenizer_ = deepcopy(self.tokenizer)
        if type(self.tokenizer_) is TextTokenizer:
            return self._fit_token_ids(rows, *self.tokenizer_._to_ids(rows))
        ids = self._validate_ids(self.tokenizer_.transform(rows), len(rows), in_fit=True)
        return self._fit_token_ids(rows, ids, [])

    def _fit_token_ids(self, rows: list[Any], ids: Ragged, new_tokens: list[str]) -> EncodedSequences:
        """Set the vocabulary from a fitted tokenizer and the ids of the rows, and return the encoded rows."""
        if self.verbose and type(self.tokenizer_) is TextTokenizer and self.tokenizer_.level == "auto":
            print(f"{_TOKEN_NAMES[self.tokenizer_.level_]} as tokens (level='auto')", flush=True)
        if self.verbose and (n_truncated := getattr(self.tokenizer_, "n_truncated_", 0)):
            max_length, side = self.tokenizer_.max_length, self.tokenizer_.truncate
            print(f"{n_truncated} of {len(rows)} texts lost tokens at the {side}: max_length={max_length}", flush=True)
        n_tokens = len(getattr(self.tokenizer_, "tokens_", ()))
        if type(self.tokenizer_) is not TextTokenizer:
            return EncodedSequences(self._fit_ids(ids, n_tokens))
        self.__dict__.pop("renumbered_ids_", None)
        self.vocab_size_ = n_tokens
        return self._encoder().with_spelling(ids, new_tokens)

    def _fitted_attributes(self) -> tuple[str, ...]:
        token_attributes = () if getattr(self, "input_kind_", None) == "ids" else ("tokenizer_",)
        return (*BaseRNN._fitted_attributes(self), "input_kind_", "vocab_size_", *token_attributes)

    def _default_tokenizer(self) -> TextTokenizer:
        return TextTokenizer()

    def _fit_tokenizer(self, rows: list[Any]) -> IndexedTokens:
        """Fit `tokenizer_`, and return the ids of the same rows."""
        if type(self.tokenizer_) is TextTokenizer:
            return self.tokenizer_._fit_to_ids(self.input_kind_, rows)
        if hasattr(self.tokenizer_, "fit_transform"):
            output = self.tokenizer_.fit_transform(rows)
        else:
            output = self.tokenizer_.fit(rows, None).transform(rows)
        return IndexedTokens(self._validate_ids(output, len(rows), in_fit=True), [])

    def _encode(self, rows: Rows, name: str = "X") -> EncodedSequences:
        encoder = self._encoder()
        if isinstance(rows, Ragged) or encoder.vocabulary is not None:
            return encoder.encode(rows)
        return EncodedSequences(encoder.replace_unknown(self._validate_ids(self.tokenizer_.transform(rows), len(rows))))

    def _encoder(self) -> TextEncoder:
        tokenizer = getattr(self, "tokenizer_", None)
        return TextEncoder(
            kind=self.input_kind_,
            vocabulary=tokenizer._vocabulary() if type(tokenizer) is TextTokenizer else None,
            vocab_size=self.vocab_size_,
            renumbered_ids=getattr(self, "renumbered_ids_", None),
            feature_names=as_name_tuple(getattr(self, "feature_names_in_", None)),
        )

    def _set_encoder(self, encoder: TextEncoder | SeriesEncoder, tokenizer: TextTokenizer | None) -> None:
        assert isinstance(encoder, TextEncoder)
        self.input_kind_, self.vocab_size_ = encoder.kind, encoder.vocab_size
        if tokenizer is not None:
            self.tokenizer_ = tokenizer
        if encoder.renumbered_ids is not None:
            self.renumbered_ids_ = encoder.renumbered_ids
        if encoder.feature_names is not None:
            self.feature_names_in_ = np.array(encoder.feature_names, dtype=object)

    def _fit_ids(self, ids: Ragged, n_tokens: int = 0) -> Ragged:
        """Set `vocab_size_` from the ids of fit; renumber them if few of the numbers up to the largest one are used."""
        self.__dict__.pop("renumbered_ids_", None)
        self.vocab_size_ = max(int(ids.values.max(initial=UNKNOWN)) + 1, n_tokens)
        if self.vocab_size_ > _FREE_IDS:
            distinct = np.unique(ids.values)
            if self.vocab_size_ > _MAX_IDS_PER_DISTINCT * len(distinct) + _FREE_IDS:
                self.renumbered_ids_ = distinct[distinct > UNKNOWN]
                self.vocab_size_ = UNKNOWN + 1 + len(self.renumbered_ids_)
        return self._encoder().replace_unknown(ids)

    def _validate_ids(self, output: Any, n_rows: int, in_fit: bool = False) -> Ragged:
        """Validate the output of a tokenizer of another class."""
        _, ids = validate_text_input(output, kind="ids", name="the tokenizer's output", in_fit=in_fit)
        if len(ids) != n_rows:
            raise ValueError(
                f"The tokenizer, {type(self.tokenizer_).__name__}, returned {len(ids)} rows for {n_rows} texts: "
                "expected one row of token ids for each."
            )
        return ids

    def _new_label_features(self, task: Task, rng: np.random.RandomState) -> LabelFeatures | None:
        if task.per_step:  # These features are about whole sequences.
            return None
        if not (self.nb_ngrams or self.wide):
            return None
        tokenizer = getattr(self, "tokenizer_", None)
        n_orders = _MAX_WIDE_CHARACTER_NGRAM if getattr(tokenizer, "level_", None) == "char" else _MAX_WIDE_NGRAM
        return TextLabelFeatures(
            int(self.nb_ngrams), n_orders if self.wide else 0, self.vocab_size_, self._encoder().names
        )

    def _check_label_features(self, task: Task) -> None:
        BaseRNN._check_label_features(self, task)
        fitted = getattr(self._label_features, "nb_ngrams", 0)
        if not task.per_step and self.nb_ngrams != fitted:
            raise_parameter_changed("nb_ngrams", fitted, self.nb_ngrams)

    def _input_config(self) -> dict[str, Any]:
        features = self._label_features
        return {
            "vocab_size": self.vocab_size_,
            "n_step_features": 0 if features is None else features.n_step_features,
            "embedding_dim": None if self.embedding_dim is None else int(self.embedding_dim),
            "token_dropout": float(self.token_dropout),
        }

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


def _is_fitted(tokenizer: Any) -> bool:
    """Whether a tokenizer is fitted; False if it is not a scikit-learn estimator, for which that is unknown."""
    try:
        check_is_fitted(tokenizer)
    except (NotFittedError, TypeError):
        return False
    return True
