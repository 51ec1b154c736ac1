"""The recipe that the estimators share: validate, encode, build, train, keep. It knows neither texts nor series."""

from abc import ABCMeta, abstractmethod
from copy import deepcopy
from math import inf
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np
import torch
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from seqclf._data.ragged import Ragged
from seqclf._label_features.log_count_ratios import Sequences
from seqclf._nn import ACTIVATIONS, CELLS, POOLINGS, Network
from seqclf._training import (
    OPTIMIZERS,
    SCHEDULES,
    Labelled,
    fit_network,
    read_logits,
    resolve_device,
    training_data,
    use_threads,
)
from seqclf._validation.containers import shorten
from seqclf._validation.parameters import (
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
    real,
    sequence_of,
)
from seqclf._validation.targets import (
    check_labels,
    codes_of,
    read_groups,
    read_labels,
    read_sample_weight,
    refuse_one_class,
    refuse_one_group,
)

# Rows as an estimator has read them: texts or token lists, or sequences.
Rows = list[Any] | Ragged


class Labels(NamedTuple):
    """What stands beside the training rows: class codes and groups, both from 0, and weights above 0."""

    codes: np.ndarray
    weights: np.ndarray
    groups: np.ndarray | None


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
        "schedule": options(*SCHEDULES),
        "weight_decay": real(0, inf),
        "l1": real(0, inf),
        "max_grad_norm": optional(real(0, inf, low_open=True)),
        "batch_size": integer(1),
        "max_epochs": any_of(integer(1), options("auto")),
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
    # What max_epochs="auto" aims at: steps of the optimiser, but at least and at most so many epochs.
    _auto_epochs: tuple[int, int, int]

    @abstractmethod
    def _read(self, X: Any, reset: bool, name: str = "X") -> Rows:
        """Check X, and bring it into the form that `_learn` and `_encode` take; `reset` in fit, unless warm.

        `name` is what messages call it.
        """

    @abstractmethod
    def _learn(self, rows: Rows, labels: Labels, rng: np.random.RandomState) -> Sequences:
        """Learn from the training rows what encoding needs, and encode them.

        `labels` stand beside the rows.
        """

    def _learn_more(self, rows: Rows, labels: Labels, rng: np.random.RandomState) -> Sequences:
        """Encode the rows of a warm start with what is learned already; arguments as in `_learn`."""
        return self._encode(rows)

    @abstractmethod
    def _encode(self, rows: Rows, name: str = "X") -> Sequences:
        """Rows as sequences that the network reads; `name` is what messages call them."""

    @abstractmethod
    def _network_inputs(self) -> dict[str, Any]:
        """The arguments of the network that describe its inputs."""

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        groups: Any = None,
    ) -> Self:
        """Fit the network to X and y.

        The fit is all or nothing: after an error, or Ctrl-C (which is raised), the estimator is as it was before.

        Parameters
        ----------
        X : array-like, list or Series
            The training data, one sequence a row, in any of the forms that the class names.
        y : array-like of shape (n_samples,)
            The classes: strings, integers or other objects, at least two of them.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts in losses, scores, naive-Bayes ratios and scaling; only the proportions matter. Rows of
            weight 0 are left out altogether.
        X_val : array-like, list or Series, default=None
            Rows to watch instead of a split of X: early stopping goes by their loss, and all rows of X train. They
            are of the kind of X, with its width or channels; vocabulary, naive-Bayes ratios and scaling are learned
            from X alone. With ``patience=None`` they stop nothing and are scored in ``history_`` all the same.
        y_val : array-like of shape (n_samples_val,), default=None
            The classes of X_val, each of them a class of y; it need not hold all of those.
        sample_weight_val : array-like of shape (n_samples_val,), default=None
            What each row of X_val counts in the validation loss and score; `class_weight` counts in the loss besides.
        groups : array-like of shape (n_samples,), default=None
            What rows have in common that new data will not share: the author, the patient, the film. The split for
            early stopping then holds out whole groups, as near to `validation_fraction` as they allow: every class
            keeps rows to train on, and where that is possible has some to watch. With ``patience=None`` or X_val there
            is no such split. Where `nb_ngrams` counts labels, a row's numbers are counted without its whole group.
            Numbers, strings or other hashable objects, at least two different ones. Searches and cross-validation hand
            them on only when they are told to: see the notes.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a hyperparameter is out of range, the data are not as described, there are fewer than two classes, X_val
            or y_val is given without the other, y_val holds a label that y does not, groups are missing or fewer than
            two, or the loss stops being a finite number.
        TypeError
            If X or X_val is sparse or masked, or no container of rows.

        Notes
        -----
        A `Pipeline` transforms X and leaves X_val alone. Either the classifier does the work itself (texts, token ids
        and ragged series go straight in, and nothing is learned from X_val), or the pipeline is told of X_val::

            sklearn.set_config(enable_metadata_routing=True)
            classifier = RNNClassifier(patience=5).set_fit_request(X_val=True, y_val=True)
            pipeline = Pipeline([("padder", SequencePadder()), ("classifier", classifier)], transform_input=["X_val"])
            pipeline.fit(X, y, X_val=X_val, y_val=y_val)

        ``GridSearchCV(...).fit(X, y, groups=groups)`` and ``cross_validate(..., groups=groups)`` cut the rows up by
        groups and keep these to themselves: without them the classifier makes its own split, and counts labels, as if
        all rows were strangers. With metadata routing they reach it too::

            sklearn.set_config(enable_metadata_routing=True)
            classifier = RNNTextClassifier(patience=2).set_fit_request(groups=True)
            GridSearchCV(classifier, {"units": [16, 32]}, cv=GroupKFold(5)).fit(X, y, groups=groups)

        A search or cross-validation takes whatever has as many rows as X for values beside them, and cuts it up with
        X: give it an X_val of another number of rows.
        """
        check_parameters(self, self._constraints)
        device = resolve_device(self.device)
        with all_or_nothing(self), use_threads(self.n_threads, device, self.cell, self.activation):
            warm = self.warm_start and hasattr(self, "network_")
            rows = self._read(X, reset=not warm)
            classes, codes = read_labels(y, len(rows))
            weights = read_sample_weight(sample_weight, len(rows))
            groups = read_groups(groups, len(rows))
            if (weights == 0).any():
                rows, classes, codes, weights, groups = _without_zero_weights(rows, classes, codes, weights, groups)
            watched = self._read_validation(X_val, y_val, sample_weight_val, classes)
            rng = check_random_state(self.random_state)

            learn = self._learn_more if warm else self._learn
            sequences = learn(rows, Labels(codes, weights, groups), rng)
            network = self._warm_network(classes) if warm else self._new_network(len(classes), rng)
            given = None if watched is None else Labelled(self._encode(watched[0], name="X_val"), *watched[1:])
            training, validation = training_data(
                Labelled(sequences, codes, weights),
                given,
                class_weight=self.class_weight,
                classes=classes,
                validation_fraction=None if self.patience is None else self.validation_fraction,
                groups=groups,
                device=device,
                rng=rng,
            )
            result = fit_network(
                network.to(device),
                training,
                validation,
                optimizer=self.optimizer,
                learning_rate=self.learning_rate,
                schedule=self.schedule,
                weight_decay=self.weight_decay,
                l1=self.l1,
                max_grad_norm=self.max_grad_norm,
                batch_size=self.batch_size,
                max_epochs=self._n_epochs(len(training)),
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

    def _n_epochs(self, n_rows: int) -> int:
        """How many epochs over so many training rows there are at most."""
        if self.max_epochs != "auto":
            return int(self.max_epochs)
        n_steps, fewest, most = self._auto_epochs
        n_batches = -(-n_rows // self.batch_size)
        return min(max(-(-n_steps // n_batches), fewest), most)

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
        for name in sorted(set(changed) - free):
            refuse_change(name, self.network_.config[name], config[name])
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

    def _read_validation(
        self, X_val: Any, y_val: Any, sample_weight_val: Any, classes: np.ndarray
    ) -> tuple[Rows, np.ndarray, np.ndarray] | None:
        """The rows to watch, their class codes, and their weights from above 0 to 1; None if none are given."""
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
            rows = self._read(X_val, reset=False, name="X_val")
        except (TypeError, ValueError) as error:
            error.add_note("If a Pipeline has transformed X: it transforms X_val too if its transform_input names it.")
            raise
        labels = check_labels(y_val, len(rows), name="y_val", rows_name="X_val")
        weights = read_sample_weight(sample_weight_val, len(rows), name="sample_weight_val")
        kept = np.flatnonzero(weights)
        return _take(rows, kept), codes_of(labels[kept], classes, name="y_val"), weights[kept] / weights.max()

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
        device = resolve_device(self.device)
        with use_threads(self.n_threads, device, self.cell, self.activation):
            logits = read_logits(self.network_, sequences, device)
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


def refuse_change(name: str, before: Any, now: Any) -> NoReturn:
    """Raise the error of a warm start that asks for another network."""
    raise ValueError(
        f"With warm_start=True, {name} must stay {before!r} as in the first fit; got {now!r}. "
        "Use warm_start=False to build a new network."
    )


def _without_zero_weights(
    rows: Rows, classes: np.ndarray, codes: np.ndarray, weights: np.ndarray, groups: np.ndarray | None
) -> tuple[Rows, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """A row of weight 0 is no row: it takes no part in the vocabulary, the scaling, the split, classes or groups."""
    kept = np.flatnonzero(weights)
    among = "the rows with a sample_weight above 0"
    present, codes = np.unique(codes[kept], return_inverse=True)
    refuse_one_class(classes[present], "y", among=among)
    if groups is not None:
        numbers, groups = np.unique(groups[kept], return_inverse=True)
        refuse_one_group(len(numbers), among=among)
    return _take(rows, kept), classes[present], codes, weights[kept], groups


def _take(rows: Rows, kept: np.ndarray) -> Rows:
    return rows.take(kept) if isinstance(rows, Ragged) else [rows[i] for i in kept]
