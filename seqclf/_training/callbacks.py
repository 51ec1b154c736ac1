"""What happens around the loop, a callback each; they are notified in the order in which they are listed."""

import math
from collections.abc import Callable
from typing import NoReturn

import torch
from skorch.callbacks import Callback
from tqdm import tqdm


class L1Penalty(Callback):
    """Adds the gradient of ``strength * sum(|w|)`` over all weight matrices (biases are left alone)."""

    def __init__(self, strength: float):
        self.strength = strength

    def on_grad_computed(self, net, named_parameters, **kwargs):
        with torch.no_grad():
            for _, parameter in named_parameters:
                if parameter.grad is not None and parameter.ndim > 1:
                    parameter.grad.add_(parameter.sign(), alpha=self.strength)


class Schedule(Callback):
    """Gives step n, counted from 0 through all epochs, the share ``share(n)`` of the learning rate."""

    def __init__(self, share: Callable[[int], float]):
        self.share = share

    def on_train_begin(self, net, **kwargs):
        self.n_steps_ = 0

    def on_batch_begin(self, net, training=None, **kwargs):
        if training:
            for group in net.optimizer_.param_groups:
                group["lr"] = net.lr * self.share(self.n_steps_)
            self.n_steps_ += 1


class FiniteLoss(Callback):
    """Ends the fit with an error when a loss is not a finite number."""

    def on_epoch_end(self, net, **kwargs):
        epoch = net.history[-1]
        for key in ("train_loss", "valid_loss"):
            loss = epoch.get(key, 0.0)
            if not math.isfinite(loss):
                name = "training loss" if key == "train_loss" else "validation loss"
                raise_diverged(name, loss, epoch["epoch"], net.lr)


def raise_diverged(name: str, value: object, epoch: int, learning_rate: float) -> NoReturn:
    """Raise the error of a fit that lost its numbers."""
    raise ValueError(
        f"The {name} became {value} in epoch {epoch}: the fit diverged. Lower learning_rate (now {learning_rate!r}) "
        "or max_grad_norm, or scale the inputs."
    )


class EarlyStopping(Callback):
    """Stops after `patience` epochs without improvement, and puts the best weights back.

    An epoch improves if its loss lies more than `tol` (absolute) below the best one so far. The best weights are kept
    in memory.
    """

    def __init__(self, monitor: str, patience: int, tol: float):
        self.monitor, self.patience, self.tol = monitor, patience, tol

    def on_train_begin(self, net, **kwargs):
        self.best_loss_, self.best_epoch_ = math.inf, 0
        self.best_weights_: dict[str, torch.Tensor] = {}

    def on_epoch_end(self, net, **kwargs):
        epoch = net.history[-1]
        if epoch[self.monitor] < self.best_loss_ - self.tol:
            self.best_loss_, self.best_epoch_ = epoch[self.monitor], epoch["epoch"]
            self.best_weights_ = {name: tensor.clone() for name, tensor in net.module_.state_dict().items()}
        elif epoch["epoch"] - self.best_epoch_ >= self.patience:
            net.stop_training = True

    def on_train_end(self, net, **kwargs):
        net.module_.load_state_dict(self.best_weights_)


class Progress(Callback):
    """A line per epoch, and at ``verbose=2`` a bar inside the epoch."""

    def __init__(self, verbose: int, early_stopping: EarlyStopping | None):
        self.verbose, self.early_stopping = verbose, early_stopping

    bar_: tqdm | None = None

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        if self.verbose >= 2:
            self.bar_ = tqdm(total=len(dataset_train), desc=f"epoch {len(net.history)}", unit="batch", leave=False)

    def on_batch_end(self, net, training=None, **kwargs):
        if self.bar_ is not None and training:
            self.bar_.update()

    def close(self):
        """Take the bar off the screen."""
        if self.bar_ is not None:
            self.bar_.close()
            self.bar_ = None

    def on_epoch_end(self, net, **kwargs):
        self.close()
        epoch = net.history[-1]
        line = f"epoch {epoch['epoch']:>3}/{net.max_epochs}  {epoch['seconds']:7.1f} s"
        line += f"  training: loss {epoch['train_loss']:.4f}, accuracy {epoch['train_score']:.4f}"
        if "valid_loss" in epoch:
            line += f"  validation: loss {epoch['valid_loss']:.4f}, accuracy {epoch['valid_score']:.4f}"
        if self.early_stopping is not None and self.early_stopping.best_epoch_ == epoch["epoch"]:
            line += "  (best so far)"
        print(line, flush=True)
