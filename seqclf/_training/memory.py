"""The memory that a fit needs, from its longest sequence, and an error where there is too little.

As the estimate of a prediction, it adds up what is certainly there at the same time: in a fit also what the way back
needs of each layer.
"""

import numpy as np
import torch

from seqclf._data.dataset import Dataset
from seqclf._inference.available_memory import Left, left_memory
from seqclf._inference.config import NetworkConfig
from seqclf._inference.dispatch import is_compiled
from seqclf._inference.memory import FLOAT, Layers, refuse
from seqclf._kernels import CELLS
from seqclf._native.cell_layout import cell_layout
from seqclf._training.batches import n_batches
from seqclf._training.config import TrainingConfig

# How many numbers each optimiser keeps for each weight.
_MOMENTS = {"sgd": 0, "nesterov": 1, "rmsprop": 1, "adagrad": 1, "adam": 2, "adamw": 2}


class TrainingLayers(Layers):
    """The bytes of one step in each layer of a network that is trained."""

    def saved(self, layer: int) -> int:
        """What the way back needs of a layer, its outputs included."""
        cell = CELLS[self.config.cell]
        layout = cell_layout(cell.code) if self.exact and cell.code is not None else None
        n_slots = cell.n_gates if layout is None else layout.n_slots if layout.saves_slots else 0
        return self.outputs(layer) * (1 + n_slots + cell.has_memory)

    def passed_on(self, layer: int) -> int:
        """What the way back needs of the step from one layer to the next: with dropout, the mask and the product."""
        return 2 * self.states[layer] if self.config.dropout else self.copied(layer)


def training_bytes(layers: TrainingLayers) -> int:
    """Bytes for each step of a batch in a fit."""
    n_layers = len(layers.states)
    # Each layer's way back has the gradients of its outputs, and makes those of its inputs.
    below = [(layers.config.embedding_dim or 0) * layers.itemsize, *layers.states]
    kept, stages = layers.inputs, []
    for layer in range(n_layers):
        kept += layers.saved(layer)
        stages.append(kept + layers.states[layer] + below[layer])
        if layer < n_layers - 1:
            kept += layers.passed_on(layer)
    # A padded copy of the inputs, the outputs before and after the normalisation.
    convolved = sum((n_inputs + 2 * n_filters) * layers.itemsize for n_inputs, n_filters, _ in layers.convolutions())
    return max(*stages, kept + layers.copied(n_layers - 1) + convolved)


def left_on(device: torch.device) -> Left | None:
    """What is left there, on a GPU or for this process; None where nothing is known."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # torch's own, and free
        return Left(free + kept, "on the GPU")
    return left_memory()


def check_training(config: NetworkConfig, training: TrainingConfig, dataset: Dataset, device: torch.device) -> None:
    """Refuse a training that does not fit into memory.

    Parameters
    ----------
    config, training : NetworkConfig, TrainingConfig
        The network, and how it is trained.
    dataset : Dataset
        The training rows, of which there is one at least.
    device : torch.device
        Where.
    """
    lengths = dataset.sequences.lengths
    layers = TrainingLayers(config, device.type == "cpu" and is_compiled(config.cell, config.activation))
    *others, longest = np.sort(lengths).tolist()
    # The longest row is in some batch, next to rows that may be the shortest.
    n_others = len(lengths) // n_batches(len(lengths), training.batch_size) - 1
    n_steps = longest + sum(others[:n_others])
    n_arrays = 2 + _MOMENTS[training.optimizer] + (training.patience is not None)
    needed = n_steps * training_bytes(layers) + n_arrays * _n_recurrent_weights(config) * FLOAT
    row = dataset.row_of_length(longest)
    refuse(needed, lambda: left_on(device), row, longest, "train on it", "fewer units, or a smaller batch_size")


def _n_recurrent_weights(config: NetworkConfig) -> int:
    """How many weights the recurrent layers have, the bias left out."""
    n_directions, n_gates = config.n_directions, CELLS[config.cell].n_gates
    n_inputs, total = config.n_inputs, 0
    for units in config.units:
        total += n_directions * n_gates * units * (n_inputs + units)
        n_inputs = n_directions * units
    return total
