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
from seqclf._training.process_group import ProcessGroup
from seqclf._training.skorch_parts import NeuralNet, TeeGenerator


class TrainingLoop(NeuralNet):
    """skorch's epochs, events and history, with five differences.

    Batches are ours, and their units have weights. Losses and scores stay on the device until the end of the epoch;
    skorch calls ``.item()`` for every batch. The loop calls `zero_grad` and `update` of the optimiser, not ``step``,
    because torch's hooks around ``step`` take longer than a small update. Entries of a large embedding can be updated
    lazily: they are brought up to date before a batch reads them, and all of them at the end of the training batches.
    The rows of a batch are divided among the processes of a group, which sum their gradients.

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
    group : ProcessGroup
        The processes that train the network.
    **kwargs
        As in skorch.
    """

    def __init__(
        self,
        network: Network,
        *,
        task: Task,
        generator: Generator,
        rng: np.random.RandomState,
        group: ProcessGroup,
        **kwargs: Any,
    ):
        super().__init__(network, criterion=nn.Identity(), train_split=None, verbose=0, **kwargs)
        self.task, self.generator, self.rng, self.group = task, generator, rng, group

    @property
    def _default_callbacks(self) -> list[Any]:
        return []

    def get_iterator(self, dataset: TrainingData, training: bool = False) -> TrainingBatches | EvaluationBatches:
        """The batches of an epoch."""
        if training:
            return TrainingBatches(dataset, self.batch_size, self.rng, self.group)
        return EvaluationBatches(dataset, self.group)

    def infer(self, x: SequenceBatch, **fit_params: Any) -> Tensor:
        """Outputs of a batch."""
        return self.module_(x, self.generator)

    def get_loss(
        self, y_pred: Tensor, y_true: BatchTargets, X: SequenceBatch | None = None, training: bool = False
    ) -> Tensor:
        """The sum of weighted losses divided by the units of the batch; losses are stored for the record of the epoch.

        It divides by the number of units, not by the sum of their weights (whose mean over the training data is 1), so
        that the contribution of a unit does not depend on its batch.
        """
        losses = self.task.losses(y_pred, y_true.values)
        summaries = self.task.summarise(y_pred.detach())
        self._epoch.append((losses.detach(), summaries, y_true.values, y_true.weights, y_true.score_weights))
        return torch.dot(losses, y_true.weights.to(losses.dtype)) / y_true.n_units

    def train_step(self, batch: Batch, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the gradients of one batch, and update the parameters."""
        self.optimizer_.zero_grad()
        outputs = self.infer(batch.sequences)
        loss = self.get_loss(outputs, batch.targets, X=batch.sequences, training=True)
        loss.backward()
        self._sum_gradients()
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
        if training:
            self._agree(n_steps)
        units, self._epoch = [torch.cat(each) for each in zip(*self._epoch, strict=True)], []
        all_units = zip(*self.group.gather_tensors(units), strict=True)
        loss, score = self.group.on_first(lambda: self._loss_and_score(*map(torch.cat, all_units)))
        self.history.record(f"{prefix}_loss", loss)
        self.history.record(f"{prefix}_score", score)
        if training:
            self.history.record("steps", sum(self.group.gather(n_steps)))

    def _loss_and_score(
        self, losses: Tensor, summaries: Tensor, targets: Tensor, weights: Tensor, score_weights: Tensor
    ) -> tuple[float, float]:
        """The loss and the score of an epoch, from its units."""
        # on the CPU, because not every device supports float64
        weights, score_weights = (each.cpu().double() for each in (weights, score_weights))
        return weighted_mean(losses, weights).item(), self.task.score(summaries, targets, score_weights).item()

    def _agree(self, n_steps: int) -> None:
        """Average the running statistics of the processes, and copy the weights: other processors round differently."""
        self.group.average(list(self.module_.buffers()), n_steps)
        self.group.copy_from_first(list(self.module_.parameters()))

    def _sum_gradients(self) -> None:
        embedding = self.module_.embedding
        sparse = embedding.weight if isinstance(embedding, Embedding) and embedding.sparse else None
        self.group.sum_gradients(list(self.module_.parameters()), sparse)

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
