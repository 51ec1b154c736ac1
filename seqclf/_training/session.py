"""`TrainingSession`: a training that can be stopped, saved and resumed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from seqclf._data.dataset import Dataset
from seqclf._kernels import prefers_sparse_gradient, warn_if_slow
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
from seqclf._training.process_group import ProcessGroup
from seqclf._training.skorch_parts import Callback, EpochTimer, History, predefined_split

# skorch's names of the fields of the history, and ours.
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

    A session that loads the state of another one continues with bit-identical results, if the settings, the data and
    the number of threads are the same. After an error within an epoch, resume from a state that was saved before the
    epoch, because the network has already been trained on some of its batches.

    Parameters
    ----------
    config : TrainingConfig
        The settings.
    task : Task
        The task, with fitted weights.
    network : Network
        An initialised network on its device; it is trained in place.
    rng : RandomState
        Draws the seed of the dropout masks, and the batches.
    group : ProcessGroup, default=None
        The processes that train the network; None is this process alone. Data, settings, weights and `rng` are the same
        in all of them.
    """

    def __init__(
        self,
        config: TrainingConfig,
        task: Task,
        network: Network,
        rng: np.random.RandomState,
        group: ProcessGroup | None = None,
    ):
        self.config, self.task, self.network, self._rng = config, task, network, rng
        self._group = group = group or ProcessGroup()
        warn_if_slow(network.config.cell, network.config.activation, network.device)
        self._generator = torch.Generator(network.device).manual_seed(int(rng.randint(2**31)) + group.rank)
        self._generator_states = [self._generator.get_state()]  # of all processes, after the last epoch
        self._early_stopping = None if config.patience is None else EarlyStopping(config.patience, config.tol)
        is_verbose = config.verbose and not group.rank
        self._progress = Progress(config.verbose, self._early_stopping) if is_verbose else None
        self._callbacks = self._make_callbacks()
        self._reference_weight: float | None = None
        self._is_stopped = False
        self._loop = TrainingLoop(
            network,
            task=task,
            generator=self._generator,
            rng=rng,
            group=group,
            optimizer=OPTIMIZERS[config.optimizer],
            lr=config.learning_rate,
            max_epochs=config.max_epochs,
            batch_size=config.batch_size,
            callbacks=self._callbacks,
            device=str(network.device),
            optimizer__max_grad_norm=config.max_grad_norm,
            optimizer__weight_decay=config.weight_decay,
            # no weight decay for biases
            optimizer__param_groups=[("*bias*", {"weight_decay": 0.0})],
        ).initialize()

    def _make_callbacks(self) -> list[Callback]:
        # The loop notifies them in this order.
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
        """The number of epochs trained."""
        return len(self._loop.history)

    @property
    def is_over(self) -> bool:
        """Whether the training has ended."""
        stopped = self._early_stopping is not None and self._early_stopping.is_over
        return stopped or self._is_stopped or self.n_epochs >= self.config.max_epochs

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights early stopping restores; without it, the last one."""
        return self.n_epochs if self._early_stopping is None else self._early_stopping.best_epoch

    @property
    def history(self) -> list[dict[str, Any]]:
        """One dict for each epoch, as in `history_` of the estimators."""
        names = _HISTORY | {"steps": self.config.step_name}
        return [{name: row[key] for key, name in names.items() if key in row} for row in self._loop.history]

    def run(
        self,
        training: Dataset,
        validation: Dataset | None = None,
        *,
        n_epochs: int | None = None,
        before_epoch: Callable[["TrainingSession"], None] | None = None,
        after_epoch: Callable[["TrainingSession"], bool | None] | None = None,
    ) -> None:
        """Train until the last epoch or until it is stopped; early stopping then restores the best weights.

        Parameters
        ----------
        training : Dataset
            The training set.
        validation : Dataset, default=None
            The validation set; without it, early stopping uses the training loss.
        n_epochs : int, default=None
            Return after this many epochs, even if the training is not over.
        before_epoch : callable, default=None
            Called with the session before each epoch.
        after_epoch : callable, default=None
            Called with the session after each epoch, when its state can be saved. If it returns True, the training is
            over.
        """
        data = TrainingData(training, self.task, self.network.device)
        self._loop.train_split = None
        if validation is not None:
            validation_data = TrainingData(validation, self.task, self.network.device)
            self._loop.train_split = predefined_split(validation_data)
        if not self.n_epochs:
            self._loop.notify("on_train_begin", X=data)
        with self._training_mode():
            while not self.is_over and (n_epochs is None or n_epochs > 0):
                if before_epoch is not None:
                    before_epoch(self)
                self._loop.fit_loop(data, epochs=1)
                self._end_epoch()
                n_epochs = None if n_epochs is None else n_epochs - 1
                if after_epoch is not None:
                    self._is_stopped = bool(after_epoch(self))
        self._loop.train_split = None  # to release the validation data
        if self.is_over:
            self._loop.notify("on_train_end", X=data)
        self._check_weights()

    def train_epoch(self, dataset: Dataset) -> None:
        """Train one epoch, on data that can be different each time, without early stopping.

        Sample weights keep the scale of the first call.

        Raises
        ------
        ValueError
            With ``schedule="one_cycle"``, which depends on the total number of epochs.
        """
        if self.config.schedule != "constant":
            raise ValueError(f"train_epoch needs schedule='constant', got {self.config.schedule!r}.")
        self._loop.train_split = None
        with self._training_mode():
            data = TrainingData(dataset, self.task, self.network.device, self._reference_weight)
            self._reference_weight = data.reference_weight
            self._loop.fit_loop(data, epochs=1)
            self._end_epoch()
        self._check_weights()

    def _end_epoch(self) -> None:
        """Store the duration in the first process, for equal histories, and the generators of all processes."""
        epoch = self._loop.history[-1]
        epoch["dur"] = self._group.on_first(lambda: epoch["dur"])
        self._generator_states = self._group.gather(self._generator.get_state())

    @contextmanager
    def _training_mode(self) -> Iterator[None]:
        """Within the block, the gradient of a large embedding is sparse; at the end, or after an error, clean up."""
        embedding = self.network.embedding if isinstance(self.network.embedding, Embedding) else None
        try:
            if embedding is not None:
                embedding.sparse = not self.config.l1 and prefers_sparse_gradient(embedding.weight)
            yield
        finally:
            if embedding is not None:
                embedding.sparse = False
            if self._progress is not None:
                self._progress.close()
            history = self._loop.history
            if history and "dur" not in history[-1]:  # the epoch was interrupted by an error
                del history[-1]
            self.network.eval()

    def _check_weights(self) -> None:
        if not all(torch.isfinite(parameter).all() for parameter in self.network.parameters()):
            raise_diverged("weights", "infinite or NaN", self.n_epochs, self.config.learning_rate)

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything besides settings and data that the rest of the training depends on.

        It consists of tensors on the CPU, numbers, text, lists and dicts.
        """
        return {
            "network": copy_state(self.network.state_dict()),
            "optimizer": copy_state(self._loop.optimizer_.state_dict()),
            "generator": torch.cat(self._generator_states),
            "rng": copy_state(self._rng.get_state(legacy=False)),
            "unit": self._reference_weight,
            "callbacks": {name: copy_state(callback.state_dict()) for name, callback in self._stateful_callbacks()},
            "history": copy_state(self._loop.history.to_list()),
            "config": asdict(self.config),
        }

    def load_state_dict(self, state: Mapping[str, Any], *, keep_settings: bool = False) -> None:
        """Restore the state that `state_dict` returned.

        With `keep_settings`, the settings of the state other than the optimiser can differ from those of this session,
        which are kept.

        Raises
        ------
        ValueError
            If the settings differ. The session is then unchanged.
        """
        for name, value in asdict(self.config).items():
            may_differ = name == "verbose" or (keep_settings and name != "optimizer")
            if state["config"][name] != value and not may_differ:
                raise ValueError(
                    f"The state was saved in a training with {name}={state['config'][name]!r}, not {value!r}."
                )
        self.network.load_state_dict(state["network"])
        optimizer = copy_state(state["optimizer"])
        if keep_settings:
            optimizer["param_groups"] = self._loop.optimizer_.state_dict()["param_groups"]
        self._loop.optimizer_.load_state_dict(optimizer)
        # set_state reads the memory of a view from its beginning, so the parts are copied.
        self._generator_states = [each.clone() for each in state["generator"].chunk(self._group.size)]
        self._generator.set_state(self._generator_states[self._group.rank])
        self._rng.set_state(lists_to_arrays(state["rng"]))
        self._reference_weight = state["unit"]
        for name, callback in self._stateful_callbacks():
            callback.load_state_dict(copy_state(state["callbacks"][name]))
        self._loop.history = History(dict(row) for row in state["history"])

    def _stateful_callbacks(self) -> Iterator[tuple[str, StatefulCallback]]:
        for callback in self._callbacks:
            if isinstance(callback, StatefulCallback):
                yield type(callback).__name__, callback


def copy_state(state: Any) -> Any:
    """A deep copy, with all tensors on the CPU, and lists instead of arrays."""
    if isinstance(state, np.ndarray):
        return state.tolist()
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {key: copy_state(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(map(copy_state, state))
    return state


def lists_to_arrays(state: Any) -> Any:
    """The state with lists converted to arrays."""
    if isinstance(state, Mapping):
        return {key: lists_to_arrays(value) for key, value in state.items()}
    return np.array(state) if isinstance(state, list) else state


def tensors_to_arrays(state: Any) -> Any:
    """The result of `state_dict`, which has no arrays, with tensors converted to arrays."""
    if isinstance(state, torch.Tensor):
        return state.numpy()
    if isinstance(state, Mapping):
        return {key: tensors_to_arrays(value) for key, value in state.items()}
    return type(state)(map(tensors_to_arrays, state)) if isinstance(state, list | tuple) else state


def arrays_to_tensors(state: Any) -> Any:
    """The inverse of `tensors_to_arrays`."""
    if isinstance(state, np.ndarray):
        return torch.from_numpy(state.copy())
    if isinstance(state, Mapping):
        return {key: arrays_to_tensors(value) for key, value in state.items()}
    return type(state)(map(arrays_to_tensors, state)) if isinstance(state, list | tuple) else state
