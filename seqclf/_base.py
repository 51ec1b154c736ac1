"""The recipe that all estimators share: validate, encode, build, train, keep. What X and y are, others know."""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, fields, replace
from math import inf
from typing import Any, NamedTuple, NoReturn, Self, cast

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from seqclf._data.dataset import Dataset, Targets, take
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._data.split import validation_rows
from seqclf._kernels import ACTIVATIONS, CELLS
from seqclf._label_features.folds import cross_fitting_folds
from seqclf._label_features.label_features import LabelFeatures
from seqclf._label_features.linear_scores import LinearScores
from seqclf._label_features.supervision import Supervision
from seqclf._nn.config import NetworkConfig
from seqclf._nn.network import Network
from seqclf._nn.pooling import POOLINGS
from seqclf._tasks.task import Task
from seqclf._training.batches import n_batches
from seqclf._training.config import SCHEDULES, TrainingConfig
from seqclf._training.device import resolve_device, use_threads
from seqclf._training.optimizers import OPTIMIZERS
from seqclf._training.predict import predict_outputs, predict_states
from seqclf._training.session import TrainingSession
from seqclf._unpickling import raise_too_old
from seqclf._validation.alignment import match_rows, match_steps
from seqclf._validation.containers import shorten
from seqclf._validation.memory import refuse_size
from seqclf._validation.parameters import (
    MAX_FLOAT32,
    Constraint,
    all_or_nothing,
    any_of,
    boolean,
    check_parameters,
    integer,
    optional,
    options,
    random_state,
    real,
    sequence_of,
)
from seqclf._validation.targets import read_groups, read_sample_weight, refuse_one_group

# Rows as an estimator has validated them: texts or token lists, or sequences.
Rows = list[Any] | Ragged


class AutoEpochs(NamedTuple):
    """What ``max_epochs="auto"`` aims at: so many updates, but not to read more than so many steps."""

    n_updates: int
    n_steps: int
    min_epochs: int
    max_epochs: int


class BaseRNN(BaseEstimator, metaclass=ABCMeta):
    """Fit and predict over ragged sequences; the subclasses say what X is, and what is learned."""

    _constraints: dict[str, Any] = {
        "cell": options(*CELLS),
        "units": any_of(integer(1), sequence_of(integer(1))),
        "n_layers": integer(1, 1_000),
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
        "wide": boolean(),
    }
    _step_name: str
    _auto_epochs: AutoEpochs
    _auto_epochs_alone: AutoEpochs
    _task: Task
    _label_features: LabelFeatures | None

    @property
    def _is_warm(self) -> bool:
        """Whether `fit` goes on with the fitted network."""
        return self.warm_start and hasattr(self, "network_")

    @property
    def wide_(self) -> LinearScores:
        """The linear models of the wide half."""
        features = getattr(self, "_label_features", None)
        if features is None or features.scores is None:
            raise AttributeError(
                f"{type(self).__name__} has no wide_: it is not fitted, or was fitted without a linear model."
            )
        return cast(LinearScores, features.scores)

    @abstractmethod
    def _new_task(self, y: Any) -> Task:
        """What is learned, which the form of y may decide."""

    @abstractmethod
    def _validate_X(self, X: Any, reset: bool, name: str = "X") -> Rows:
        """Check X and bring it into the form that the encoder takes; `reset` in the first fit, which keeps its kind.

        `name` is what messages call it.
        """

    @abstractmethod
    def _fit_encoder(self, rows: Rows, weights: np.ndarray) -> EncodedSequences:
        """Learn from rows, without their targets, how to encode them, and encode them."""

    @abstractmethod
    def _encode(self, rows: Rows, name: str = "X") -> EncodedSequences:
        """Rows as token ids or numbers; `name` is what messages call them."""

    @abstractmethod
    def _new_label_features(self, task: Task, rng: np.random.RandomState) -> LabelFeatures | None:
        """What is learned from targets before the network trains; None for nothing."""

    def _fit_label_features(self, training: Dataset, task: Task, rng: np.random.RandomState) -> EncodedSequences:
        """The training sequences with what is learned from their targets, each without its own.

        In a warm start the new rows may be those of the first fit, so they get what is learned from them alone, and
        what is kept for prediction stays as it is.
        """
        if self._is_warm and not task.per_step and self.wide != (learned := hasattr(self, "wide_")):
            raise_warm_start_change("wide", learned, self.wide)
        features = self._new_label_features(task, rng)
        if not self._is_warm:
            self._label_features = features
        if features is None:
            return training.sequences
        sequences, targets = training.sequences, training.targets
        fold = cross_fitting_folds(sequences.steps, task.strata(targets).of_rows, training.groups, rng)
        weights = training.weights
        if task.per_step:
            weights, fold = np.repeat(weights, sequences.lengths), np.repeat(fold, sequences.lengths)
        weights = weights * task.score_weights(targets)
        loss_weights = weights * task.loss_weights(targets)
        loss_weights /= loss_weights.max()  # Only the proportions matter, to the last bit.
        supervision = Supervision(
            task.supervision_targets(targets),
            weights,
            loss_weights,
            fold,
            lambda scores: task.calibrate(scores, targets, loss_weights),
            task.outputs_are_exclusive,
        )
        return features.fit_transform(sequences, supervision)

    def _add_label_features(self, sequences: EncodedSequences) -> EncodedSequences:
        """The sequences of rows that are not trained on, with what was learned from targets."""
        return sequences if self._label_features is None else self._label_features.transform(sequences)

    @abstractmethod
    def _input_config(self) -> dict[str, Any]:
        """The fields of the network's configuration that describe its inputs."""

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any, groups: Any
    ) -> Self:
        """The recipe. All or nothing: after an error, or Ctrl-C, the estimator is as it was before."""
        check_parameters(self, self._constraints)
        device = resolve_device(self.device)
        with all_or_nothing(self), use_threads(self.n_threads, device, self.cell, self.activation):
            warm = self._is_warm
            task = self._new_task(y)
            if warm and type(task) is not type(self._task):
                raise_warm_start_change("y", self._task.kind, task.kind)
            rows = self._validate_X(X, reset=not warm)
            match_rows(X, len(rows), y=y, sample_weight=sample_weight, groups=groups)
            rows, y, weights, groups = self._validate_targets(task, rows, y, sample_weight, groups)
            given = self._validate_validation(task, X_val, y_val, sample_weight_val)
            rng = check_random_state(self.random_state)

            sequences = self._encode(rows) if warm else self._fit_encoder(rows, weights)
            data = _dataset(sequences, y, weights, groups)
            training, validation = self._split(data, task, rng) if given is None else (data, self._encoded(*given))
            # From here on everything is learned from the targets of the training rows alone.
            y = training.targets
            training = replace(training, targets=task.refit(y, self._task) if warm else task.fit(y, training.weights))
            task.fit_weights(training.targets, training.weights)
            training = replace(training, sequences=self._fit_label_features(training, task, rng))
            if validation is not None:
                targets = task.encode(validation.targets, name="y" if given is None else "y_val")
                features = self._add_label_features(validation.sequences)
                validation = replace(validation, sequences=features, targets=targets)

            network = self._warm_network(task) if warm else self._new_network(task, training, rng)
            session = TrainingSession(self._training_config(training), task, network.to(device), rng)
            session.run(training, validation)
            if validation is None and not warm:
                network.head.keep(len(training) / (len(training) + task.prior_rows))

            self._task = task
            for name, value in task.attributes().items():
                setattr(self, name, value)
            self.network_ = network
            self.n_parameters_ = sum(parameter.numel() for parameter in network.parameters())
            self.history_ = session.history
            self.n_iter_ = session.n_epochs
            self.best_epoch_ = session.best_epoch
        return self

    def hidden_states(self, X: Any) -> list[np.ndarray]:
        """The states of the last recurrent layer after every step: what the network has read so far.

        Parameters
        ----------
        X : array-like
            Sequences of the kind seen in fit.

        Returns
        -------
        list of n_samples ndarrays of shape (n_steps, units) or (n_steps, 2 * units), float32
            A row for each step of the sequence; none for a sequence without steps. With ``bidirectional=True`` the
            first half of a row is the state of the forward direction, which has read the steps from the first to this
            one. The second half is that of the reverse direction, which has read from the last to this one.

        Notes
        -----
        The steps are those that the network reads: padding is left out, and of a text these are the tokens that
        `tokenizer_` keeps. The layers of convolution and the linear model have no states.

        With x a step of the layer's inputs and h the state before it, the simple recurrent network [1]_ computes
        ``tanh(x W + h U + b)``, where `activation` may replace tanh. ``network_.to_arrays()`` is a dict of all weights.
        For the forward direction of the first layer, W is the transpose of
        ``"recurrent.layers.0.directions.0.weight_input"``, U the transpose of ``"...weight_recurrent"``, and b is
        ``"...bias"``. ``directions.1`` is the reverse direction. Other cells have a block of `units` rows for each
        gate, in the order i, f, g, o ("lstm"), r, z, n ("gru") or f, n ("mgu"). The last two also have a
        ``"...bias_recurrent"``, which is added to h U.

        The first layer reads the scaled numbers of a series, or for each token id its row of ``"embedding.weight"``
        (a one-hot vector with ``embedding_dim=None``) followed by the numbers of `nb_ngrams`. Each further layer reads
        the states of the layer before.

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
        return list(self._predict(X, predict_states).items())

    def _outputs(self, X: Any) -> Any:
        """What the network gives for X: an array (n_samples, n_outputs), or a Ragged with a row for each step."""
        return self._predict(X, predict_outputs)

    def _predict(self, X: Any, predict: Callable[[Network, EncodedSequences, torch.device], Any]) -> Any:
        """What `predict` makes of X with the fitted network."""
        check_is_fitted(self)
        rows = self._validate_X(X, reset=False)
        device = resolve_device(self.device)
        with use_threads(self.n_threads, device, self.cell, self.activation):
            sequences = self._add_label_features(self._encode(rows))
            return predict(self.network_, sequences, device)

    def _validate_targets(
        self, task: Task, rows: Rows, y: Any, sample_weight: Any, groups: Any
    ) -> tuple[Rows, Targets, np.ndarray, np.ndarray | None]:
        """The rows of X, their validated targets, weights from above 0 to 1, and groups.

        A row of weight 0 is no row: it takes no part in the vocabulary, the scaling, the split, targets or groups.
        """
        y = task.validate(y, rows)
        weights = read_sample_weight(sample_weight, len(rows))
        groups = read_groups(groups, len(rows))
        kept = np.flatnonzero(weights)
        if len(kept) < len(weights):
            among = "the rows with a sample_weight above 0"
            task.refuse(take(y, kept), among=among)
            rows, y, weights = take(rows, kept), take(y, kept), weights[kept]
            if groups is not None:
                numbers, groups = np.unique(groups[kept], return_inverse=True)
                refuse_one_group(len(numbers), among=among)
        # The weights may be so large or so small that their sum is not finite.
        return rows, y, weights / weights.max(), groups

    def _validate_validation(
        self, task: Task, X_val: Any, y_val: Any, sample_weight_val: Any
    ) -> tuple[Rows, Targets, np.ndarray] | None:
        """The validation rows, their validated targets, and weights from above 0 to 1; None if none are given."""
        if X_val is None or y_val is None:
            for name, value, missing in (
                ("X_val", X_val, "y_val"),
                ("y_val", y_val, "X_val"),
                ("sample_weight_val", sample_weight_val, "X_val and y_val"),
            ):
                if value is not None:
                    raise ValueError(f"{name} was given without {missing}: give both X_val and y_val, or neither.")
            return None
        try:
            rows = self._validate_X(X_val, reset=False, name="X_val")
        except (TypeError, ValueError) as error:
            error.add_note("If a Pipeline has transformed X: it transforms X_val too if its transform_input names it.")
            raise
        match_rows(X_val, len(rows), name="X_val", y_val=y_val, sample_weight_val=sample_weight_val)
        y = task.validate(y_val, rows, name="y_val", rows_name="X_val")
        weights = read_sample_weight(sample_weight_val, len(rows), name="sample_weight_val")
        kept = np.flatnonzero(weights)
        return take(rows, kept), take(y, kept), weights[kept] / weights.max()

    def _encoded(self, rows: Rows, y: Targets, weights: np.ndarray) -> Dataset:
        return _dataset(self._encode(rows, name="X_val"), y, weights, None, names=("X_val", "y_val"))

    def _split(self, data: Dataset, task: Task, rng: np.random.RandomState) -> tuple[Dataset, Dataset | None]:
        """The training rows, and the validation rows for early stopping."""
        if self.patience is None:
            return data, None
        held_out = validation_rows(task.strata(data.targets), self.validation_fraction, rng, data.groups)
        if held_out is None:
            return data, None
        return data.take(np.delete(np.arange(len(data)), held_out)), data.take(held_out)

    def _training_config(self, training: Dataset) -> TrainingConfig:
        own = {field.name for field in fields(TrainingConfig)} - {"max_epochs", "step_name", "verbose"}
        values = {name: getattr(self, name) for name in own}
        return TrainingConfig(
            **{name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()},
            max_epochs=self._n_epochs(training),
            step_name=self._step_name,
            verbose=int(self.verbose),
        )

    def _n_epochs(self, training: Dataset) -> int:
        """The largest number of epochs over these rows."""
        if self.max_epochs != "auto":
            return int(self.max_epochs)
        informed = training.sequences.scores is not None or training.sequences.features is not None
        aim = self._auto_epochs if informed else self._auto_epochs_alone
        wanted = -(-aim.n_updates // n_batches(len(training), self.batch_size))
        affordable = aim.n_steps // max(training.sequences.steps.n_steps, 1)
        return min(max(min(wanted, affordable), aim.min_epochs), aim.max_epochs)

    def _new_network(self, task: Task, training: Dataset, rng: np.random.RandomState) -> Network:
        generator = torch.Generator().manual_seed(int(rng.randint(2**31)))
        config = self._network_config(task)
        refuse_size(
            2 * config.n_weights,
            f"A network of units={shorten(list(config.units))} with its gradients",
            "choose smaller units, n_layers, embedding_dim or conv_filters",
        )
        network = Network(config).reset_parameters(generator)
        # The scores are estimates of the outputs already; without them the means of the log-count ratios are.
        as_sum_of_means = task.outputs_are_log_odds and not network.config.scores
        network.head.start(task.initial_bias(training.targets, training.weights), as_sum_of_means)
        return network

    def _warm_network(self, task: Task) -> Network:
        """The fitted network, to be trained further; a copy, so that an error leaves the old one as it is."""
        config, before = self._network_config(task), self.network_.config
        changed = [name for name, value in asdict(config).items() if getattr(before, name) != value]
        free = {"dropout", "recurrent_dropout", "token_dropout"}  # They own no weights.
        for name in sorted(set(changed) - free):
            raise_warm_start_change(name, getattr(before, name), getattr(config, name))
        return Network.from_arrays(config, self.network_.to_arrays()) if changed else deepcopy(self.network_)

    def _network_config(self, task: Task) -> NetworkConfig:
        if isinstance(self.units, tuple | list):
            units = tuple(int(width) for width in self.units)
            if self.n_layers not in (1, len(units)):
                raise ValueError(
                    f"units={shorten(self.units)} gives the width of {len(units)} layers, but "
                    f"n_layers={self.n_layers!r}; expected n_layers to be the same number, or left at 1."
                )
        else:
            units = (int(self.units),) * self.n_layers
        return NetworkConfig(
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

    def __getstate__(self) -> dict[str, Any]:
        """The network as its configuration and numpy arrays: no device, no optimiser, no data."""
        state = super().__getstate__()
        if "network_" in state:
            state = state | {"network_": (asdict(self.network_.config), self.network_.to_arrays())}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild the network on the CPU; prediction takes it to `device`."""
        if "network_" in state:
            if "_task" not in state:
                raise_too_old()
            config, arrays = state["network_"]
            state = state | {"network_": Network.from_arrays(NetworkConfig(**config), arrays)}
        super().__setstate__(state)


def _dataset(
    sequences: EncodedSequences,
    y: Targets,
    weights: np.ndarray,
    groups: np.ndarray | None,
    names: tuple[str, str] = ("X", "y"),
) -> Dataset:
    """Encoded rows with their targets; where each step has one, there is one for each step."""
    if isinstance(y, Ragged):
        match_steps(y.lengths, sequences.lengths, *names)
    return Dataset(sequences, y, weights, groups)


def raise_warm_start_change(name: str, before: Any, now: Any) -> NoReturn:
    """Raise the error of a warm start that asks for another network."""
    raise ValueError(
        f"With warm_start=True, {name} must stay {before!r} as in the first fit; got {now!r}. "
        "Use warm_start=False to build a new network."
    )
