"""The weights of one recurrent layer in one direction."""

from typing import Any, NamedTuple


class Weights(NamedTuple):
    """Weights of a cell, arrays or tensors; the gates lie one below the other in the order of torch.

    Cells that apply a gate after the product with the state have a ``recurrent_bias``, as cuDNN's gru; the others have
    one bias, as their equations say.
    """

    input: Any  # (gates * units, inputs)
    recurrent: Any  # (gates * units, units)
    bias: Any  # (gates * units,)
    recurrent_bias: Any = None  # (gates * units,)

    @property
    def units(self) -> int:
        """The width of the state."""
        width: int = self.recurrent.shape[1]
        return width
