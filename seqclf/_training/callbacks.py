"""Callbacks of the training loop."""

import math
from abc import ABC, abstractmethod
from typing import Any, NoReturn

import torch
from tqdm import tqdm

from seqclf._training.batches import n_batches
from seqclf._training.skorch_parts import Callback


class StatefulCallback(Callback, ABC):
    """A callback whose state is saved and loaded with the training."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that changes during training."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""


class L1Penalty(Callback):
    """Adds the gradient of ``strength * sum(|w|)`` over all weight matrices, not biases."""

    def __init__(self, strength: float):
        self.strength = strength

    def on_grad_computed(self, net, named_parameters, **kwargs):
        with torch.no_grad():
            for _, parameter in named_parameters:
                if parameter.grad is not None and parameter.ndim > 1:
                    parameter.grad.add_(parameter.sign(), alpha=self.strength)


class OneCycle(StatefulCallback):
    """Learning rate that rises from 0 to its maximum in the first fifth of all updates, then falls to 0.

    Both parts are half a period of a cosine.

    References
    ----------
    L. N. Smith, N. Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.
    """

    _WARM_UP = 0.2  # fraction of the updates in which the rate rises

    def __init__(self) -> None:
        self.n_updates = 0

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        self._n_total = n_batches(len(dataset_train), net.batch_size) * net.max_epochs

    def on_batch_begin(self, net, training=None, **kwargs):
        if training:
            done = (self.n_updates + 1) / (self._n_total + 1)  # never exactly 0 or 1, where the rate would be 0
            angle = math.pi * min(done / self._WARM_UP, (1 - done) / (1 - self._WARM_UP))
            for group in net.optimizer_.param_groups:
                group["lr"] = net.lr * ((1 - math.cos(angle)) / 2)
            self.n_updates += 1

    def state_dict(self) -> dict[str, Any]:
        """The number of updates so far."""
        return {"n_updates": self.n_updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the number of updates."""
        self.n_updates = state["n_updates"]


class FiniteLoss(Callback):
    """Raises an error if the loss of an epoch is not finite."""

    def on_epoch_end(self, net, **kwargs):
        epoch = net.history[-1]
        for key in ("train_loss", "valid_loss"):
            loss = epoch.get(key, 0.0)
            if not math.isfinite(loss):
                name = "training loss" if key == "train_loss" else "validation loss"
                raise_diverged(name, loss, epoch["epoch"], net.lr)


def raise_diverged(name: str, value: object, epoch: int, learning_rate: float) -> NoReturn:
    """Raise the error for losses or weights that are no longer finite."""
    raise ValueError(
        f"The {name} became {value} in epoch {epoch}: the fit diverged. Lower learning_rate (now {learning_rate!r}) "
        "or max_grad_norm, or scale the inputs."
    )


class EarlyStopping(StatefulCallback):
    """Stops after `patience` epochs without improvement, and restores the best weights at the end.

    An epoch is an improvement if its validation loss, or its training loss if there is no validation set, is more than
    `tol` (absolute) below the best loss so far.
    """

    def __init__(self, patience: int, tol: float):
        self.patience, self.tol = patience, tol
        self.best_loss, self.best_epoch, self.is_over = math.inf, 0, False
        self.best_weights: dict[str, torch.Tensor] = {}

    def on_epoch_end(self, net, **kwargs):
        epoch = net.history[-1]
        loss = epoch.get("valid_loss", epoch["train_loss"])
        if loss < self.best_loss - self.tol:
            self.best_loss, self.best_epoch = loss, epoch["epoch"]
            self.best_weights = {name: tensor.clone() for name, tensor in net.module_.state_dict().items()}
        elif epoch["epoch"] - self.best_epoch >= self.patience:
            self.is_over = True

    def on_train_end(self, net, **kwargs):
        net.module_.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        """The best epoch so far."""
        return {
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "best_weights": dict(self.best_weights),
            "is_over": self.is_over,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the best epoch."""
        for name, value in state.items():
            setattr(self, name, value)


class Progress(Callback):
    """Prints a line per epoch, and with ``verbose=2`` shows a progress bar within the epoch."""

    def __init__(self, verbose: int, early_stopping: EarlyStopping | None):
        self.verbose, self.early_stopping = verbose, early_stopping

    bar_: tqdm | None = None

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        if self.verbose >= 2:
            total = n_batches(len(dataset_train), net.batch_size)
            self.bar_ = tqdm(total=total, desc=f"epoch {len(net.history)}", unit="batch", leave=False)

    def on_batch_end(self, net, training=None, **kwargs):
        if self.bar_ is not None and training:
            self.bar_.update()

    def close(self):
        """Remove the progress bar."""
        if self.bar_ is not None:
            self.bar_.close()
            self.bar_ = None

    def on_epoch_end(self, net, **kwargs):
        self.close()
        epoch, score = net.history[-1], net.task.score_name
        line = f"epoch {epoch['epoch']:>3}/{net.max_epochs}  {epoch['dur']:7.1f} s"
        line += f"  training: loss {epoch['train_loss']:.4f}, {score} {epoch['train_score']:.4f}"
        if "valid_loss" in epoch:
            line += f"  validation: loss {epoch['valid_loss']:.4f}, {score} {epoch['valid_score']:.4f}"
        if self.early_stopping is not None and self.early_stopping.best_epoch == epoch["epoch"]:
            line += "  (best so far)"
        print(line, flush=True)
