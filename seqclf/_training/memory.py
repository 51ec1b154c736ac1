"""An estimate of the memory that a fit needs, from its longest sequence, and an error if there is too little.

Like the estimate for predictions, it adds up the arrays that certainly exist at the same time. In a fit, this includes
the arrays that each layer saves for the backward pass.
"""

import numpy as np
import torch

from seqclf._data.dataset import Dataset
from seqclf._inference.available_memory import AvailableMemory, find_available_memory
from seqclf._inference.config import NetworkConfig
from seqclf._inference.dispatch import is_compiled
from seqclf._inference.memory import FLOAT, LayerSizes, check_memory
from seqclf._kernels import CELLS
from seqclf._native.cell_layout import cell_layout
from seqclf._training.batches import n_batches
from seqclf._training.config import TrainingConfig

# Number of state values per weight in each optimiser.
_MOMENTS = {"sgd": 0, "nesterov": 1, "rmsprop": 1, "adagrad": 1, "adam": 2, "adamw": 2}


class TrainingLayerSizes(LayerSizes):
    """The bytes of one time step in each layer of a network in training."""

    def saved(self, layer: int) -> int:
        """Bytes that a layer saves for the backward pass, including its outputs."""
        cell = CELLS[self.config.cell]
        layout = cell_layout(cell.code) if self.compiled and cell.code is not None else None
        n_slots = cell.n_gates if layout is None else layout.n_slots if layout.saves_slots else 0
        return self.outputs(layer) * (1 + n_slots + cell.has_memory)

    def saved_between(self, layer: int) -> int:
        """Bytes saved between a layer and the next one: with dropout, the mask and the masked outputs."""
        return 2 * self.states[layer] if self.config.dropout else self.copied(layer)


def training_bytes(layers: TrainingLayerSizes) -> int:
    """Bytes per time step of a batch in a fit."""
    n_layers = len(layers.states)
    # The backward pass of a layer holds the gradients of its outputs and of its inputs.
    below = [(layers.config.embedding_dim or 0) * layers.itemsize, *layers.states]
    saved, stages = layers.inputs, []
    for layer in range(n_layers):
        saved += layers.saved(layer)
        stages.append(saved + layers.states[layer] + below[layer])
        if layer < n_layers - 1:
            saved += layers.saved_between(layer)
    # A padded copy of the inputs, and the outputs before and after the normalisation.
    convolved = sum((n_inputs + 2 * n_filters) * layers.itemsize for n_inputs, n_filters, _ in layers.convolutions())
    return max(*stages, saved + layers.copied(n_layers - 1) + convolved)


def available_on(device: torch.device) -> AvailableMemory | None:
    """The memory available on a GPU, or to this process; None if unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by torch, but unused
        return AvailableMemory(free + cached, "on the GPU")
    return find_available_memory()


def check_training(config: NetworkConfig, training: TrainingConfig, dataset: Dataset, device: torch.device) -> None:
    """Raise a MemoryError if a training does not fit into memory.

    Parameters
    ----------
    config, training : NetworkConfig, TrainingConfig
        The configurations of the network and of its training.
    dataset : Dataset
        The training rows, at least one.
    device : torch.device
        The device of the network.
    """
    lengths = dataset.sequences.lengths
    layers = TrainingLayerSizes(config, device.type == "cpu" and is_compiled(config.cell, config.activation))
    *shorter, longest = np.sort(lengths).tolist()
    # At least this many steps are in the batch of the longest row: the other rows of the batch could be the shortest.
    n_shorter = len(lengths) // n_batches(len(lengths), training.batch_size) - 1
    n_steps = longest + sum(shorter[:n_shorter])
    n_arrays = 2 + _MOMENTS[training.optimizer] + (training.patience is not None)
    needed = n_steps * training_bytes(layers) + n_arrays * _n_recurrent_weights(config) * FLOAT
    row = dataset.row_of_length(longest)
    check_memory(
        needed, lambda: available_on(device), row, longest, "train on it", "fewer units, or a smaller batch_size"
    )


def _n_recurrent_weights(config: NetworkConfig) -> int:
    """The number of weights in the recurrent layers, without biases."""
    n_directions, n_gates = config.n_directions, CELLS[config.cell].n_gates
    n_inputs, total = config.n_inputs, 0
    for units in config.units:
        total += n_directions * n_gates * units * (n_inputs + units)
        n_inputs = n_directions * units
    return total
