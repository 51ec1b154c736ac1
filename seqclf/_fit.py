"""The recipe of `fit`: validate, encode, learn from targets, train, keep. What X and y are, the estimators know."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from seqclf._data.dataset import Dataset, Rows, Targets, take
from seqclf._data.encoded import EncodedSequences
from seqclf._data.split import validation_rows
from seqclf._identity import fit_identity, versions
from seqclf._label_features.blas import reserve_blas_buffers
from seqclf._label_features.folds import cross_fitting_folds
from seqclf._state import fresh_state
from seqclf._tasks.task import Task
from seqclf._training.checkpoint import Checkpoint, open_checkpoint
from seqclf._training.device import resolve_device, use_threads
from seqclf._training.guard import guarded
from seqclf._training.memory import check_training
from seqclf._training.session import TrainingSession
from seqclf._training_parts import dataset_of, keep, new_network, refuse_divergence, training_config, warm_network
from seqclf._validation.alignment import match_rows
from seqclf._validation.parameters import check_parameters, raise_change
from seqclf._validation.targets import read_groups, read_sample_weight, refuse_one_group


@guarded
def fit(
    estimator: Any, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any, groups: Any
) -> Any:
    """All or nothing: after an error, or Ctrl-C, the estimator is as it was before."""
    reserve_blas_buffers()
    check_parameters(estimator, estimator._constraints)
    device = resolve_device(estimator.device)
    with (
        fresh_state(estimator) as fresh,
        use_threads(estimator.n_threads, device, estimator.cell, estimator.activation),
    ):
        task, data, given = _read(fresh, X, y, sample_weight, X_val, y_val, sample_weight_val, groups)
        _train(fresh, task, data, given, device)
    return estimator


def _read(
    estimator: Any, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any, groups: Any
) -> tuple[Task, Dataset, Dataset | None]:
    """What is to be learned, and the rows of X and X_val, encoded, with their validated targets."""
    warm = estimator._is_warm
    task = estimator._new_task(y)
    if warm and type(task) is not type(estimator._task):
        raise_change("y", estimator._task.kind, task.kind)
    rows = estimator._validate_X(X, reset=not warm)
    match_rows(X, len(rows), y=y, sample_weight=sample_weight, groups=groups)
    rows, y, weights, groups, kept = _validate_targets(estimator, task, rows, y, sample_weight, groups)
    given = _validate_validation(estimator, task, X_val, y_val, sample_weight_val)
    # The weights may be so large or so small that their sum is not finite.
    weights /= weights.max()
    sequences = estimator._encode(rows) if warm else estimator._fit_encoder(rows, weights)
    data = dataset_of(sequences, y, weights, groups, rows=kept)
    return task, data, None if given is None else _encoded(estimator, *given)


def _train(estimator: Any, task: Task, data: Dataset, given: Dataset | None, device: torch.device) -> None:
    """Learn from the rows, and keep what is learned; `given` are the validation rows, if any were handed in."""
    with _checkpoint(estimator, data, given, device) as checkpoint:
        _train_from(estimator, checkpoint, task, data, given, device)


def _checkpoint(
    estimator: Any, data: Dataset, given: Dataset | None, device: torch.device
) -> AbstractContextManager[Checkpoint | None]:
    if estimator.checkpoint_dir is None:
        return nullcontext()
    return open_checkpoint(estimator.checkpoint_dir, fit_identity(estimator, data, given, device.type), versions())


def _train_from(
    estimator: Any,
    checkpoint: Checkpoint | None,
    task: Task,
    data: Dataset,
    given: Dataset | None,
    device: torch.device,
) -> None:
    """Train from where the checkpoint is, or from the beginning."""
    rng = check_random_state(estimator.random_state)
    if checkpoint is not None:
        rng = checkpoint.generator(rng)
    training, validation = _split(estimator, data, task, rng) if given is None else (data, given)
    # From here on everything is learned from the targets of the training rows alone.
    y, warm = training.targets, estimator._is_warm
    training = replace(training, targets=task.refit(y, estimator._task) if warm else task.fit(y, training.weights))
    task.fit_weights(training.targets, training.weights)
    training = replace(training, sequences=_fit_label_features(estimator, training, task, rng))
    if validation is not None:
        targets = task.encode(validation.targets, name="y" if given is None else "y_val")
        features = estimator._add_label_features(validation.sequences)
        validation = replace(validation, sequences=features, targets=targets)

    config = training_config(estimator, training)
    check_training(estimator._network_config(task), config, training, device)
    network = warm_network(estimator, task) if warm else new_network(estimator, task, training, rng)
    session = TrainingSession(config, task, network.to(device), rng)
    if checkpoint is not None:
        checkpoint.load_into(session)
        if estimator.verbose and checkpoint.n_epochs:
            print(f"goes on after epoch {checkpoint.n_epochs}, from {checkpoint.file}", flush=True)
    session.run(training, validation, after_epoch=None if checkpoint is None else checkpoint.save)
    if validation is None and not warm:
        network.head.keep(len(training) / (len(training) + task.prior_rows))
    refuse_divergence(estimator, network, training.sequences, device)
    keep(estimator, task, session)
    for name in ("_training_state", "_folds"):  # of a stream before this fit
        estimator.__dict__.pop(name, None)
    estimator.history_ = session.history
    estimator.n_iter_ = session.n_epochs
    estimator.best_epoch_ = session.best_epoch


def _fit_label_features(estimator: Any, training: Dataset, task: Task, rng: np.random.RandomState) -> EncodedSequences:
    """The training sequences with what is learned from their targets, each without its own.

    In a warm start the new rows may be those of the first fit, so they get what is learned from them alone, and
    what is kept for prediction stays as it is.
    """
    if estimator._is_warm:
        estimator._refuse_other_features(task)
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
    """The rows of X, their validated targets, weights above 0, groups, and numbers in X.

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
    return rows, y, weights, groups, kept


def _validate_validation(
    estimator: Any, task: Task, X_val: Any, y_val: Any, sample_weight_val: Any
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
        rows = estimator._validate_X(X_val, reset=False, name="X_val")
    except (TypeError, ValueError) as error:
        error.add_note("If a Pipeline has transformed X: it transforms X_val too if its transform_input names it.")
        raise
    match_rows(X_val, len(rows), name="X_val", y_val=y_val, sample_weight_val=sample_weight_val)
    y = task.validate(y_val, rows, name="y_val", rows_name="X_val")
    weights = read_sample_weight(sample_weight_val, len(rows), name="sample_weight_val")
    kept = np.flatnonzero(weights)
    return take(rows, kept), take(y, kept), weights[kept] / weights.max()


def _encoded(estimator: Any, rows: Rows, y: Targets, weights: np.ndarray) -> Dataset:
    return dataset_of(estimator._encode(rows, name="X_val"), y, weights, None, names=("X_val", "y_val"))


def _split(estimator: Any, data: Dataset, task: Task, rng: np.random.RandomState) -> tuple[Dataset, Dataset | None]:
    """The training rows, and the validation rows for early stopping."""
    if estimator.patience is None:
        return data, None
    held_out = validation_rows(task.strata(data.targets), estimator.validation_fraction, rng, data.groups)
    if held_out is None:
        return data, None
    return data.take(np.delete(np.arange(len(data)), held_out)), data.take(held_out)
