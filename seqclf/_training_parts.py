"""Functions that `fit` and `partial_fit` share: for datasets, settings, networks and fitted attributes."""

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
from seqclf._validation.alignment import check_one_target_per_step
from seqclf._validation.parameters import raise_parameter_changed

# This many of the longest training rows, and of the rows with the largest values, are predicted after a fit.
_N_EXTREME = 8


def make_dataset(
    sequences: EncodedSequences,
    y: Targets,
    weights: np.ndarray,
    groups: np.ndarray | None = None,
    names: tuple[str, str] = ("X", "y"),
    rows: np.ndarray | None = None,
) -> Dataset:
    """A dataset of encoded rows; with a target per step, checks that each row has as many targets as steps."""
    if isinstance(y, Ragged):
        check_one_target_per_step(y.lengths, sequences.lengths, *names)
    return Dataset(sequences, y, weights, groups, rows)


def training_config(estimator: Any, training: Dataset) -> TrainingConfig:
    """The settings for training on these rows."""
    parameters = {field.name for field in fields(TrainingConfig)} - {"max_epochs", "step_name", "verbose"}
    values = {name: getattr(estimator, name) for name in parameters}
    return TrainingConfig(
        **{name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()},
        max_epochs=_n_epochs(estimator, training),
        step_name=estimator._step_name,
        verbose=int(estimator.verbose),
    )


def _n_epochs(estimator: Any, training: Dataset) -> int:
    """The maximum number of epochs on these rows."""
    if estimator.max_epochs != "auto":
        return int(estimator.max_epochs)
    has_label_features = training.sequences.scores is not None or training.sequences.features is not None
    limits = estimator._auto_epochs if has_label_features else estimator._auto_epochs_alone
    wanted = -(-limits.n_updates // n_batches(len(training), estimator.batch_size))
    affordable = limits.n_steps // max(training.sequences.steps.n_steps, 1)
    return min(max(min(wanted, affordable), limits.min_epochs), limits.max_epochs)


def new_network(estimator: Any, task: Task, training: Dataset, rng: np.random.RandomState) -> Network:
    """An initialised, untrained network."""
    generator = torch.Generator().manual_seed(int(rng.randint(2**31)))
    network = Network(estimator._network_config(task)).reset_parameters(generator)
    # The class scores already estimate the outputs; without them, the means of the log-count ratios do.
    as_sum_of_means = task.outputs_are_log_odds and not network.config.scores
    network.head.start(task.initial_bias(training.targets, training.weights), as_sum_of_means)
    return network


def warm_network(estimator: Any, task: Task) -> Network:
    """A copy of the fitted network for further training, so that an error leaves the original unchanged."""
    network = estimator.network_
    config, before = estimator._network_config(task), network.config
    changed = [name for name, value in asdict(config).items() if getattr(before, name) != value]
    changeable = {"dropout", "recurrent_dropout", "token_dropout"}  # no weights depend on them
    for name in sorted(set(changed) - changeable):
        raise_parameter_changed(name, getattr(before, name), getattr(config, name))
    return Network.from_arrays(config, network.to_arrays()) if changed else deepcopy(network)


def check_not_diverged(estimator: Any, network: Network, sequences: EncodedSequences, device: torch.device) -> None:
    """Raise an error if the outputs for training rows are not finite, which can happen even if all weights are.

    Only a few extreme rows are predicted, because all would take as long as a full prediction.
    """
    rows = extreme_rows(sequences, _N_EXTREME)
    outputs = predict_outputs(network, sequences.take(rows), device)
    if not np.isfinite(outputs.values if isinstance(outputs, Ragged) else outputs).all():
        raise ValueError(
            "After training, the outputs for training rows are not finite numbers: the fit diverged. Lower "
            f"learning_rate (now {estimator.learning_rate!r}) or max_grad_norm, or scale the inputs."
        )


def set_fitted_attributes(estimator: Any, task: Task, network: Network) -> None:
    """Set the fitted attributes that `fit` and `partial_fit` have in common."""
    estimator._task = task
    for name, value in task.attributes().items():
        setattr(estimator, name, value)
    estimator.network_ = network
    estimator.__dict__.pop("_network", None)  # set in a loaded estimator
    estimator.n_parameters_ = sum(parameter.numel() for parameter in network.parameters())
