"""`RNNTextClassifier`: texts, tokens or token ids in, classes out."""

from typing import Any

import numpy as np
from sklearn.base import clone

from seqclf._base import BaseRNNClassifier, Rows
from seqclf._sequences import Ragged
from seqclf._sequences.validation import has_methods, integer, optional, read_text_input, real
from seqclf._text_tokenizer import TextTokenizer


class RNNTextClassifier(BaseRNNClassifier):
    """DOC"""

    _constraints = BaseRNNClassifier._constraints | {
        "tokenizer": optional(has_methods("fit", "transform")),
        "embedding_dim": optional(integer(1)),
        "token_dropout": real(0, 1, high_open=True),
    }
    _step_name = "tokens"

    def __init__(
        self,
        tokenizer=None,
        *,
        cell="lstm",
        units=32,
        n_layers=1,
        bidirectional=True,
        embedding_dim=64,
        pooling="max",
        activation="tanh",
        dropout=0.5,
        recurrent_dropout=0.0,
        token_dropout=0.2,
        weight_decay=0.0,
        l1=0.0,
        max_grad_norm=1.0,
        class_weight=None,
        optimizer="adam",
        learning_rate=3e-3,
        batch_size=64,
        max_epochs=20,
        warm_start=False,
        patience=2,
        tol=1e-4,
        validation_fraction=0.1,
        random_state=None,
        device="auto",
        n_threads=None,
        verbose=0,
    ):
        self.tokenizer = tokenizer
        self.cell = cell
        self.units = units
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.embedding_dim = embedding_dim
        self.pooling = pooling
        self.activation = activation
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.token_dropout = token_dropout
        self.weight_decay = weight_decay
        self.l1 = l1
        self.max_grad_norm = max_grad_norm
        self.class_weight = class_weight
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.warm_start = warm_start
        self.patience = patience
        self.tol = tol
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.device = device
        self.n_threads = n_threads
        self.verbose = verbose

    def _read(self, X, reset: bool) -> Rows:
        kind, rows = read_text_input(X, kind=None if reset else self.input_kind_)
        self.input_kind_ = kind
        return rows

    def _learn(self, rows: Rows, weights: np.ndarray) -> Ragged:
        if isinstance(rows, Ragged):
            vars(self).pop("tokenizer_", None)
            ids = rows
            self.vocab_size_ = max(int(ids.values.max(initial=0)) + 1, 2)
        else:
            self.tokenizer_ = TextTokenizer() if self.tokenizer is None else clone(self.tokenizer)
            ids = self._tokenized(self.tokenizer_.fit_transform(rows))
            known = getattr(self.tokenizer_, "tokens_", ())
            self.vocab_size_ = max(int(ids.values.max(initial=0)) + 1, len(known), 2)
        return ids

    def _encode(self, rows: Rows) -> Ragged:
        ids = rows if isinstance(rows, Ragged) else self._tokenized(self.tokenizer_.transform(rows))
        return Ragged(np.where(ids.values < self.vocab_size_, ids.values, 1), ids.lengths)

    @staticmethod
    def _tokenized(ids) -> Ragged:
        _, ragged = read_text_input(ids, kind="ids", name="the tokenizer's output")
        return ragged

    def _network_inputs(self) -> dict[str, Any]:
        return {
            "vocab_size": self.vocab_size_,
            "embedding_dim": None if self.embedding_dim is None else int(self.embedding_dim),
            "token_dropout": float(self.token_dropout),
        }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags
