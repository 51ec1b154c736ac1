"""`RNNClassifier`: numeric series in, classes out."""

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from seqclf._base import BaseRNNClassifier, Rows
from seqclf._sequences import Ragged
from seqclf._sequences.validation import boolean, read_series


class RNNClassifier(BaseRNNClassifier):
    """DOC"""

    _constraints = BaseRNNClassifier._constraints | {"scale": boolean()}
    _step_name = "steps"

    def __init__(
        self,
        *,
        scale=True,
        cell="gru",
        units=32,
        n_layers=1,
        bidirectional=True,
        pooling="max",
        activation="tanh",
        dropout=0.1,
        recurrent_dropout=0.0,
        weight_decay=0.0,
        l1=0.0,
        max_grad_norm=1.0,
        class_weight=None,
        optimizer="adam",
        learning_rate=3e-3,
        batch_size=32,
        max_epochs=100,
        warm_start=False,
        patience=None,
        tol=1e-4,
        validation_fraction=0.1,
        random_state=None,
        device="auto",
        n_threads=None,
        verbose=0,
    ):
        self.scale = scale
        self.cell = cell
        self.units = units
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.activation = activation
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
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
        table = _is_table(X) if reset else hasattr(self, "n_features_in_")
        if not table:
            series = read_series(X, n_channels=None if reset else self.n_channels_in_)
            if reset:
                for name in ("n_features_in_", "feature_names_in_"):
                    vars(self).pop(name, None)
        else:
            if not (reset or _is_table(X)):
                raise ValueError(
                    f"X must be a table of {self.n_features_in_} steps (2-D), as in fit; got ragged or 3-D series. "
                    "Fit on those to allow series of any length."
                )
            X = validate_data(self, X, reset=reset, dtype=np.float64)
            series = Ragged(X.reshape(-1, 1), np.full(X.shape[0], X.shape[1], dtype=np.int64))
        if reset:
            self.n_channels_in_ = series.values.shape[1]
        return series

    def _learn(self, rows: Ragged, weights: np.ndarray) -> Ragged:
        self.channel_mean_ = np.zeros(self.n_channels_in_)
        self.channel_scale_ = np.ones(self.n_channels_in_)
        if self.scale and rows.n_steps:
            step_weights = np.repeat(weights, rows.lengths)
            mean = np.average(rows.values, axis=0, weights=step_weights)
            deviation = np.sqrt(np.average((rows.values - mean) ** 2, axis=0, weights=step_weights))
            self.channel_mean_ = mean
            # A constant channel (but for rounding) is only centred.
            constant = deviation <= 1e-12 * np.maximum(np.abs(mean), 1)
            self.channel_scale_ = np.where(constant, 1.0, deviation)
        return self._encode(rows)

    def _encode(self, rows: Ragged) -> Ragged:
        return Ragged((rows.values - self.channel_mean_) / self.channel_scale_, rows.lengths)

    def _network_inputs(self) -> dict[str, Any]:
        return {"n_channels": self.n_channels_in_}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _is_table(X) -> bool:
    """Whether X is a table to scikit-learn, whose rows are series of equal length in one channel.

    Anything that makes an array of two dimensions is one; a 1-D object array, which transformers of sequences give,
    stands for ragged series even where their lengths are equal. What is neither is left to scikit-learn's messages.
    """
    if issparse(X) or hasattr(X, "columns"):
        return True
    try:
        array = np.asarray(X)
    except ValueError:  # Rows of unequal length.
        return False
    return array.ndim == 2 or (array.ndim == 1 and len(array) > 0 and array.dtype.kind in "iufbc")
