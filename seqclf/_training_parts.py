"""What `fit` and `partial_fit` share: the data, settings and network of a training, and what is kept of it."""

from copy import deepcopy
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import torch

from seqclf._data.dataset import Dataset, Targets
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._nn.network import Network
from seqclf._tasks.task import Task
from seqclf._training.batches import n_batches
from seqclf._training.config import TrainingConfig
from seqclf._training.predict import extreme_rows, predict_outputs
from seqclf._training.session import TrainingSession
from seqclf._validation.alignment import match_steps
from seqclf._validation.parameters import raise_change

# How many of the longest training rows, and of those with the largest numbers, are predicted after a fit.
_N_EXTREME = 8


def dataset_of(
    sequences: EncodedSequences,
    y: Targets,
    weights: np.ndarray,
    groups: np.ndarray | None = None,
    names: tuple[str, str] = ("X", "y"),
    rows: np.ndarray | None = None,
) -> Dataset:
    """Encoded rows with their targets; where each step has one, there is one for each step."""
    if isinstance(y, Ragged):
        match_steps(y.lengths, sequences.lengths, *names)
    return Dataset(sequences, y, weights, groups, rows)


def training_config(estimator: Any, training: Dataset) -> TrainingConfig:
    """The settings of a training on these rows."""
    own = {field.name for field in fields(TrainingConfig)} - {"max_epochs", "step_name", "verbose"}
    values = {name: getattr(estimator, name) for name in own}
    return TrainingConfig(
        **{name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()},
        max_epochs=_n_epochs(estimator, training),
        step_name=estimator._step_name,
        verbose=int(estimator.verbose),
    )


def _n_epochs(estimator: Any, training: Dataset) -> int:
    """The largest number of epochs over these rows."""
    if estimator.max_epochs != "auto":
        return int(estimator.max_epochs)
    informed = training.sequences.scores is not None or training.sequences.features is not None
    aim = estimator._auto_epochs if informed else estimator._auto_epochs_alone
    wanted = -(-aim.n_updates // n_batches(len(training), estimator.batch_size))
    affordable = aim.n_steps // max(training.sequences.steps.n_steps, 1)
    return min(max(min(wanted, affordable), aim.min_epochs), aim.max_epochs)


def new_network(estimator: Any, task: Task, training: Dataset, rng: np.random.RandomState) -> Network:
    """A network before training."""
    generator = torch.Generator().manual_seed(int(rng.randint(2**31)))
    network = Network(estimator._network_config(task)).reset_parameters(generator)
    # The scores are estimates of the outputs already; without them the means of the log-count ratios are.
    as_sum_of_means = task.outputs_are_log_odds and not network.config.scores
    network.head.start(task.initial_bias(training.targets, training.weights), as_sum_of_means)
    return network


def warm_network(estimator: Any, task: Task) -> Network:
    """The fitted network, to be trained further; a copy, so that an error leaves the old one as it is."""
    network = estimator.network_
    config, before = estimator._network_config(task), network.config
    changed = [name for name, value in asdict(config).items() if getattr(before, name) != value]
    free = {"dropout", "recurrent_dropout", "token_dropout"}  # They own no weights.
    for name in sorted(set(changed) - free):
        raise_change(name, getattr(before, name), getattr(config, name))
    return Network.from_arrays(config, network.to_arrays()) if changed else deepcopy(network)


def refuse_divergence(estimator: Any, network: Network, sequences: EncodedSequences, device: torch.device) -> None:
    """Raise an error if the network has finite weights, but does not give finite outputs for its own rows.

    A few rows are enough to see it, and all would take as long as a prediction.
    """
    rows = extreme_rows(sequences, _N_EXTREME)
    outputs = predict_outputs(network, sequences.take(rows), device)
    if not np.isfinite(outputs.values if isinstance(outputs, Ragged) else outputs).all():
        raise ValueError(
            "After the training the outputs for training rows are not finite numbers: the fit diverged. Lower "
            f"learning_rate (now {estimator.learning_rate!r}) or max_grad_norm, or scale the inputs."
        )


def keep(estimator: Any, task: Task, session: TrainingSession) -> None:
    """Show what was learned."""
    estimator._task = task
    for name, value in task.attributes().items():
        setattr(estimator, name, value)
    estimator.network_ = session.network
    estimator.__dict__.pop("_network", None)  # of a loaded estimator
    estimator.n_parameters_ = sum(parameter.numel() for parameter in session.network.parameters())
