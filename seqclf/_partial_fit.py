"""The steps of `partial_fit`: one epoch on each chunk of a stream; the first chunk determines how inputs are encoded.

Label features are fitted to the first chunk. The fold of a row depends on its content only, and the features fitted
without each fold are saved: when a row is repeated, its features still do not depend on its own target.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from seqclf._data.dataset import Dataset, take
from seqclf._data.encoded import EncodedSequences
from seqclf._label_features.blas import reserve_blas_buffers
from seqclf._label_features.folds import StreamFolds
from seqclf._label_features.supervision import Supervision
from seqclf._state import fresh_state
from seqclf._tasks.task import Task
from seqclf._training.device import resolve_device, use_threads
from seqclf._training.guard import guarded
from seqclf._training.memory import check_training
from seqclf._training.session import TrainingSession, arrays_to_tensors, tensors_to_arrays
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
from seqclf._validation.targets import validate_sample_weight
from seqclf._warn import warn


@guarded
def partial_fit(estimator: Any, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Any:
    """Train on one chunk; after an error or Ctrl-C, the estimator is unchanged."""
    check_parameters(estimator, estimator._constraints)
    if estimator.patience is not None:
        raise ValueError(
            f"patience={estimator.patience!r} compares epochs on the same rows, but partial_fit sees each chunk "
            "once. Set patience=None, and decide when to stop by your own score."
        )
    device = resolve_device(estimator.device)
    reserve_blas_buffers()
    with (
        fresh_state(estimator) as fresh,
        use_threads(estimator.n_threads, device, estimator.cell, estimator.activation),
    ):
        task, chunk = _prepare_chunk(fresh, X, y, sample_weight, classes)
        _train_chunk(fresh, task, chunk, device)
    return estimator


def _is_first_chunk(estimator: Any) -> bool:
    """Whether the estimator is not fitted yet."""
    return not hasattr(estimator, "network_")


def _prepare_chunk(estimator: Any, X: Any, y: Any, sample_weight: Any, classes: Any) -> tuple[Task, Dataset]:
    """The task, and the encoded rows with their encoded targets."""
    task = estimator._new_task(y) if _is_first_chunk(estimator) else estimator._next_task()
    rows = estimator._validate_X(X, reset=_is_first_chunk(estimator))
    warn_if_indexes_differ(X, len(rows), y=y, sample_weight=sample_weight)
    y = task.validate(y, rows)
    weights = validate_sample_weight(sample_weight, len(rows))
    selected = np.flatnonzero(weights)
    rows, y, weights = take(rows, selected), take(y, selected), weights[selected]
    if _is_first_chunk(estimator):
        sequences = estimator._start_encoder(rows, weights / weights.max())
        return task, make_dataset(sequences, task.fit_first_chunk(y, weights, classes), weights, rows=selected)
    task.continue_from(estimator._task, classes)
    return task, make_dataset(estimator._encode(rows), task.encode_chunk(y), weights, rows=selected)


def _train_chunk(estimator: Any, task: Task, chunk: Dataset, device: torch.device) -> None:
    """Train one epoch on the chunk, and update the fitted attributes."""
    state = getattr(estimator, "_training_state", None)
    rng = np.random.RandomState()
    if state is None:
        rng.seed(check_random_state(estimator.random_state).randint(2**32, dtype=np.uint32))
    chunk = replace(chunk, sequences=_add_label_features(estimator, chunk, task, rng))
    config = replace(training_config(estimator, chunk), max_epochs=1)
    check_training(estimator._network_config(task), config, chunk, device)
    network = new_network(estimator, task, chunk, rng) if _is_first_chunk(estimator) else warm_network(estimator, task)
    session = TrainingSession(config, task, network.to(device), rng)
    if state is not None:
        if (before := state["config"]["optimizer"]) != estimator.optimizer:
            raise_parameter_changed("optimizer", before, estimator.optimizer)
        session.load_state_dict(arrays_to_tensors(state) | {"network": network.state_dict()}, keep_settings=True)
    session.train_epoch(chunk)
    check_not_diverged(estimator, network, chunk.sequences, device)

    n_before, history = (0, []) if _is_first_chunk(estimator) else (estimator.n_iter_, estimator.history_)
    estimator.n_iter_ = estimator.best_epoch_ = n_before + 1
    estimator.history_ = [*history, session.history[-1] | {"epoch": estimator.n_iter_}]
    set_fitted_attributes(estimator, task, network)
    # Arrays instead of tensors, so that a pickle can be loaded without torch.
    estimator._training_state = tensors_to_arrays(session.state_dict() | {"network": {}, "history": []})


def _add_label_features(estimator: Any, chunk: Dataset, task: Task, rng: np.random.RandomState) -> EncodedSequences:
    """The sequences with label features fitted to the first chunk without the fold of each sequence."""
    steps = chunk.sequences.steps
    if _is_first_chunk(estimator):
        features = estimator._label_features = estimator._new_label_features(task, rng)
        if features is None:
            return chunk.sequences
        estimator._folds = StreamFolds(steps)
        supervision = task.supervision(chunk, estimator._folds.first_chunk_folds)
        _check_first_chunk(supervision)
        return features.fit_transform(chunk.sequences, supervision, keep_folds=True)
    estimator._check_label_features(task)
    features = estimator._label_features
    if features is None:
        return chunk.sequences
    # After `fit` there are no folds: the features fitted to all rows are used.
    folds = estimator._folds.of(steps) if hasattr(estimator, "_folds") else None
    return features.transform(chunk.sequences, folds)


def _check_first_chunk(supervision: Supervision) -> None:
    """Raise an error, or warn, if linear models and n-grams can't be fitted to the first chunk."""
    advice = (
        "Start with a larger chunk of different rows, or train only the network (wide=False; for texts also "
        "nb_ngrams=0)."
    )
    if not supervision.fold.any():
        raise ValueError(
            "The first chunk has too few different rows to cross-fit the linear model and the n-gram features. "
            f"{advice}"
        )
    if supervision.memberships is not None and not supervision.is_learnable.any():
        warn(
            "The first chunk of partial_fit holds rows of only one class, or the same row for a whole class. The "
            "linear model and the n-grams learn nothing from it, and later chunks don't change them. "
            f"{advice}"
        )
