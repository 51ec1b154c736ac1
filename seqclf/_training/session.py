"""`TrainingSession`: a training that can be stopped, saved, and gone on with."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from seqclf._data.dataset import Dataset
from seqclf._kernels import reads_rows, warn_where_slow
from seqclf._nn.embedding import Embedding
from seqclf._nn.network import Network
from seqclf._tasks.task import Task
from seqclf._training.batches import TrainingData
from seqclf._training.callbacks import (
    EarlyStopping,
    FiniteLoss,
    L1Penalty,
    OneCycle,
    Progress,
    StatefulCallback,
    raise_diverged,
)
from seqclf._training.config import TrainingConfig
from seqclf._training.loop import TrainingLoop
from seqclf._training.optimizers import OPTIMIZERS
from seqclf._training.skorch_parts import Callback, EpochTimer, History, predefined_split

# The fields of the history, by the names that skorch's has for them.
_HISTORY = {
    "epoch": "epoch",
    "train_loss": "train_loss",
    "train_score": "train_score",
    "valid_loss": "valid_loss",
    "valid_score": "valid_score",
    "dur": "seconds",
    "steps": "steps",
}


class TrainingSession:
    """Network, optimiser, random generators, schedule, callbacks and history of one training.

    A session that loads the state of another one goes on as the other would have, to the bit, if it is made with the
    same settings, is given the same data, and runs on the same number of threads. After an error inside an epoch, go on
    from a state that was saved before: the network has seen a part of that epoch.

    Parameters
    ----------
    config : TrainingConfig
        The settings.
    task : Task
        What is learned; it has learned its weights.
    network : Network
        Initialised, and on the device where it is trained. It is trained in place.
    rng : RandomState
        Draws the seed of the dropout masks, and the batches.
    """

    def __init__(self, config: TrainingConfig, task: Task, network: Network, rng: np.random.RandomState):
        self.config, self.task, self.network, self._rng = config, task, network, rng
        warn_where_slow(network.config.cell, network.config.activation, network.device)
        self._generator = torch.Generator(network.device).manual_seed(int(rng.randint(2**31)))
        self._early_stopping = None if config.patience is None else EarlyStopping(config.patience, config.tol)
        self._progress = Progress(config.verbose, self._early_stopping) if config.verbose else None
        self._callbacks = self._make_callbacks()
        self._unit: float | None = None
        self._loop = TrainingLoop(
            network,
            task=task,
            generator=self._generator,
            rng=rng,
            optimizer=OPTIMIZERS[config.optimizer],
            lr=config.learning_rate,
            max_epochs=config.max_epochs,
            batch_size=config.batch_size,
            callbacks=self._callbacks,
            device=str(network.device),
            optimizer__max_grad_norm=config.max_grad_norm,
            optimizer__weight_decay=config.weight_decay,
            # Biases are not decayed.
            optimizer__param_groups=[("*bias*", {"weight_decay": 0.0})],
        ).initialize()

    def _make_callbacks(self) -> list[Callback]:
        callbacks: list[Callback | None] = [
            EpochTimer(),
            FiniteLoss(),
            L1Penalty(self.config.l1) if self.config.l1 else None,
            self._early_stopping,
            OneCycle() if self.config.schedule == "one_cycle" else None,
            self._progress,
        ]
        return [callback for callback in callbacks if callback is not None]

    @property
    def n_epochs(self) -> int:
        """How many epochs were trained."""
        return len(self._loop.history)

    @property
    def is_over(self) -> bool:
        """Whether `run` has nothing left to do."""
        stopped = self._early_stopping is not None and self._early_stopping.is_over
        return stopped or self.n_epochs >= self.config.max_epochs

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights are kept; the last one without early stopping."""
        return self.n_epochs if self._early_stopping is None else self._early_stopping.best_epoch

    @property
    def history(self) -> list[dict[str, Any]]:
        """One dict for each epoch, as the estimators show them."""
        names = _HISTORY | {"steps": self.config.step_name}
        return [{name: row[key] for key, name in names.items() if key in row} for row in self._loop.history]

    def run(
        self,
        training: Dataset,
        validation: Dataset | None = None,
        *,
        n_epochs: int | None = None,
        after_epoch: Callable[["TrainingSession"], None] | None = None,
    ) -> None:
        """Train until the last epoch, or until early stopping ends it; then the network has its best weights.

        Parameters
        ----------
        training : Dataset
            What trains.
        validation : Dataset, default=None
            What the validation loss is taken on; without it, early stopping goes by the training loss.
        n_epochs : int, default=None
            Return after this many epochs, even if the training is not over.
        after_epoch : callable, default=None
            Called with the session after each epoch, when its state may be saved.
        """
        data = TrainingData(training, self.task, self.network.device)
        self._loop.train_split = None
        if validation is not None:
            validation_data = TrainingData(validation, self.task, self.network.device)
            self._loop.train_split = predefined_split(validation_data)
        if not self.n_epochs:
            self._loop.notify("on_train_begin", X=data)
        with self._epochs():
            while not self.is_over and (n_epochs is None or n_epochs > 0):
                self._loop.fit_loop(data, epochs=1)
                n_epochs = None if n_epochs is None else n_epochs - 1
                if after_epoch is not None:
                    after_epoch(self)
        self._loop.train_split = None  # which holds the validation data
        if self.is_over:
            self._loop.notify("on_train_end", X=data)
        self._check_weights()

    def step(self, dataset: Dataset) -> None:
        """Train one epoch on data that may be others each time; it neither stops early nor puts best weights back.

        A weight counts in each step as it would in the first one.

        Raises
        ------
        ValueError
            With ``schedule="one_cycle"``, which needs to know how many epochs there will be.
        """
        if self.config.schedule != "constant":
            raise ValueError(f"Single steps need schedule='constant', got {self.config.schedule!r}.")
        self._loop.train_split = None
        with self._epochs():
            data = TrainingData(dataset, self.task, self.network.device, self._unit)
            self._unit = data.unit
            self._loop.fit_loop(data, epochs=1)
        self._check_weights()

    @contextmanager
    def _epochs(self) -> Iterator[None]:
        """Around epochs: the gradient of a large embedding is sparse, a bar is taken off the screen after an error."""
        table = self.network.embedding if isinstance(self.network.embedding, Embedding) else None
        try:
            if table is not None:
                table.sparse = not self.config.l1 and reads_rows(table.weight)
            yield
        finally:
            if table is not None:
                table.sparse = False
            if self._progress is not None:
                self._progress.close()
            history = self._loop.history
            if history and "dur" not in history[-1]:  # an epoch that an error has ended
                del history[-1]
            self.network.eval()

    def _check_weights(self) -> None:
        if not all(torch.isfinite(parameter).all() for parameter in self.network.parameters()):
            raise_diverged("weights", "not finite", self.n_epochs, self.config.learning_rate)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the training depends on besides settings and data, in memory of its own.

        It is made of tensors on the CPU, numbers, text, lists and dicts.
        """
        return {
            "network": copied(self.network.state_dict()),
            "optimizer": copied(self._loop.optimizer_.state_dict()),
            "generator": self._generator.get_state(),
            "rng": copied(self._rng.get_state(legacy=False)),
            "unit": self._unit,
            "callbacks": {name: copied(callback.state_dict()) for name, callback in self._stateful()},
            "history": copied(self._loop.history.to_list()),
            "config": asdict(self.config),
        }

    def load_state_dict(self, state: Mapping[str, Any], *, with_own_settings: bool = False) -> None:
        """Go on from what `state_dict` gave.

        With `with_own_settings` that may be the state of a session with other settings, but for the optimiser, and the
        training goes on with those of this one.

        Raises
        ------
        ValueError
            If the settings differ; then nothing is changed.
        """
        for name, value in asdict(self.config).items():
            may_differ = name == "verbose" or (with_own_settings and name != "optimizer")
            if state["config"][name] != value and not may_differ:
                raise ValueError(f"The state is of a training with {name}={state['config'][name]!r}, not {value!r}.")
        self.network.load_state_dict(state["network"])
        optimizer = copied(state["optimizer"])
        if with_own_settings:
            optimizer["param_groups"] = self._loop.optimizer_.state_dict()["param_groups"]
        self._loop.optimizer_.load_state_dict(optimizer)
        self._generator.set_state(state["generator"])
        self._rng.set_state(as_arrays(state["rng"]))
        self._unit = state["unit"]
        for name, callback in self._stateful():
            callback.load_state_dict(copied(state["callbacks"][name]))
        self._loop.history = History(dict(row) for row in state["history"])

    def _stateful(self) -> Iterator[tuple[str, StatefulCallback]]:
        for callback in self._callbacks:
            if isinstance(callback, StatefulCallback):
                yield type(callback).__name__, callback


def copied(state: Any) -> Any:
    """The same with copies of all tensors on the CPU, and arrays as lists."""
    if isinstance(state, np.ndarray):
        return state.tolist()
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {key: copied(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(map(copied, state))
    return state


def as_arrays(state: Any) -> Any:
    """The same with lists as arrays."""
    if isinstance(state, Mapping):
        return {key: as_arrays(value) for key, value in state.items()}
    return np.array(state) if isinstance(state, list) else state


def without_tensors(state: Any) -> Any:
    """The same with arrays in the place of tensors; of `state_dict`, which has no other arrays."""
    if isinstance(state, torch.Tensor):
        return state.numpy()
    if isinstance(state, Mapping):
        return {key: without_tensors(value) for key, value in state.items()}
    return type(state)(map(without_tensors, state)) if isinstance(state, list | tuple) else state


def as_tensors(state: Any) -> Any:
    """What `without_tensors` was given."""
    if isinstance(state, np.ndarray):
        return torch.from_numpy(state.copy())
    if isinstance(state, Mapping):
        return {key: as_tensors(value) for key, value in state.items()}
    return type(state)(map(as_tensors, state)) if isinstance(state, list | tuple) else state
