"""The steps of `fit`: validate, encode, fit label features, train, set fitted attributes.

The estimators define what X and y are.
"""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from seqclf._callbacks import CALLBACK_ATTRIBUTES, FitCallbacks, without
from seqclf._data.dataset import Dataset, Rows, Targets, take
from seqclf._data.encoded import EncodedSequences
from seqclf._data.split import validation_rows
from seqclf._identity import call_identity, fit_identity, versions
from seqclf._label_features.blas import reserve_blas_buffers
from seqclf._label_features.folds import cross_fitting_folds
from seqclf._nn.network import Network
from seqclf._state import fresh_state, snapshot
from seqclf._tasks.task import Task
from seqclf._training.checkpoint import Checkpoint, open_checkpoint
from seqclf._training.config import TrainingConfig
from seqclf._training.device import resolve_device, use_threads
from seqclf._training.guard import guarded
from seqclf._training.memory import check_training
from seqclf._training.process_group import ProcessGroup, joined_processes
from seqclf._training.session import TrainingSession
from seqclf._training_parts import (
    check_not_diverged,
    make_dataset,
    new_network,
    set_fitted_attributes,
    training_config,
    warm_network,
)
from seqclf._validation.alignment import warn_if_indexes_differ
from seqclf._validation.parameters import check_parameters, raise_parameter_changed
from seqclf._validation.targets import check_two_groups, validate_groups, validate_sample_weight


@dataclass(frozen=True)
class _Start:
    """All that the epochs start from, except for the parameters; the same in all processes of a fit."""

    attributes: dict[str, Any]  # of the estimator
    task: Task
    training: Dataset
    validation: Dataset | None
    config: TrainingConfig
    network: Network
    rng: np.random.RandomState
    saved: dict[str, Any] | None  # the state of the training in the checkpoint
    shrink_to: float | None  # the fraction to which the head is shrunk after the training


@guarded
def fit(
    estimator: Any, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any, groups: Any
) -> Any:
    """Fit the estimator; after an error or Ctrl-C, it is unchanged.

    In a fit on several processes, the first one prepares the data, and all train the network.
    """
    reserve_blas_buffers()
    arguments = (X, y, sample_weight, X_val, y_val, sample_weight_val, groups)
    with joined_processes() as group:
        check_parameters(estimator, estimator._constraints)
        _check_equal_calls(group, estimator, arguments)
        device = group.device(resolve_device(estimator.device))
        n_threads = estimator.n_threads or group.n_threads
        with (
            fresh_state(estimator, kept=CALLBACK_ATTRIBUTES) as fresh,
            use_threads(n_threads, device, estimator.cell, estimator.activation),
            ExitStack() as opened,
        ):
            prepared = group.on_first(lambda: _prepare(fresh, *arguments), send=False)
            checkpoint = group.on_first(lambda: _checkpoint(fresh, opened, *prepared[1:], device, group), send=False)
            start = group.on_first(lambda: _start(fresh, checkpoint, *prepared, device, group))
            _train(fresh, checkpoint, start, device, group, FitCallbacks(estimator, X, y, sample_weight))
    return estimator


def _check_equal_calls(group: ProcessGroup, estimator: Any, arguments: tuple[Any, ...]) -> None:
    """Raise an error if the processes of a fit call it in different ways."""
    if group.size == 1:
        return
    names = ("X", "y", "sample_weight", "X_val", "y_val", "sample_weight_val", "groups")
    first, *others = group.gather(call_identity(estimator, dict(zip(names, arguments, strict=True))))
    for rank, other in enumerate(others, start=1):
        if different := [name for name, value in first.items() if other.get(name) != value]:
            raise ValueError(
                f"Ranks 0 and {rank} call fit with different {', '.join(different)}. In a fit on several processes, "
                "every process passes all rows, loaded in the same way; fit divides each batch among the processes."
            )


def _prepare(
    estimator: Any, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any, groups: Any
) -> tuple[Task, Dataset, Dataset | None]:
    """The task, and the encoded rows of X and X_val with their validated, unencoded targets."""
    warm = estimator._is_warm
    task = estimator._new_task(y)
    if warm and type(task) is not type(estimator._task):
        raise_parameter_changed("y", estimator._task.kind, task.kind)
    rows = estimator._validate_X(X, reset=not warm)
    warn_if_indexes_differ(X, len(rows), y=y, sample_weight=sample_weight, groups=groups)
    rows, y, weights, groups, selected = _validate_targets(estimator, task, rows, y, sample_weight, groups)
    validation = _validate_validation_data(estimator, task, X_val, y_val, sample_weight_val)
    # The sum of very large weights could be infinite.
    weights /= weights.max()
    sequences = estimator._encode(rows) if warm else estimator._fit_encoder(rows, weights)
    data = make_dataset(sequences, y, weights, groups, rows=selected)
    return task, data, None if validation is None else _encode_validation_data(estimator, *validation)


def _checkpoint(
    estimator: Any,
    opened: ExitStack,
    data: Dataset,
    provided: Dataset | None,
    device: torch.device,
    group: ProcessGroup,
) -> Checkpoint | None:
    """The checkpoint of this fit, if it has one; it is closed with `opened`."""
    if estimator.checkpoint_dir is None:
        return None
    identity = fit_identity(estimator, data, provided, device.type, group.size)
    return opened.enter_context(open_checkpoint(estimator.checkpoint_dir, identity, versions()))


def _start(
    estimator: Any,
    checkpoint: Checkpoint | None,
    task: Task,
    data: Dataset,
    provided: Dataset | None,
    device: torch.device,
    group: ProcessGroup,
) -> _Start:
    """Split the data, fit task and label features, and make a network; `provided` is the data of X_val, if any."""
    rng = check_random_state(estimator.random_state)
    if checkpoint is not None:
        rng = checkpoint.generator(rng)
    training, validation = _split(estimator, data, task, rng) if provided is None else (data, provided)
    # From here on, everything is fitted to the targets of the training rows only.
    y, warm = training.targets, estimator._is_warm
    training = replace(training, targets=task.refit(y, estimator._task) if warm else task.fit(y, training.weights))
    task.fit_weights(training.targets, training.weights)
    training = replace(training, sequences=_fit_label_features(estimator, training, task, rng))
    if validation is not None:
        targets = task.encode(validation.targets, name="y" if provided is None else "y_val")
        features = estimator._add_label_features(validation.sequences)
        validation = replace(validation, sequences=features, targets=targets)

    config = training_config(estimator, training)
    largest = replace(config, batch_size=-(-config.batch_size // group.size))
    check_training(estimator._network_config(task), largest, training, device)
    network = warm_network(estimator, task) if warm else new_network(estimator, task, training, rng)
    shrink_to = len(training) / (len(training) + task.prior_rows) if validation is None and not warm else None
    attributes = without((*CALLBACK_ATTRIBUTES, *estimator.get_params(deep=False)), vars(estimator))
    saved = None if checkpoint is None else checkpoint.session_state
    return _Start(attributes, task, training, validation, config, network, rng, saved, shrink_to)


def _train(
    estimator: Any,
    checkpoint: Checkpoint | None,
    start: _Start,
    device: torch.device,
    group: ProcessGroup,
    callbacks: FitCallbacks,
) -> None:
    """Train the network, and set the fitted attributes; the first process calls callbacks and saves checkpoints."""
    network = start.network.to(device)
    session = TrainingSession(start.config, start.task, network, _generator(estimator, start, group), group)
    if group.rank:
        vars(estimator).update(start.attributes)
    if start.saved is not None:
        session.load_state_dict(start.saved)
    if checkpoint is not None and estimator.verbose and checkpoint.n_epochs:
        print(f"resuming after epoch {checkpoint.n_epochs}, from {checkpoint.file}", flush=True)

    def fitted() -> Any:
        """A copy of the estimator with the present weights, as if the training was over."""
        copy = snapshot(estimator)
        _set_results(copy, session, Network.from_arrays(network.config, network.to_arrays()), start.shrink_to)
        copy.best_epoch_ = session.n_epochs
        return copy

    def end_epoch() -> bool:
        if checkpoint is not None:
            checkpoint.save(session)
        return callbacks.end_epoch(fitted)

    group.on_first(lambda: callbacks.begin(start.config.max_epochs, session.n_epochs))
    session.run(
        start.training,
        start.validation,
        before_epoch=lambda _: group.on_first(lambda: callbacks.begin_epoch(fitted)),
        after_epoch=lambda _: group.on_first(end_epoch),
    )
    _set_results(estimator, session, network, start.shrink_to)
    check_not_diverged(estimator, network, start.training.sequences, device)
    group.on_first(lambda: callbacks.end(lambda: _with_copied_results(estimator)))
    group.gather(None)  # If a process fails before this, no estimator is changed.


def _generator(estimator: Any, start: _Start, group: ProcessGroup) -> np.random.RandomState:
    """The generator of the training: that of `random_state`, or numpy's global one, in the state of the first process.

    It continues in the same state in all processes, so that the program can draw equal random numbers after the fit.
    """
    if not group.rank:
        return start.rng
    generator = check_random_state(estimator.random_state)
    generator.set_state(start.rng.get_state(legacy=False))
    return generator


def _set_results(estimator: Any, session: TrainingSession, network: Network, shrink_to: float | None) -> None:
    """Set the fitted attributes. If `shrink_to` is given, the head of the network is shrunk to this fraction."""
    if shrink_to is not None:
        network.head.shrink(shrink_to)
    set_fitted_attributes(estimator, session.task, network)
    for name in ("_training_state", "_folds"):  # left by an earlier partial_fit
        estimator.__dict__.pop(name, None)
    estimator.history_ = session.history
    estimator.n_iter_ = session.n_epochs
    estimator.best_epoch_ = session.best_epoch


def _with_copied_results(estimator: Any) -> Any:
    """A copy of a fitted estimator; changes of its weights and history don't change the estimator."""
    copy, network = snapshot(estimator), estimator.network_
    copy.network_ = Network.from_arrays(network.config, network.to_arrays())
    copy.history_ = [dict(epoch) for epoch in estimator.history_]
    return copy


def _fit_label_features(estimator: Any, training: Dataset, task: Task, rng: np.random.RandomState) -> EncodedSequences:
    """The training sequences with cross-fitted label features: those of a row do not depend on its own target.

    A warm start may repeat rows of the first fit. Its rows get features that are cross-fitted on the new rows only,
    and the features used in prediction do not change.
    """
    if estimator._is_warm:
        estimator._check_label_features(task)
    features = estimator._new_label_features(task, rng)
    if not estimator._is_warm:
        estimator._label_features = features
    if features is None:
        return training.sequences
    sequences = training.sequences
    fold = cross_fitting_folds(sequences.steps, task.strata(training.targets).of_rows, training.groups, rng)
    return features.fit_transform(sequences, task.supervision(training, fold))


def _validate_targets(
    estimator: Any, task: Task, rows: Rows, y: Any, sample_weight: Any, groups: Any
) -> tuple[Rows, Targets, np.ndarray, np.ndarray | None, np.ndarray]:
    """The rows of X, their validated targets, positive weights, groups, and indices in X.

    Rows of weight 0 are dropped first: they affect neither vocabulary, scaling, split, targets nor groups.
    """
    y = task.validate(y, rows)
    weights = validate_sample_weight(sample_weight, len(rows))
    groups = validate_groups(groups, len(rows))
    selected = np.flatnonzero(weights)
    if len(selected) < len(weights):
        among = "the rows with a sample_weight above 0"
        task.check_trainable(take(y, selected), among=among)
        rows, y, weights = take(rows, selected), take(y, selected), weights[selected]
        if groups is not None:
            unique_groups, groups = np.unique(groups[selected], return_inverse=True)
            check_two_groups(len(unique_groups), among=among)
    return rows, y, weights, groups, selected


def _validate_validation_data(
    estimator: Any, task: Task, X_val: Any, y_val: Any, sample_weight_val: Any
) -> tuple[Rows, Targets, np.ndarray] | None:
    """The validation rows, their validated targets, and weights in (0, 1]; None without X_val and y_val."""
    if X_val is None or y_val is None:
        for name, value, required in (
            ("X_val", X_val, "y_val"),
            ("y_val", y_val, "X_val"),
            ("sample_weight_val", sample_weight_val, "X_val and y_val"),
        ):
            if value is not None:
                raise ValueError(f"{name} was passed without {required}: pass both X_val and y_val, or neither.")
        return None
    try:
        rows = estimator._validate_X(X_val, reset=False, name="X_val")
    except (TypeError, ValueError) as error:
        error.add_note(
            "If a Pipeline transformed X, set its transform_input=['X_val'] so that it transforms X_val too."
        )
        raise
    warn_if_indexes_differ(X_val, len(rows), name="X_val", y_val=y_val, sample_weight_val=sample_weight_val)
    y = task.validate(y_val, rows, name="y_val", rows_name="X_val")
    weights = validate_sample_weight(sample_weight_val, len(rows), name="sample_weight_val")
    selected = np.flatnonzero(weights)
    return take(rows, selected), take(y, selected), weights[selected] / weights.max()


def _encode_validation_data(estimator: Any, rows: Rows, y: Targets, weights: np.ndarray) -> Dataset:
    return make_dataset(estimator._encode(rows, name="X_val"), y, weights, None, names=("X_val", "y_val"))


def _split(estimator: Any, data: Dataset, task: Task, rng: np.random.RandomState) -> tuple[Dataset, Dataset | None]:
    """The training rows, and the validation rows for early stopping, if any."""
    if estimator.patience is None:
        return data, None
    held_out = validation_rows(task.strata(data.targets), estimator.validation_fraction, rng, data.groups)
    if held_out is None:
        return data, None
    return data.take(np.delete(np.arange(len(data)), held_out)), data.take(held_out)
