"""`TrainingLoop`: skorch's net on our batches, without device-to-host copies within an epoch."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from seqclf._nn.embedding import Embedding
from seqclf._nn.network import Network
from seqclf._nn.sequence_batch import SequenceBatch
from seqclf._tasks.task import Task, weighted_mean
from seqclf._training.batches import Batch, BatchTargets, EvaluationBatches, TrainingBatches, TrainingData
from seqclf._training.skorch_parts import NeuralNet, TeeGenerator


class TrainingLoop(NeuralNet):
    """skorch's epochs, events and history, with four differences.

    Batches are ours, and their units have weights. Losses and scores stay on the device until the end of the epoch;
    skorch calls ``.item()`` for every batch. The loop calls `zero_grad` and `update` of the optimiser, not ``step``,
    because torch's hooks around ``step`` take longer than a small update. Entries of a large embedding can be updated
    lazily: they are brought up to date before a batch reads them, and all of them at the end of the training batches.

    Parameters
    ----------
    network : Network
        An initialised network, on its device.
    task : Task
        The task.
    generator : torch.Generator
        Source of the dropout masks, on the device of the network.
    rng : RandomState
        Draws the batches.
    **kwargs
        As in skorch.
    """

    def __init__(
        self, network: Network, *, task: Task, generator: Generator, rng: np.random.RandomState, **kwargs: Any
    ):
        super().__init__(network, criterion=nn.Identity(), train_split=None, verbose=0, **kwargs)
        self.task, self.generator, self.rng = task, generator, rng

    @property
    def _default_callbacks(self) -> list[Any]:
        return []

    def get_iterator(self, dataset: TrainingData, training: bool = False) -> TrainingBatches | EvaluationBatches:
        """The batches of an epoch."""
        return TrainingBatches(dataset, self.batch_size, self.rng) if training else EvaluationBatches(dataset)

    def infer(self, x: SequenceBatch, **fit_params: Any) -> Tensor:
        """Outputs of a batch."""
        return self.module_(x, self.generator)

    def get_loss(
        self, y_pred: Tensor, y_true: BatchTargets, X: SequenceBatch | None = None, training: bool = False
    ) -> Tensor:
        """The mean of weighted losses over the units of a batch; the losses are stored for the record of the epoch.

        It divides by the number of units, not by the sum of their weights (whose mean over the training data is 1), so
        that the contribution of a unit does not depend on its batch.
        """
        losses = self.task.losses(y_pred, y_true.values)
        self._epoch.append((losses.detach(), self.task.summarise(y_pred.detach()), *y_true))
        return torch.dot(losses, y_true.weights.to(losses.dtype)) / len(losses)

    def train_step(self, batch: Batch, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the gradients of one batch, and update the parameters."""
        self.optimizer_.zero_grad()
        outputs = self.infer(batch.sequences)
        loss = self.get_loss(outputs, batch.targets, X=batch.sequences, training=True)
        loss.backward()
        parameters = TeeGenerator(self.get_all_learnable_params())
        self.notify("on_grad_computed", named_parameters=parameters, batch=batch, training=True)
        self.optimizer_.update()
        return {"loss": loss, "y_pred": outputs.detach()}

    def run_single_epoch(
        self, iterator: Iterable[Batch] | None, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """One pass over the batches; loss and score are copied to the host at the end."""
        if iterator is None:
            return
        self._set_training(training)
        self._epoch: list[tuple[Tensor, ...]] = []
        n_steps = 0
        with self._lazy_rows_in_sync() if training else torch.inference_mode():
            for batch in iterator:
                self.notify("on_batch_begin", batch=batch, training=training)
                outputs = step_fn(batch)
                n_steps += batch.sequences.n_steps
                self.notify("on_batch_end", batch=batch, training=training, **outputs)
        units, self._epoch = self._epoch, []
        losses, summaries, targets, weights, score_weights = map(torch.cat, zip(*units, strict=True))
        # on the CPU, because not every device supports float64
        weights, score_weights = (each.cpu().double() for each in (weights, score_weights))
        self.history.record(f"{prefix}_loss", weighted_mean(losses, weights).item())
        self.history.record(f"{prefix}_score", self.task.score(summaries, targets, score_weights).item())
        if training:
            self.history.record("steps", n_steps)

    @contextmanager
    def _lazy_rows_in_sync(self) -> Iterator[None]:
        """Synchronise embedding entries before a batch reads them, and all of them at the end or after an error."""
        embedding = self.module_.embedding
        if not isinstance(embedding, Embedding):
            yield
            return
        optimizer = self.optimizer_
        hook = embedding.register_forward_pre_hook(lambda _, inputs: optimizer.begin_batch(embedding.weight, inputs[0]))
        try:
            yield
        finally:
            hook.remove()
            optimizer.flush()
