"""Estimate of the memory that a prediction needs for its longest sequence, and an error if that is not available.

The estimate is the size of arrays that exist at the same time and whose sizes are known: the inputs of a batch and the
outputs of the layers. Temporary arrays are not counted. The estimate is therefore a lower bound: a call that would fit
into memory never fails.
"""

import gc
from collections.abc import Callable, Iterator

from seqclf._data.encoded import EncodedSequences
from seqclf._inference.available_memory import AvailableMemory, find_available_memory
from seqclf._inference.config import NetworkConfig, filter_width
from seqclf._native.cell_layout import padded_units

FindAvailable = Callable[[], AvailableMemory | None]
# Freed memory that the C library may keep, which the system counts as used. Calls that need less are not checked,
# because querying the system takes longer than a small prediction.
_ALLOCATOR_SLACK = 2**26
_INDEX = 8  # bytes of a position or an id
FLOAT, _DOUBLE = 4, 8


class LayerSizes:
    """The bytes per step of each layer of a network.

    Parameters
    ----------
    config : NetworkConfig
        The network.
    compiled : bool
        Whether the compiled kernels run.
    itemsize : int, default=4
        Bytes per value.
    """

    def __init__(self, config: NetworkConfig, compiled: bool, itemsize: int = FLOAT):
        self.config, self.compiled, self.itemsize = config, compiled, itemsize
        n_values = config.n_channels + config.n_step_features
        self.inputs = (0 if config.vocab_size is None else _INDEX) + n_values * itemsize
        self.states = [config.n_directions * units * itemsize for units in config.units]

    def outputs(self, layer: int) -> int:
        """The states after a step, with the padding that the kernels add."""
        return self.config.n_directions * self._padded(layer) * self.itemsize

    def copied(self, layer: int) -> int:
        """The copy of the states without padding, if the kernels pad the units."""
        return self.states[layer] if self._padded(layer) != self.config.units[layer] else 0

    def _padded(self, layer: int) -> int:
        units = self.config.units[layer]
        return padded_units(units) if self.compiled else units

    def convolutions(self) -> Iterator[tuple[int, int, int]]:
        """Yield the inputs per step, the number of filters and the filter width of each convolutional layer."""
        n_inputs = self.config.n_inputs  # including the materialized vectors of ids
        for depth, n_filters in enumerate(self.config.conv_filters):
            yield n_inputs, n_filters, filter_width(depth)
            n_inputs = n_filters


def prediction_bytes(layers: LayerSizes) -> int:
    """Bytes per step of a batch in a prediction."""
    n_layers, below = len(layers.states), [0, *layers.states]
    recurrent = [below[layer] + layers.outputs(layer) + layers.copied(layer) for layer in range(n_layers)]
    states = layers.states[-1]
    stages = [*recurrent, 2 * states if layers.config.pooling in ("attention", None) else states]
    for n_inputs, n_filters, width in layers.convolutions():
        if layers.compiled:  # Each step has a copy of its window, and the positions of the window.
            stages.append(states + n_inputs * layers.itemsize * (1 + width) + n_filters * layers.itemsize)
        else:
            stages.append(states + (n_inputs + n_filters) * layers.itemsize)
    return layers.inputs + max(stages)


def check_prediction(
    config: NetworkConfig,
    sequences: EncodedSequences,
    result_bytes_per_step: int,
    *,
    compiled: bool,
    find_available: FindAvailable | None = None,
) -> None:
    """Raise MemoryError if a prediction does not fit into memory.

    Parameters
    ----------
    config : NetworkConfig
        The network.
    sequences : EncodedSequences
        The sequences to predict.
    result_bytes_per_step : int
        Bytes of the result per step.
    compiled : bool
        Whether the compiled kernels run, in float32.
    find_available : callable, default=None
        Returns the available memory; None queries the system.
    """
    if not len(sequences):
        return
    layers = LayerSizes(config, compiled, FLOAT if compiled else _DOUBLE)
    row = int(sequences.lengths.argmax())
    longest = int(sequences.lengths[row])
    needed = longest * prediction_bytes(layers) + sequences.steps.n_steps * result_bytes_per_step
    check_memory(needed, find_available or find_available_memory, row, longest, "predict it", "fewer units")


def check_memory(needed: int, find_available: FindAvailable, row: int, longest: int, what: str, smaller: str) -> None:
    """Raise MemoryError if a call needs more memory than is available, and name the longest row in the message.

    Parameters
    ----------
    needed : int
        A lower bound of the bytes that the call needs.
    find_available : callable
        Returns the available memory.
    row, longest : int
        The index of the longest row of X, and its length.
    what, smaller : str
        For the message: the action ("predict it") and the settings to reduce ("fewer units").
    """
    if needed <= _ALLOCATOR_SLACK:
        return
    available = find_available()
    if available is None or needed <= available.n_bytes + _ALLOCATOR_SLACK:
        return
    gc.collect()  # Networks of earlier fits may be in reference cycles.
    available = find_available()
    if available is None or needed <= available.n_bytes + _ALLOCATOR_SLACK:
        return
    raise MemoryError(
        f"The longest sequence, row {row} of X, has {longest:,} steps. To {what} takes at least {_size(needed)} of "
        f"memory, and {_size(available.n_bytes)} is left {available.where}. Cut the sequences into windows, keep "
        f"fewer of their steps (truncate them, or take every second one), or use {smaller}."
    )


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
