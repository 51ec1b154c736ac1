"""The recipe that the estimators share: validate, encode, build, train, keep. It knows neither texts nor series."""

from abc import ABCMeta, abstractmethod
from copy import deepcopy
from math import inf
from typing import Any, Self

import numpy as np
import torch
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted

from seqclf._nn import ACTIVATIONS, CELLS, POOLINGS, Network
from seqclf._sequences import Ragged
from seqclf._sequences.batching import TrainingData
from seqclf._sequences.validation import (
    Constraint,
    all_or_nothing,
    any_of,
    boolean,
    check_parameters,
    class_weight,
    integer,
    optional,
    options,
    random_state,
    read_labels,
    read_sample_weight,
    real,
    refuse_one_class,
    sequence_of,
    shorten,
)
from seqclf._training import OPTIMIZERS, fit_network, read_logits, resolve_device, torch_threads, validation_rows

# Rows as an estimator has read them: texts or token lists, or sequences.
Rows = list[Any] | Ragged


class BaseRNNClassifier(ClassifierMixin, BaseEstimator, metaclass=ABCMeta):
    """Fit and predict over ragged sequences; the subclasses read X and name its parameters."""

    _constraints: dict[str, Any] = {
        "cell": options(*CELLS),
        "units": any_of(integer(1), sequence_of(integer(1))),
        "n_layers": integer(1),
        "bidirectional": boolean(),
        "pooling": options(*POOLINGS),
        "activation": options(*ACTIVATIONS),
        "dropout": real(0, 1, high_open=True),
        "recurrent_dropout": real(0, 1, high_open=True),
        "optimizer": options(*OPTIMIZERS),
        "learning_rate": real(0, inf, low_open=True),
        "weight_decay": real(0, inf),
        "l1": real(0, inf),
        "max_grad_norm": optional(real(0, inf, low_open=True)),
        "batch_size": integer(1),
        "max_epochs": integer(1),
        "patience": optional(integer(1)),
        "tol": real(0, inf),
        "validation_fraction": real(0, 1, low_open=True, high_open=True),
        "class_weight": class_weight(),
        "random_state": random_state(),
        "device": Constraint(
            "the name of a device, such as 'auto', 'cpu' or 'cuda:1'", lambda name: isinstance(name, str)
        ),
        "n_threads": optional(integer(1, 1_024)),
        "verbose": any_of(boolean(), integer(0)),
        "warm_start": boolean(),
    }
    _step_name: str

    @abstractmethod
    def _read(self, X: Any, reset: bool) -> Rows:
        """Check X, and bring it into the form that `_learn` and `_encode` take; `reset` in fit, unless warm."""

    @abstractmethod
    def _learn(self, rows: Rows, weights: np.ndarray) -> Ragged:
        """Learn from the training rows what encoding needs, and encode them."""

    @abstractmethod
    def _encode(self, rows: Rows) -> Ragged:
        """Rows as sequences that the network reads."""

    @abstractmethod
    def _network_inputs(self) -> dict[str, Any]:
        """The arguments of the network that describe its inputs."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the network to X and y.

        The fit is all or nothing: after an error, or Ctrl-C (which is raised), the estimator is as it was before.

        Parameters
        ----------
        X : array-like, list or Series
            The training data, one sequence a row, in any of the forms that the class names.
        y : array-like of shape (n_samples,)
            The classes: strings, integers or other objects, at least two of them.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts in the losses and scores; rows of weight 0 are left out altogether.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a hyperparameter is out of range, the data are not as described, there are fewer than two classes, or
            the loss stops being a finite number.
        """
        check_parameters(self, self._constraints)
        with all_or_nothing(self), torch_threads(self.n_threads):
            warm = self.warm_start and hasattr(self, "network_")
            rows = self._read(X, reset=not warm)
            classes, codes = read_labels(y, len(rows))
            weights = read_sample_weight(sample_weight, len(rows))
            if (weights == 0).any():
                rows, classes, codes, weights = _without_zero_weights(rows, classes, codes, weights)
            rng = check_random_state(self.random_state)
            device = resolve_device(self.device)

            sequences = self._encode(rows) if warm else self._learn(rows, weights)
            network = self._warm_network(classes) if warm else self._new_network(len(classes), rng)
            training, validation = self._split(sequences, codes, weights, classes, device, rng)
            result = fit_network(
                network.to(device),
                training,
                validation,
                optimizer=self.optimizer,
                learning_rate=self.learning_rate,
                weight_decay=self.weight_decay,
                l1=self.l1,
                max_grad_norm=self.max_grad_norm,
                batch_size=self.batch_size,
                max_epochs=self.max_epochs,
                patience=self.patience,
                tol=self.tol,
                verbose=self.verbose,
                step_name=self._step_name,
                rng=rng,
            )

            self.classes_ = classes
            self.network_ = network
            self.n_parameters_ = sum(parameter.numel() for parameter in network.parameters())
            self.history_ = result.history
            self.n_iter_ = len(result.history)
            self.best_epoch_ = result.best_epoch
        return self

    def _new_network(self, n_classes: int, rng: np.random.RandomState) -> Network:
        generator = torch.Generator().manual_seed(int(rng.randint(2**31)))
        return Network(**self._network_config(n_classes)).reset_parameters(generator)

    def _warm_network(self, classes: np.ndarray) -> Network:
        """The fitted network, to be trained further; a copy, so that an error leaves the old one as it is."""
        unknown = [label for label in classes.tolist() if label not in self.classes_]
        if unknown or len(classes) != len(self.classes_):
            raise ValueError(
                f"With warm_start=True, y must hold the classes of the first fit, {self.classes_.tolist()!r}; "
                f"got {classes.tolist()!r}."
            )
        config = self._network_config(len(classes))
        changed = [name for name, value in config.items() if self.network_.config[name] != value]
        free = {"dropout", "recurrent_dropout", "token_dropout"}  # They own no weights.
        if set(changed) - free:
            name = sorted(set(changed) - free)[0]
            raise ValueError(
                f"With warm_start=True, {name} must stay {self.network_.config[name]!r} as in the first fit; "
                f"got {config[name]!r}. Use warm_start=False to build a new network."
            )
        return Network.from_arrays(config, self.network_.to_arrays()) if changed else deepcopy(self.network_)

    def _network_config(self, n_classes: int) -> dict[str, Any]:
        if isinstance(self.units, tuple | list):
            units = tuple(int(width) for width in self.units)
            if self.n_layers not in (1, len(units)):
                raise ValueError(
                    f"units={shorten(self.units)} gives the width of {len(units)} layers, but "
                    f"n_layers={self.n_layers!r}; expected n_layers to be the same number, or left at 1."
                )
        else:
            units = (int(self.units),) * self.n_layers
        return {
            "n_outputs": 1 if n_classes == 2 else n_classes,
            "cell": self.cell,
            "units": units,
            "bidirectional": bool(self.bidirectional),
            "pooling": self.pooling,
            "activation": self.activation,
            "dropout": float(self.dropout),
            "recurrent_dropout": float(self.recurrent_dropout),
            **self._network_inputs(),
        }

    def _split(
        self,
        sequences: Ragged,
        codes: np.ndarray,
        weights: np.ndarray,
        classes: np.ndarray,
        device: torch.device,
        rng: np.random.RandomState,
    ) -> tuple[TrainingData, TrainingData | None]:
        """Training and validation data; in each part the weights of the rows have a mean of 1."""
        weights = weights / weights.max()  # They may be so large or so small that their sum is not finite.
        labels = classes[codes]
        balance = compute_class_weight(self.class_weight, classes=classes, y=labels, sample_weight=weights)[codes]
        loss_weights = weights * balance
        if np.count_nonzero(np.bincount(codes, weights=loss_weights)) < 2:
            raise ValueError(
                f"class_weight={shorten(self.class_weight)} leaves fewer than 2 classes in y with a weight above 0; "
                "at least 2 are needed."
            )
        held_out = None if self.patience is None else validation_rows(codes, self.validation_fraction, rng)
        in_training = np.ones(len(codes), dtype=bool)
        if held_out is not None:
            in_training[held_out] = False

        def part(chosen: np.ndarray) -> TrainingData:
            in_loss, in_score = loss_weights[chosen], weights[chosen]
            if not in_loss.any():
                raise ValueError(
                    f"class_weight={shorten(self.class_weight)} leaves no row with a weight above 0 in the "
                    "training or the validation rows: give more classes a weight, or set patience=None."
                )
            return TrainingData(
                sequences.take(chosen), codes[chosen], in_loss / in_loss.mean(), in_score / in_score.mean(), device
            )

        training = part(np.flatnonzero(in_training))
        return training, None if held_out is None else part(held_out)

    def decision_function(self, X: Any) -> np.ndarray:
        """Logits of the classes.

        Parameters
        ----------
        X : array-like
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the logit of ``classes_[1]``, else one logit a class.
        """
        check_is_fitted(self)
        sequences = self._encode(self._read(X, reset=False))
        with torch_threads(self.n_threads):
            logits = read_logits(self.network_, sequences, resolve_device(self.device))
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each row.

        Parameters
        ----------
        X : array-like
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels out of ``classes_``.
        """
        logits = self.decision_function(X)
        return self.classes_[(logits > 0).astype(int) if logits.ndim == 1 else logits.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes.

        Parameters
        ----------
        X : array-like
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        logits = self.decision_function(X)
        return np.column_stack((expit(-logits), expit(logits))) if logits.ndim == 1 else softmax(logits, axis=1)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities of the classes, exact where the probabilities round to 0 or 1.

        Parameters
        ----------
        X : array-like
            Sequences of the kind seen in fit.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        logits = self.decision_function(X)
        if logits.ndim == 1:
            return np.column_stack((log_expit(-logits), log_expit(logits)))
        return log_softmax(logits, axis=1)

    def __getstate__(self) -> dict[str, Any]:
        """The network as its configuration and numpy arrays: no device, no optimiser, no data."""
        state = super().__getstate__()
        if "network_" in state:
            state = state | {"network_": (self.network_.config, self.network_.to_arrays())}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild the network on the CPU; prediction takes it to `device`."""
        if "network_" in state:
            state = state | {"network_": Network.from_arrays(*state["network_"])}
        super().__setstate__(state)


def _without_zero_weights(
    rows: Rows, classes: np.ndarray, codes: np.ndarray, weights: np.ndarray
) -> tuple[Rows, np.ndarray, np.ndarray, np.ndarray]:
    """A row of weight 0 is no row: it takes no part in the vocabulary, the scaling, the split or the classes."""
    kept = np.flatnonzero(weights)
    present, codes = np.unique(codes[kept], return_inverse=True)
    refuse_one_class(classes[present], "y", among="the rows with a sample_weight above 0")
    rows = rows.take(kept) if isinstance(rows, Ragged) else [rows[i] for i in kept]
    return rows, classes[present], codes, weights[kept]
