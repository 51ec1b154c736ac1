"""The memory that a fit or a prediction needs, from its longest sequence, and an error where there is too little.

The estimate adds up arrays that are there at the same time and whose sizes are known: what a batch reads, the outputs
of the layers, and in a fit what the way back needs of them. It leaves out all that comes and goes. So a call takes more
than the estimate, never less, and one that would fit is not refused.
"""

import gc
from collections.abc import Iterator

import numpy as np
import torch

from seqclf._data.dataset import Dataset
from seqclf._data.encoded import EncodedSequences
from seqclf._kernels import CELLS, is_exact
from seqclf._kernels.cpu.cell_layout import cell_layout
from seqclf._nn.config import NetworkConfig
from seqclf._nn.convolution import filter_width
from seqclf._training.available_memory import left_memory
from seqclf._training.batches import n_batches
from seqclf._training.config import TrainingConfig

# What the C library may keep of memory that was freed, and the system does not know of. A call that needs no more is
# not looked at: to ask the system takes longer than a small prediction.
_FREED = 2**26
_INDEX = 8  # bytes of a position or an id
_FLOAT, _DOUBLE = 4, 8
# How many numbers each optimiser keeps for each weight.
_MOMENTS = {"sgd": 0, "nesterov": 1, "rmsprop": 1, "adagrad": 1, "adam": 2, "adamw": 2}


class Layers:
    """The bytes of one step in each layer of a network.

    Parameters
    ----------
    config : NetworkConfig
        The network.
    exact : bool
        Whether our own kernels run.
    """

    def __init__(self, config: NetworkConfig, exact: bool, itemsize: int = _FLOAT):
        self.config, self.exact, self.itemsize = config, exact, itemsize
        self.n_directions = 2 if config.bidirectional else 1
        numbers = config.n_channels + config.n_step_features
        self.inputs = (0 if config.vocab_size is None else _INDEX) + numbers * itemsize
        # What the convolutions read, with the vectors of ids written out.
        self.n_inputs = numbers + (config.embedding_dim or config.vocab_size or 0)
        self.states = [self.n_directions * units * itemsize for units in config.units]

    def outputs(self, layer: int) -> int:
        """The states after a step, as the kernels write them."""
        return self.n_directions * self._padded(layer) * self.itemsize

    def copied(self, layer: int) -> int:
        """The copy of them where the kernels round the units up."""
        return self.states[layer] if self._padded(layer) != self.config.units[layer] else 0

    def saved(self, layer: int) -> int:
        """What the way back needs of a layer, its outputs included."""
        cell = CELLS[self.config.cell]
        layout = cell_layout(cell.code) if self.exact and cell.code is not None else None
        n_slots = cell.n_gates if layout is None else layout.n_slots if layout.saves_slots else 0
        return self.outputs(layer) * (1 + n_slots + cell.has_memory)

    def passed_on(self, layer: int) -> int:
        """What the way back needs of the step from one layer to the next: with dropout, the mask and the product."""
        return 2 * self.states[layer] if self.config.dropout else self.copied(layer)

    def _padded(self, layer: int) -> int:
        units = self.config.units[layer]
        return -(-units // 8) * 8 if self.exact else units

    def convolutions(self) -> Iterator[tuple[int, int, int]]:
        """For each layer of convolution the numbers of a step that it reads, its filters, and their width."""
        n_inputs = self.n_inputs
        for depth, n_filters in enumerate(self.config.conv_filters):
            yield n_inputs, n_filters, filter_width(depth)
            n_inputs = n_filters


def prediction_bytes(layers: Layers) -> int:
    """Bytes for each step of a batch in a prediction."""
    n_layers, below = len(layers.states), [0, *layers.states]
    recurrent = [below[layer] + layers.outputs(layer) + layers.copied(layer) for layer in range(n_layers)]
    states = layers.states[-1]
    stages = [*recurrent, 2 * states if layers.config.pooling in ("attention", None) else states]
    for n_inputs, n_filters, width in layers.convolutions():
        if layers.exact:  # Each step gets a copy of what its filter sees, and where that lies.
            stages.append(states + n_inputs * layers.itemsize * (1 + width) + n_filters * layers.itemsize)
        else:
            stages.append(states + (n_inputs + n_filters) * layers.itemsize)
    return layers.inputs + max(stages)


def training_bytes(layers: Layers) -> int:
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


def check_prediction(config: NetworkConfig, sequences: EncodedSequences, device: torch.device, kept: int) -> None:
    """Refuse to predict what does not fit into memory.

    Parameters
    ----------
    config : NetworkConfig
        The network.
    sequences : EncodedSequences
        What to predict.
    device : torch.device
        Where.
    kept : int
        Bytes of the result for each step.
    """
    if not len(sequences):
        return
    exact = _is_exact(config, device)
    layers = Layers(config, exact, _FLOAT if exact else _DOUBLE)
    row = int(sequences.lengths.argmax())
    longest = int(sequences.lengths[row])
    needed = longest * prediction_bytes(layers) + sequences.steps.n_steps * kept
    _refuse(needed, device, row, longest, "predict it", "fewer units")


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
    layers = Layers(config, _is_exact(config, device))
    *others, longest = np.sort(lengths).tolist()
    # The longest row is in some batch, next to rows that may be the shortest.
    n_others = len(lengths) // n_batches(len(lengths), training.batch_size) - 1
    n_steps = longest + sum(others[:n_others])
    n_arrays = 2 + _MOMENTS[training.optimizer] + (training.patience is not None)
    needed = n_steps * training_bytes(layers) + n_arrays * _n_recurrent_weights(config) * _FLOAT
    _refuse(
        needed, device, dataset.row_of_length(longest), longest, "train on it", "fewer units, or a smaller batch_size"
    )


def _n_recurrent_weights(config: NetworkConfig) -> int:
    """How many weights the recurrent layers have, the bias left out."""
    n_directions, n_gates = 2 if config.bidirectional else 1, CELLS[config.cell].n_gates
    n_inputs, total = config.n_channels + config.n_step_features + (config.embedding_dim or config.vocab_size or 0), 0
    for units in config.units:
        total += n_directions * n_gates * units * (n_inputs + units)
        n_inputs = n_directions * units
    return total


def _is_exact(config: NetworkConfig, device: torch.device) -> bool:
    return device.type == "cpu" and is_exact(config.cell, config.activation)


def _refuse(needed: int, device: torch.device, row: int, longest: int, what: str, smaller: str) -> None:
    if needed <= _FREED or (left := left_memory(device)) is None or needed <= left.n_bytes + _FREED:
        return
    gc.collect()  # Networks of earlier fits may be waiting for it.
    if (left := left_memory(device)) is None or needed <= left.n_bytes + _FREED:
        return
    raise MemoryError(
        f"The longest sequence, row {row} of X, has {longest:,} steps. To {what} takes at least {_size(needed)} of "
        f"memory, and {_size(left.n_bytes)} are left {left.where}. Cut the sequences into windows, keep fewer of their "
        f"steps (truncate them, or take every second one), or use {smaller}."
    )


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
