"""The training loop: a skorch net bound to our batches and losses. Nobody sees it but the estimators' base."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from skorch import NeuralNet
from skorch.utils import TeeGenerator
from torch import Generator, Tensor, nn
from torch.nn import functional

from seqclf._nn import Embedding
from seqclf._training.batching import Batch


class RowLoss(nn.Module):
    """Cross-entropy of every row: of one logit for two classes, of one logit a class for more."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        if logits.shape[1] == 1:
            targets = targets.to(logits.dtype)
            return functional.binary_cross_entropy_with_logits(logits.squeeze(1), targets, reduction="none")
        return functional.cross_entropy(logits, targets, reduction="none")


def decisions(logits: Tensor) -> Tensor:
    """What tells the class of each row, one number: the class of the largest logit, or the single logit as it is."""
    return logits.squeeze(1) if logits.shape[1] == 1 else logits.argmax(dim=1)


def predicted_classes(decided: Tensor) -> Tensor:
    """The classes (of two, whether it is the second) from what `decisions` gave, for many batches at once.

    A single logit is the one decision that is no whole number.
    """
    return decided > 0 if decided.is_floating_point() else decided


class Net(NeuralNet):
    """skorch's net, with six differences.

    It iterates over our batches; it reads nothing back from the device before an epoch has ended (skorch asks for
    ``.item()`` every batch); a callback stops it by setting ``stop_training`` (skorch's stop is a KeyboardInterrupt
    that it swallows, here Ctrl-C is raised); rows have weights; the optimiser is told to clear and to move, where
    skorch gives it a function to call (whose way through torch's hooks takes longer than a small step); rows of a
    large embedding may fall behind while it trains on other words: they are up to date when a batch reads them, and all
    of them when the training batches of an epoch have ended.

    Parameters
    ----------
    module : seqclf._nn.Network
        Already initialised and on its device.
    generator : torch.Generator
        Source of the dropout masks, on the device of the module.
    **kwargs
        As in skorch.
    """

    def __init__(self, module: nn.Module, *, generator: Generator, **kwargs):
        super().__init__(module, criterion=RowLoss, train_split=None, verbose=0, **kwargs)
        self.generator = generator

    @property
    def _default_callbacks(self):
        return []

    def train(self, batches: Iterable[Batch], validation: Iterable[Batch] | None) -> None:
        """Train for at most `max_epochs` epochs, or until a callback sets ``stop_training``."""
        self.initialize()
        self.notify("on_train_begin", X=batches)
        self.fit_loop(batches, validation)
        self.notify("on_train_end", X=batches)

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """One round per epoch; `X` gives the training batches, `y` those of validation (or is None)."""
        self.stop_training = False
        datasets = {"dataset_train": X, "dataset_valid": y}
        for _ in range(self.max_epochs if epochs is None else epochs):
            started = time.perf_counter()
            self.notify("on_epoch_begin", **datasets)
            with self._rows_up_to_date():
                self.run_single_epoch(X, training=True, prefix="train", step_fn=self.train_step)
            with torch.inference_mode():
                self.run_single_epoch(y, training=False, prefix="valid", step_fn=self.validation_step)
            self.history.record("seconds", time.perf_counter() - started)
            self.notify("on_epoch_end", **datasets)
            if self.stop_training:
                break
        return self

    @contextmanager
    def _rows_up_to_date(self) -> Iterator[None]:
        """Inside, rows of a table are brought up to date before a batch reads them; at the end, or an error, all."""
        table = self.module_.embedding
        if not isinstance(table, Embedding):
            yield
            return
        optimizer = self.optimizer_
        hook = table.register_forward_pre_hook(lambda _, inputs: optimizer.begin_batch(table.weight, inputs[0]))
        try:
            yield
        finally:
            hook.remove()
            optimizer.flush()

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Loss and accuracy of an epoch, kept on the device and read once."""
        if iterator is None:
            return
        self._set_training(training)
        rows, n_steps = [], 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            rows.append(
                (step["row_losses"], batch.weights, decisions(step["y_pred"]), batch.targets, batch.score_weights)
            )
            n_steps += batch.n_steps
            self.notify("on_batch_end", batch=batch, training=training, **step)
        losses, weights, decided, targets, score_weights = map(torch.cat, zip(*rows, strict=True))
        # On the CPU, because not every device has float64.
        weights, score_weights = (each.cpu().double() for each in (weights, score_weights))
        loss, hits = (
            losses.cpu().double() @ weights,
            (predicted_classes(decided) == targets).cpu().double() @ score_weights,
        )
        self.history.record(f"{prefix}_loss", (loss / weights.sum()).item())
        self.history.record(f"{prefix}_score", (hits / score_weights.sum()).item())
        if training:
            self.history.record("steps", n_steps)

    def train_step(self, batch, **fit_params):
        """Gradients of one batch, and a step along them."""
        self.optimizer_.zero_grad()
        step = self.train_step_single(batch)
        parameters = TeeGenerator(self.get_all_learnable_params())
        self.notify("on_grad_computed", named_parameters=parameters, batch=batch, training=True)
        self.optimizer_.update()
        return step

    def train_step_single(self, batch, **fit_params):
        """Forward and backward of one batch."""
        logits = self.infer(batch)
        row_losses = self.criterion_(logits, batch.targets)
        loss = self.get_loss(row_losses, batch, training=True)
        loss.backward()
        return {"loss": loss, "y_pred": logits.detach(), "row_losses": row_losses.detach()}

    def validation_step(self, batch, **fit_params):
        """Forward of one batch, dropout off."""
        logits = self.infer(batch)
        row_losses = self.criterion_(logits, batch.targets)
        return {"loss": self.get_loss(row_losses, batch), "y_pred": logits, "row_losses": row_losses}

    def infer(self, x, **fit_params):
        """Logits of a batch."""
        inputs = x.inputs
        return self.module_(inputs.values, inputs.lengths, self.generator, inputs.beside, inputs.votes, inputs.starts)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Weighted mean of the row losses `y_pred` of the batch `y_true`.

        Divided by the number of rows and not by the sum of their weights (whose mean over the training data is 1), so
        that a row counts the same whichever batch it falls into.
        """
        return torch.dot(y_pred, y_true.weights.to(y_pred.dtype)) / len(y_true)
