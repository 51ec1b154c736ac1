"""Base of all estimators: parameters, predictions, and the hooks that `_fit` and `_partial_fit` call."""

from abc import abstractmethod
from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple, Self, cast

import numpy as np
from sklearn.utils.validation import check_is_fitted

from seqclf._base_saved import BaseSavedRNN
from seqclf._callbacks import CallbackSupportMixin, with_callbacks
from seqclf._cells import ACTIVATIONS, CELLS
from seqclf._data.dataset import Rows
from seqclf._data.encoded import EncodedSequences
from seqclf._devices import computes_on_cpu
from seqclf._inference.config import MAX_LAYERS, POOLINGS, NetworkConfig
from seqclf._label_features.label_features import LabelFeatures
from seqclf._label_features.linear_scores import LinearScores
from seqclf._prediction import predict_sequences
from seqclf._state import snapshot
from seqclf._tasks.task import Task
from seqclf._training.config import OPTIMIZERS, SCHEDULES
from seqclf._validation.containers import shorten
from seqclf._validation.memory import check_fits_memory
from seqclf._validation.parameters import (
    MAX_FLOAT32,
    Constraint,
    any_of,
    boolean,
    integer,
    optional,
    options,
    path,
    raise_parameter_changed,
    random_state,
    real,
    sequence_of,
)


class AutoEpochs(NamedTuple):
    """How ``max_epochs="auto"`` is chosen: for `n_updates`, but for at most `n_steps` time steps, within a range."""

    n_updates: int
    n_steps: int
    min_epochs: int
    max_epochs: int


class BaseRNN(CallbackSupportMixin, BaseSavedRNN):
    """Fitting and prediction for ragged sequences; subclasses define what X is and what is learned."""

    _constraints: dict[str, Any] = {
        "cell": options(*CELLS),
        "units": any_of(integer(1), sequence_of(integer(1))),
        "n_layers": integer(1, MAX_LAYERS),
        "bidirectional": boolean(),
        "pooling": options(*POOLINGS),
        "activation": options(*ACTIVATIONS),
        "dropout": real(0, 1, high_open=True),
        "recurrent_dropout": real(0, 1, high_open=True),
        "optimizer": options(*OPTIMIZERS),
        "learning_rate": real(0, MAX_FLOAT32, low_open=True),
        "schedule": options(*SCHEDULES),
        "weight_decay": real(0, MAX_FLOAT32),
        "l1": real(0, MAX_FLOAT32),
        "max_grad_norm": optional(real(0, MAX_FLOAT32, low_open=True)),
        "batch_size": integer(1),
        "max_epochs": any_of(integer(1), options("auto")),
        "patience": optional(integer(1)),
        "tol": real(0, inf),
        "validation_fraction": real(0, 1, low_open=True, high_open=True),
        "random_state": random_state(),
        "device": Constraint(
            "the name of a device, such as 'auto', 'cpu' or 'cuda:1'", lambda name: isinstance(name, str)
        ),
        "n_threads": optional(integer(1, 1_024)),
        "verbose": any_of(boolean(), integer(0)),
        "warm_start": boolean(),
        "checkpoint_dir": optional(path()),
        "wide": boolean(),
    }
    _step_name: str
    _auto_epochs: AutoEpochs
    _auto_epochs_alone: AutoEpochs

    @property
    def _is_warm(self) -> bool:
        """Whether `fit` continues to train the fitted network."""
        return self.warm_start and hasattr(self, "network_")

    @property
    def wide_(self) -> LinearScores:
        """The fitted linear model."""
        features = getattr(self, "_label_features", None)
        if features is None or features.scores is None:
            raise AttributeError(
                f"{type(self).__name__} has no wide_: it is not fitted, or was fitted without a linear model."
            )
        return cast(LinearScores, features.scores)

    @abstractmethod
    def _new_task(self, y: Any) -> Task:
        """The task to learn; the form of y can decide which."""

    def _next_task(self) -> Task:
        """The task of later chunks of a stream, which have the same kind of targets."""
        return self._new_task(None)

    @abstractmethod
    def _validate_X(self, X: Any, reset: bool, name: str = "X") -> Rows:
        """Validate X and return it in the form that the encoder takes; messages call it `name`.

        With `reset`, as in a first fit, the kind of X is stored; otherwise X has to be of the stored kind.
        """

    @abstractmethod
    def _fit_encoder(self, rows: Rows, weights: np.ndarray) -> EncodedSequences:
        """Fit the encoder to rows, without targets, and encode them."""

    def _start_encoder(self, rows: Rows, weights: np.ndarray) -> EncodedSequences:
        """Fit the encoder to the first chunk of a stream, and encode it."""
        return self._fit_encoder(rows, weights)

    @abstractmethod
    def _encode(self, rows: Rows, name: str = "X") -> EncodedSequences:
        """Encode rows as token ids or numeric values; messages call them `name`."""

    @abstractmethod
    def _new_label_features(self, task: Task, rng: np.random.RandomState) -> LabelFeatures | None:
        """Unfitted features that are learned from targets before the network trains; None if there are none."""

    def _check_label_features(self, task: Task) -> None:
        """Raise an error if parameters require label features that differ from those the network was built for."""
        if not task.per_step and self.wide != (was_wide := hasattr(self, "wide_")):
            raise_parameter_changed("wide", was_wide, self.wide)

    def _add_label_features(self, sequences: EncodedSequences) -> EncodedSequences:
        """Add label features to the sequences of rows that are not trained on."""
        return sequences if self._label_features is None else self._label_features.transform(sequences)

    @abstractmethod
    def _input_config(self) -> dict[str, Any]:
        """The fields of `NetworkConfig` that describe the inputs."""

    def hidden_states(self, X: Any) -> list[np.ndarray]:
        """Return the states of the last recurrent layer after every step.

        Parameters
        ----------
        X : array-like
            Sequences of the same kind as in `fit`.

        Returns
        -------
        list of n_samples ndarrays of shape (n_steps, units) or (n_steps, 2 * units), float32
            For each sequence an array with one state per step; it is empty for a sequence without steps. With
            ``bidirectional=True`` the first half of a state is from the forward direction, which has read the steps
            from the first to this one. The second half is from the reverse direction, which has read the steps from the
            last to this one.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError, TypeError
            If X is invalid, or not of the kind seen in `fit`.

        Notes
        -----
        The steps are those that the network processes: without padding, and for a text the tokens that `tokenizer_`
        returns. The tokens of the first text are ``[tokenizer_.tokens_[id] for id in tokenizer_.transform(X)[0]]``.
        The convolutional layers and the linear model have no states.

        If x is the input of the layer at a step and h the state after the previous step, the simple recurrent network
        [1]_ computes ``tanh(x W + h U + b)``; `activation` can replace tanh. ``network_.to_arrays()`` is a dict of all
        weights. For the forward direction of the first layer, W is the transpose of
        ``"recurrent.layers.0.directions.0.weight_input"``, U the transpose of ``"...weight_recurrent"``, and b is
        ``"...bias"``. ``directions.1`` is the reverse direction. The arrays of other cells have a block of `units` rows
        for each gate, in the order i, f, g, o ("lstm"), r, z, n ("gru") or f, n ("mgu"). The last two also have a
        ``"...bias_recurrent"``, which is added to h U.

        The inputs of the first layer are the scaled values of a series; or, for each token id, its vector in
        ``"embedding.weight"`` (a one-hot vector with ``embedding_dim=None``) followed by the features of `nb_ngrams`,
        or in a tagger by the scores of the linear model. The inputs of every other layer are the states of the layer
        below.

        References
        ----------
        .. [1] J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990).

        Examples
        --------
        >>> from seqclf import RNNTextClassifier
        >>> texts, labels = ["good, not bad", "bad, not good"] * 20, ["praise", "blame"] * 20
        >>> classifier = RNNTextClassifier(units=8, batch_size=8, random_state=0).fit(texts, labels)
        >>> [states.shape for states in classifier.hidden_states(["good, not bad", "not good", ""])]
        [(4, 16), (2, 16), (0, 16)]
        """
        return list(self._fitted()._predict(X, "states").items())

    def _fitted(self) -> Self:
        """A snapshot of the fitted estimator, which a fit in another thread does not change."""
        check_is_fitted(self)
        return snapshot(self)

    def _outputs(self, X: Any) -> Any:
        """The outputs of the network for X: an array (n_samples, n_outputs), or a Ragged with one row per step."""
        return self._predict(X, "outputs")

    @with_callbacks
    def _fit(self, *args: Any) -> Self:
        from seqclf._fit import fit  # This imports torch, which predictions do not need.

        fit(self, *args)
        return self

    def _partial_fit(self, *args: Any) -> Self:
        from seqclf._partial_fit import partial_fit

        partial_fit(self, *args)
        return self

    def _predict(self, X: Any, what: str) -> Any:
        """The "outputs" or "states" of the network for X."""
        rows = self._validate_X(X, reset=False)
        return self._predict_encoded(lambda: self._encode(rows), what)

    def _predict_encoded(self, encode: Callable[[], EncodedSequences], what: str) -> Any:
        """The "outputs" or "states" of the network for the encoded rows that `encode` returns."""
        if not computes_on_cpu(self.device):
            from seqclf._device_prediction import predict_on_device  # This imports torch.

            return predict_on_device(self, encode, what)
        compute = getattr(self._inference_network(), what)
        return predict_sequences(encode, self._label_features, compute, self.n_threads)

    def _network_config(self, task: Task) -> NetworkConfig:
        if isinstance(self.units, tuple | list):
            units = tuple(int(width) for width in self.units)
            if self.n_layers not in (1, len(units)):
                raise ValueError(
                    f"units={shorten(self.units)} gives the width of {len(units)} layers, but "
                    f"n_layers={self.n_layers!r}: expected n_layers={len(units)}, or the default of 1."
                )
        else:
            units = (int(self.units),) * self.n_layers
        config = NetworkConfig(
            n_outputs=task.n_outputs,
            cell=self.cell,
            units=units,
            bidirectional=bool(self.bidirectional),
            pooling=None if task.per_step else self.pooling,
            activation=self.activation,
            dropout=float(self.dropout),
            recurrent_dropout=float(self.recurrent_dropout),
            scores=hasattr(self, "wide_") and not task.per_step,
            **self._input_config(),
        )
        check_fits_memory(
            2 * config.n_weights,
            f"A network of units={shorten(list(config.units))} with its gradients",
            "choose smaller units, n_layers, embedding_dim or conv_filters",
        )
        return config

    def _fitted_attributes(self) -> tuple[str, ...]:
        """The attributes that every fitted estimator of this kind has."""
        return ("_task", "_label_features", "history_", "n_iter_", "best_epoch_", "n_parameters_")


def has_constant_rate(estimator: Any) -> bool:
    """Whether the estimator has `partial_fit`. If not, the AttributeError that scikit-learn shows has the reason."""
    if estimator.schedule != "constant":
        raise AttributeError(
            f"partial_fit needs schedule='constant'. With schedule={shorten(estimator.schedule)} the learning rate "
            "depends on the number of epochs, which is unknown for a stream."
        )
    return True
