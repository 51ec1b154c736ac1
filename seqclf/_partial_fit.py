"""The recipe of `partial_fit`: one pass over each chunk of a stream; the first chunk decides what the inputs are.

The folds of label-informed inputs go by what a row holds, and what the first chunk has taught without each fold is
kept: a row that comes again is told nothing that was learned from its own target.
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
from seqclf._training.session import TrainingSession, as_tensors, without_tensors
from seqclf._training_parts import dataset_of, keep, new_network, refuse_divergence, training_config, warm_network
from seqclf._validation.alignment import match_rows
from seqclf._validation.parameters import check_parameters, raise_change
from seqclf._validation.targets import read_sample_weight
from seqclf._warn import warn


@guarded
def partial_fit(estimator: Any, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Any:
    """All or nothing: after an error, or Ctrl-C, the estimator is as it was before."""
    check_parameters(estimator, estimator._constraints)
    if estimator.patience is not None:
        raise ValueError(
            f"patience={estimator.patience!r} compares epochs over the same rows, and partial_fit sees each chunk "
            "once. Set patience=None, and stop when a score of your own says so."
        )
    device = resolve_device(estimator.device)
    reserve_blas_buffers()
    with (
        fresh_state(estimator) as fresh,
        use_threads(estimator.n_threads, device, estimator.cell, estimator.activation),
    ):
        task, chunk = _read_chunk(fresh, X, y, sample_weight, classes)
        _train_on(fresh, task, chunk, device)
    return estimator


def _is_first(estimator: Any) -> bool:
    """Whether nothing was fitted before."""
    return not hasattr(estimator, "network_")


def _read_chunk(estimator: Any, X: Any, y: Any, sample_weight: Any, classes: Any) -> tuple[Task, Dataset]:
    """What is learned, and the encoded rows with their encoded targets."""
    task = estimator._new_task(y) if _is_first(estimator) else estimator._next_task()
    rows = estimator._validate_X(X, reset=_is_first(estimator))
    match_rows(X, len(rows), y=y, sample_weight=sample_weight)
    y = task.validate(y, rows)
    weights = read_sample_weight(sample_weight, len(rows))
    kept = np.flatnonzero(weights)
    rows, y, weights = take(rows, kept), take(y, kept), weights[kept]
    if _is_first(estimator):
        sequences = estimator._start_encoder(rows, weights / weights.max())
        return task, dataset_of(sequences, task.start(y, weights, classes), weights, rows=kept)
    task.follow(estimator._task, classes)
    return task, dataset_of(estimator._encode(rows), task.proceed(y), weights, rows=kept)


def _train_on(estimator: Any, task: Task, chunk: Dataset, device: torch.device) -> None:
    """Make one pass over the rows, and keep what is learned."""
    state = getattr(estimator, "_training_state", None)
    rng = np.random.RandomState()
    if state is None:
        rng.seed(check_random_state(estimator.random_state).randint(2**32, dtype=np.uint32))
    chunk = replace(chunk, sequences=_chunk_features(estimator, chunk, task, rng))
    config = replace(training_config(estimator, chunk), max_epochs=1)
    check_training(estimator._network_config(task), config, chunk, device)
    network = new_network(estimator, task, chunk, rng) if _is_first(estimator) else warm_network(estimator, task)
    session = TrainingSession(config, task, network.to(device), rng)
    if state is not None:
        if (before := state["config"]["optimizer"]) != estimator.optimizer:
            raise_change("optimizer", before, estimator.optimizer)
        session.load_state_dict(as_tensors(state) | {"network": network.state_dict()}, with_own_settings=True)
    session.step(chunk)
    refuse_divergence(estimator, network, chunk.sequences, device)

    n_before, history = (0, []) if _is_first(estimator) else (estimator.n_iter_, estimator.history_)
    estimator.n_iter_ = estimator.best_epoch_ = n_before + 1
    estimator.history_ = [*history, session.history[-1] | {"epoch": estimator.n_iter_}]
    keep(estimator, task, session)
    # Without torch's tensors, so that what is pickled can be read without torch.
    estimator._training_state = without_tensors(session.state_dict() | {"network": {}, "history": []})


def _chunk_features(estimator: Any, chunk: Dataset, task: Task, rng: np.random.RandomState) -> EncodedSequences:
    """The sequences with what was learned from the targets of the first chunk, without their own folds."""
    steps = chunk.sequences.steps
    if _is_first(estimator):
        features = estimator._label_features = estimator._new_label_features(task, rng)
        if features is None:
            return chunk.sequences
        estimator._folds = StreamFolds(steps)
        supervision = task.supervision(chunk, estimator._folds.of_first)
        _refuse_useless_chunk(supervision)
        return features.fit_transform(chunk.sequences, supervision, keep_folds=True)
    estimator._refuse_other_features(task)
    features = estimator._label_features
    if features is None:
        return chunk.sequences
    # After `fit` there are no folds: what it has learned of all rows is taken.
    folds = estimator._folds.of(steps) if hasattr(estimator, "_folds") else None
    return features.transform(chunk.sequences, folds)


def _refuse_useless_chunk(supervision: Supervision) -> None:
    """Raise an error, or warn, where the first chunk teaches linear models and n-grams nothing."""
    advice = "Begin with a larger chunk of different rows, or train the network alone (wide=False, nb_ngrams=0)."
    if not supervision.fold.any():
        raise ValueError(
            "The first chunk has too few different rows to tell a row what the others say of it, as the linear "
            f"model and the n-grams do. {advice}"
        )
    if supervision.memberships is not None and not supervision.spread.any():
        warn(
            "The first chunk of partial_fit holds rows of one class alone, or the same row for a whole class. From "
            "it the linear model and the n-grams learn nothing, and later chunks don't change them. "
            f"{advice}"
        )
