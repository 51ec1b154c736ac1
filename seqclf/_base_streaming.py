"""The recipe of `partial_fit`: one pass over each chunk of a stream; the first chunk decides what the inputs are."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import check_random_state

from seqclf._base import raise_change
from seqclf._base_training import BaseTrainedRNN, dataset_of
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
from seqclf._training.session import TrainingSession
from seqclf._validation.alignment import match_rows
from seqclf._validation.containers import shorten
from seqclf._validation.parameters import check_parameters
from seqclf._validation.targets import read_sample_weight
from seqclf._warn import warn


def has_constant_rate(estimator: Any) -> bool:
    """Whether the estimator has `partial_fit`; scikit-learn shows the reason where it has not."""
    if estimator.schedule != "constant":
        raise AttributeError(
            f"partial_fit needs schedule='constant'. With schedule={shorten(estimator.schedule)} the learning rate "
            "depends on how many epochs there will be, which a stream does not tell."
        )
    return True


class BaseStreamedRNN(BaseTrainedRNN):
    """What `partial_fit` does; the subclasses have the public method.

    The folds of label-informed inputs go by what a row holds, and what the first chunk has taught without each fold is
    kept: a row that comes again is told nothing that was learned from its own target.
    """

    _training_state: dict[str, Any]  # The state of the session, from which the next chunk goes on.
    _folds: StreamFolds  # of label-informed inputs, if there are any

    @guarded
    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        """All or nothing: after an error, or Ctrl-C, the estimator is as it was before."""
        check_parameters(self, self._constraints)
        if self.patience is not None:
            raise ValueError(
                f"patience={self.patience!r} compares epochs over the same rows, and partial_fit sees each chunk once. "
                "Set patience=None, and stop when a score of your own says so."
            )
        device = resolve_device(self.device)
        reserve_blas_buffers()
        with fresh_state(self) as fresh, use_threads(self.n_threads, device, self.cell, self.activation):
            task, chunk = fresh._read_chunk(X, y, sample_weight, classes)
            fresh._train_on(task, chunk, device)
        return self

    @property
    def _is_first(self) -> bool:
        """Whether nothing was fitted before."""
        return not hasattr(self, "network_")

    def _read_chunk(self, X: Any, y: Any, sample_weight: Any, classes: Any) -> tuple[Task, Dataset]:
        """What is learned, and the encoded rows with their encoded targets."""
        task = self._new_task(y) if self._is_first else self._next_task()
        rows = self._validate_X(X, reset=self._is_first)
        match_rows(X, len(rows), y=y, sample_weight=sample_weight)
        y = task.validate(y, rows)
        weights = read_sample_weight(sample_weight, len(rows))
        kept = np.flatnonzero(weights)
        rows, y, weights = take(rows, kept), take(y, kept), weights[kept]
        if self._is_first:
            sequences = self._start_encoder(rows, weights / weights.max())
            return task, dataset_of(sequences, task.start(y, weights, classes), weights, rows=kept)
        task.follow(self._task, classes)
        return task, dataset_of(self._encode(rows), task.proceed(y), weights, rows=kept)

    def _train_on(self, task: Task, chunk: Dataset, device: torch.device) -> None:
        """Make one pass over the rows, and keep what is learned."""
        state = getattr(self, "_training_state", None)
        rng = np.random.RandomState()
        if state is None:
            rng.seed(check_random_state(self.random_state).randint(2**32, dtype=np.uint32))
        chunk = replace(chunk, sequences=self._chunk_features(chunk, task, rng))
        config = replace(self._training_config(chunk), max_epochs=1)
        check_training(self._network_config(task), config, chunk, device)
        network = self._new_network(task, chunk, rng) if self._is_first else self._warm_network(task)
        session = TrainingSession(config, task, network.to(device), rng)
        if state is not None:
            if (before := state["config"]["optimizer"]) != self.optimizer:
                raise_change("optimizer", before, self.optimizer)
            session.load_state_dict(state | {"network": network.state_dict()}, with_own_settings=True)
        session.step(chunk)
        self._refuse_divergence(network, chunk.sequences, device)

        n_before, history = (0, []) if self._is_first else (self.n_iter_, self.history_)
        self.n_iter_ = self.best_epoch_ = n_before + 1
        self.history_ = [*history, session.history[-1] | {"epoch": self.n_iter_}]
        self._keep(task, session)
        self._training_state = session.state_dict() | {"network": {}, "history": []}

    def _chunk_features(self, chunk: Dataset, task: Task, rng: np.random.RandomState) -> EncodedSequences:
        """The sequences with what was learned from the targets of the first chunk, without their own folds."""
        steps = chunk.sequences.steps
        if self._is_first:
            features = self._label_features = self._new_label_features(task, rng)
            if features is None:
                return chunk.sequences
            self._folds = StreamFolds(steps)
            supervision = task.supervision(chunk, self._folds.of_first)
            self._refuse_useless_chunk(supervision)
            return features.fit_transform(chunk.sequences, supervision, keep_folds=True)
        self._refuse_other_features(task)
        features = self._label_features
        if features is None:
            return chunk.sequences
        # After `fit` there are no folds: what it has learned of all rows is taken.
        folds = self._folds.of(steps) if hasattr(self, "_folds") else None
        return features.transform(chunk.sequences, folds)

    def _refuse_useless_chunk(self, supervision: Supervision) -> None:
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
