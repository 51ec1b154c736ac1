"""The weights of one recurrent layer in one direction."""

from typing import Any, NamedTuple


class Weights(NamedTuple):
    """Weights of a cell, as arrays or tensors. The blocks of the gates are stacked in torch's order.

    Cells that apply a gate after the product with the state, like cuDNN's GRU, have a ``recurrent_bias``. Other cells
    have only one bias.
    """

    input: Any  # (gates * units, inputs)
    recurrent: Any  # (gates * units, units)
    bias: Any  # (gates * units,)
    recurrent_bias: Any = None  # (gates * units,)

    @property
    def units(self) -> int:
        """Width of the state."""
        width: int = self.recurrent.shape[1]
        return width
