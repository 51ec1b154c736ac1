"""The memory that a prediction needs, from its longest sequence, and an error where there is too little.

The estimate adds up arrays that are there at the same time and whose sizes are known: what a batch reads, and the
outputs of the layers. It leaves out all that comes and goes. So a call takes more than the estimate, never less, and
one that would fit is not refused.
"""

import gc
from collections.abc import Callable, Iterator

from seqclf._data.encoded import EncodedSequences
from seqclf._inference.available_memory import Left, left_memory
from seqclf._inference.config import NetworkConfig, filter_width
from seqclf._native.cell_layout import padded_units

FindLeft = Callable[[], Left | None]
# What the C library may keep of memory that was freed, and the system does not know of. A call that needs no more is
# not looked at: to ask the system takes longer than a small prediction.
_FREED = 2**26
_INDEX = 8  # bytes of a position or an id
FLOAT, _DOUBLE = 4, 8


class Layers:
    """The bytes of one step in each layer of a network.

    Parameters
    ----------
    config : NetworkConfig
        The network.
    exact : bool
        Whether our own kernels run.
    itemsize : int, default=4
        Bytes of a number.
    """

    def __init__(self, config: NetworkConfig, exact: bool, itemsize: int = FLOAT):
        self.config, self.exact, self.itemsize = config, exact, itemsize
        numbers = config.n_channels + config.n_step_features
        self.inputs = (0 if config.vocab_size is None else _INDEX) + numbers * itemsize
        self.states = [config.n_directions * units * itemsize for units in config.units]

    def outputs(self, layer: int) -> int:
        """The states after a step, as the kernels write them."""
        return self.config.n_directions * self._padded(layer) * self.itemsize

    def copied(self, layer: int) -> int:
        """The copy of them where the kernels round the units up."""
        return self.states[layer] if self._padded(layer) != self.config.units[layer] else 0

    def _padded(self, layer: int) -> int:
        units = self.config.units[layer]
        return padded_units(units) if self.exact else units

    def convolutions(self) -> Iterator[tuple[int, int, int]]:
        """For each layer of convolution the numbers of a step that it reads, its filters, and their width."""
        n_inputs = self.config.n_inputs  # with the vectors of ids written out
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


def check_prediction(
    config: NetworkConfig,
    sequences: EncodedSequences,
    kept: int,
    *,
    exact: bool,
    find_left: FindLeft | None = None,
) -> None:
    """Refuse to predict what does not fit into memory.

    Parameters
    ----------
    config : NetworkConfig
        The network.
    sequences : EncodedSequences
        What to predict.
    kept : int
        Bytes of the result for each step.
    exact : bool
        Whether our own kernels run, and compute in float32.
    find_left : callable, default=None
        Says how much is left; None asks the system.
    """
    if not len(sequences):
        return
    layers = Layers(config, exact, FLOAT if exact else _DOUBLE)
    row = int(sequences.lengths.argmax())
    longest = int(sequences.lengths[row])
    needed = longest * prediction_bytes(layers) + sequences.steps.n_steps * kept
    refuse(needed, find_left or left_memory, row, longest, "predict it", "fewer units")


def refuse(needed: int, find_left: FindLeft, row: int, longest: int, what: str, smaller: str) -> None:
    """Raise an error if less memory is left than needed for a call, because of one row of so many steps.

    Parameters
    ----------
    needed : int
        Bytes that the call takes at least.
    find_left : callable
        Says how much is left.
    row, longest : int
        The longest row of X, and its steps.
    what, smaller : str
        What is to be done with it, and what could be made smaller, for the message.
    """
    if needed <= _FREED or (left := find_left()) is None or needed <= left.n_bytes + _FREED:
        return
    gc.collect()  # Networks of earlier fits may be waiting for it.
    if (left := find_left()) is None or needed <= left.n_bytes + _FREED:
        return
    raise MemoryError(
        f"The longest sequence, row {row} of X, has {longest:,} steps. To {what} takes at least {_size(needed)} of "
        f"memory, and {_size(left.n_bytes)} are left {left.where}. Cut the sequences into windows, keep fewer of their "
        f"steps (truncate them, or take every second one), or use {smaller}."
    )


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
