"""Fitting a network to data, and reading sequences with it: what the estimators' base calls."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from seqclf._label_features.log_count_ratios import Sequences
from seqclf._nn import Embedding, Network, Reader, reads_rows, warn_where_slow
from seqclf._training.batching import Data, EvaluationBatches, TrainingBatches, TrainingData, prediction_rows
from seqclf._training.callbacks import EarlyStopping, FiniteLoss, L1Penalty, Progress, Schedule, raise_diverged
from seqclf._training.net import Net
from seqclf._training.optimizers import OPTIMIZERS

SCHEDULES = ("constant", "one_cycle")
_WARM_UP = 0.2  # Share of the steps that "one_cycle" rises in.


@dataclass(frozen=True)
class FitResult:
    """What a fit leaves beside the weights."""

    history: list[dict[str, Any]]
    best_epoch: int


def fit_network(
    network: Network,
    data: TrainingData,
    validation: TrainingData | None,
    *,
    optimizer: str,
    learning_rate: float,
    schedule: str,
    weight_decay: float,
    l1: float,
    max_grad_norm: float | None,
    batch_size: int,
    max_epochs: int,
    patience: int | None,
    tol: float,
    verbose: int,
    step_name: str,
    rng: np.random.RandomState,
) -> FitResult:
    """Train `network` in place; it ends in evaluation mode, with its best weights if `patience` is given.

    Without `validation`, early stopping watches the training loss.
    """
    if data.device.type == "cpu":
        warn_where_slow()
    generator = torch.Generator(data.device).manual_seed(int(rng.randint(2**31)))
    early_stopping = None
    if patience is not None:
        early_stopping = EarlyStopping("train_loss" if validation is None else "valid_loss", patience, tol)
    callbacks: list[Callback] = [FiniteLoss()]
    if l1:
        callbacks.append(L1Penalty(l1))
    if early_stopping is not None:
        callbacks.append(early_stopping)
    batches = TrainingBatches(data, batch_size, rng)
    if schedule == "one_cycle":
        callbacks.append(_one_cycle(n_steps=len(batches) * max_epochs))
    progress = Progress(int(verbose), early_stopping) if verbose else None
    if progress is not None:
        callbacks.append(progress)
    net = Net(
        network,
        generator=generator,
        optimizer=OPTIMIZERS[optimizer],
        lr=learning_rate,
        max_epochs=max_epochs,
        callbacks=callbacks,
        device=str(data.device),
        optimizer__max_grad_norm=max_grad_norm,
        optimizer__weight_decay=weight_decay,
        # Biases are not decayed.
        optimizer__param_groups=[("*bias*", {"weight_decay": 0.0})],
    )
    table = network.embedding if isinstance(network.embedding, Embedding) else None
    try:
        if table is not None:
            table.sparse = not l1 and reads_rows(table.weight)
        net.train(batches, None if validation is None else EvaluationBatches(validation))
    finally:
        if table is not None:
            table.sparse = False
        if progress is not None:
            progress.close()
    if not all(torch.isfinite(parameter).all() for parameter in network.parameters()):
        raise_diverged("weights", "not finite", len(net.history), learning_rate)
    network.eval()
    history = [_history_row(row, step_name) for row in net.history]
    return FitResult(history, len(history) if early_stopping is None else early_stopping.best_epoch_)


def _one_cycle(n_steps: int) -> Callback:
    """Up to the learning rate in the first fifth of the steps, then down to nothing, each along half a cosine.

    L. N. Smith, N. Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.
    """

    def share(step: int) -> float:
        done = (step + 1) / (n_steps + 1)  # No step is taken at a rate of zero.
        return (1 - math.cos(math.pi * min(done / _WARM_UP, (1 - done) / (1 - _WARM_UP)))) / 2

    return Schedule(share)


def _history_row(row: Mapping[str, Any], step_name: str) -> dict[str, Any]:
    keys = ("epoch", "train_loss", "train_score", "valid_loss", "valid_score", "seconds", "steps")
    return {step_name if key == "steps" else key: row[key] for key in keys if key in row}


def read_logits(network: Network, sequences: Sequences, device: torch.device) -> np.ndarray:
    """Logits of every sequence in float64, in the order given; shape (n_sequences, n_outputs)."""
    reader = Reader(network, device, int(sequences.lengths.sum()))
    logits = np.empty((len(sequences), reader.n_outputs))
    data = Data(sequences)
    for rows in prediction_rows(sequences):
        logits[rows] = reader.read(*data.at(rows, reader.device)).cpu().numpy()
    return logits
