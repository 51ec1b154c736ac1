"""What the estimators for texts share: texts, tokens or token ids in, with what the targets say of them."""

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
from seqclf._text_tokenizer import NumberedTokens, TextTokenizer
from seqclf._validation.channels import as_names
from seqclf._validation.frames import column_labels, is_frame
from seqclf._validation.parameters import has_methods, integer, optional, raise_change, real
from seqclf._validation.reading import names_its_input
from seqclf._validation.texts import UNKNOWN, Kind, read_text_input

# A table with a row for each number up to the largest id may be this much larger than the ids need.
_MAX_IDS_PER_DISTINCT, _FREE_IDS = 4, 10_000
# The longest n-grams that the linear model reads: of words and pieces of words, and of characters.
_WIDE_NGRAMS, _WIDE_NGRAMS_OF_CHARACTERS = 2, 5

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
    _auto_epochs = AutoEpochs(n_updates=600, n_steps=20_000_000, min_epochs=3, max_epochs=6)
    # Without a linear model and ratios the network has to learn everything.
    _auto_epochs_alone = AutoEpochs(n_updates=2_000, n_steps=20_000_000, min_epochs=3, max_epochs=30)
    input_kind_: Kind
    _label_features: TextLabelFeatures | None

    def _learned_of_ngrams(self, name: str) -> LogCountRatios | TargetMeans:
        """What the targets say of n-grams; `name` is that of the attribute."""
        features = getattr(self, "_label_features", None)
        if features is None or features.of_ngrams is None:
            raise AttributeError(f"{type(self).__name__} has no {name}: it is not fitted, or has learned none.")
        return cast(LogCountRatios | TargetMeans, features.of_ngrams)

    @names_its_input
    def _validate_X(self, X: Any, reset: bool, name: str = "X") -> Rows:
        kind, rows = read_text_input(X, kind=None if reset else self.input_kind_, name=name)
        if reset:
            self.input_kind_ = kind
            self.__dict__.pop("feature_names_in_", None)
        if (is_frame(X) and len(column_labels(X, name)) > 1) or (not reset and hasattr(self, "feature_names_in_")):
            _check_feature_names(self, X, reset=reset)  # a table of ids, one step a column
        return rows

    def _fit_encoder(self, rows: Rows, weights: np.ndarray) -> EncodedSequences:
        if isinstance(rows, Ragged):
            self.__dict__.pop("tokenizer_", None)
            return EncodedSequences(self._learn_ids(rows))
        self.tokenizer_ = self._default_tokenizer() if self.tokenizer is None else clone(self.tokenizer)
        return self._learn_tokens(rows, *self._fit_tokenizer(rows))

    def _start_encoder(self, rows: Rows, weights: np.ndarray) -> EncodedSequences:
        """A tokenizer that is fitted already is taken as it is."""
        if isinstance(rows, Ragged) or self.tokenizer is None or not _is_fitted(self.tokenizer):
            return self._fit_encoder(rows, weights)
        self.tokenizer_ = deepcopy(self.tokenizer)
        if type(self.tokenizer_) is TextTokenizer:
            return self._learn_tokens(rows, *self.tokenizer_._to_ids(rows))
        return self._learn_tokens(rows, self._as_ids(self.tokenizer_.transform(rows), len(rows), in_fit=True), [])

    def _learn_tokens(self, rows: list[Any], ids: Ragged, new_tokens: list[str]) -> EncodedSequences:
        """Learn from a fitted tokenizer, and the ids of the rows, which token ids there are."""
        if self.verbose and type(self.tokenizer_) is TextTokenizer and self.tokenizer_.level == "auto":
            print(f"{_TOKENS[self.tokenizer_.level_]} as tokens (level='auto')", flush=True)
        if self.verbose and (n_truncated := getattr(self.tokenizer_, "n_truncated_", 0)):
            longest, side = self.tokenizer_.max_length, self.tokenizer_.truncate
            print(f"{n_truncated} of {len(rows)} texts lost tokens at the {side}: max_length={longest}", flush=True)
        n_tokens = len(getattr(self.tokenizer_, "tokens_", ()))
        if type(self.tokenizer_) is not TextTokenizer:
            return EncodedSequences(self._learn_ids(ids, n_tokens))
        self.__dict__.pop("renumbered_ids_", None)
        self.vocab_size_ = n_tokens
        return self._encoder().with_spelling(ids, new_tokens)

    def _learned(self) -> tuple[str, ...]:
        of_tokens = () if getattr(self, "input_kind_", None) == "ids" else ("tokenizer_",)
        return (*BaseRNN._learned(self), "input_kind_", "vocab_size_", *of_tokens)

    def _default_tokenizer(self) -> TextTokenizer:
        return TextTokenizer()

    def _fit_tokenizer(self, rows: list[Any]) -> NumberedTokens:
        """Fit `tokenizer_`, and give the ids of the same rows."""
        if type(self.tokenizer_) is TextTokenizer:
            return self.tokenizer_._fit_to_ids(self.input_kind_, rows)
        if hasattr(self.tokenizer_, "fit_transform"):
            output = self.tokenizer_.fit_transform(rows)
        else:
            output = self.tokenizer_.fit(rows, None).transform(rows)
        return NumberedTokens(self._as_ids(output, len(rows), in_fit=True), [])

    def _encode(self, rows: Rows, name: str = "X") -> EncodedSequences:
        encoder = self._encoder()
        if isinstance(rows, Ragged) or encoder.vocabulary is not None:
            return encoder.encode(rows)
        return EncodedSequences(encoder.known(self._as_ids(self.tokenizer_.transform(rows), len(rows))))

    def _encoder(self) -> TextEncoder:
        tokenizer = getattr(self, "tokenizer_", None)
        return TextEncoder(
            kind=self.input_kind_,
            vocabulary=tokenizer._vocabulary() if type(tokenizer) is TextTokenizer else None,
            vocab_size=self.vocab_size_,
            renumbered_ids=getattr(self, "renumbered_ids_", None),
            feature_names=as_names(getattr(self, "feature_names_in_", None)),
        )

    def _keep_encoder(self, encoder: TextEncoder | SeriesEncoder, tokenizer: TextTokenizer | None) -> None:
        assert isinstance(encoder, TextEncoder)
        self.input_kind_, self.vocab_size_ = encoder.kind, encoder.vocab_size
        if tokenizer is not None:
            self.tokenizer_ = tokenizer
        if encoder.renumbered_ids is not None:
            self.renumbered_ids_ = encoder.renumbered_ids
        if encoder.feature_names is not None:
            self.feature_names_in_ = np.array(encoder.feature_names, dtype=object)

    def _learn_ids(self, ids: Ragged, n_tokens: int = 0) -> Ragged:
        """Learn which ids there are, and number them anew where most numbers up to the largest are not among them."""
        self.__dict__.pop("renumbered_ids_", None)
        self.vocab_size_ = max(int(ids.values.max(initial=UNKNOWN)) + 1, n_tokens)
        if self.vocab_size_ > _FREE_IDS:
            distinct = np.unique(ids.values)
            if self.vocab_size_ > _MAX_IDS_PER_DISTINCT * len(distinct) + _FREE_IDS:
                self.renumbered_ids_ = distinct[distinct > UNKNOWN]
                self.vocab_size_ = UNKNOWN + 1 + len(self.renumbered_ids_)
        return self._encoder().known(ids)

    def _as_ids(self, output: Any, n_rows: int, in_fit: bool = False) -> Ragged:
        """What any other tokenizer has made of texts."""
        _, ids = read_text_input(output, kind="ids", name="the tokenizer's output", in_fit=in_fit)
        if len(ids) != n_rows:
            raise ValueError(
                f"The tokenizer, {type(self.tokenizer_).__name__}, gave {len(ids)} rows for {n_rows} texts; "
                "expected one row of token ids for each."
            )
        return ids

    def _new_label_features(self, task: Task, rng: np.random.RandomState) -> LabelFeatures | None:
        if task.per_step:  # They say what a sequence belongs to.
            return None
        if not (self.nb_ngrams or self.wide):
            return None
        tokenizer = getattr(self, "tokenizer_", None)
        n_orders = _WIDE_NGRAMS_OF_CHARACTERS if getattr(tokenizer, "level_", None) == "char" else _WIDE_NGRAMS
        return TextLabelFeatures(
            int(self.nb_ngrams), n_orders if self.wide else 0, self.vocab_size_, self._encoder().names
        )

    def _refuse_other_features(self, task: Task) -> None:
        BaseRNN._refuse_other_features(self, task)
        learned = getattr(self._label_features, "nb_ngrams", 0)
        if not task.per_step and self.nb_ngrams != learned:
            raise_change("nb_ngrams", learned, self.nb_ngrams)

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
    """Whether a tokenizer is fitted; one that is no estimator of scikit-learn can't tell."""
    try:
        check_is_fitted(tokenizer)
    except (NotFittedError, TypeError):
        return False
    return True
