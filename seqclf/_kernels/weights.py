"""The weights of one recurrent layer in one direction."""

from typing import NamedTuple

from torch import Tensor


class Weights(NamedTuple):
    """Weights of a cell; the gates lie one below the other in the order of torch.

    Cells that apply a gate after the product with the state have a ``recurrent_bias``, as cuDNN's gru; the others have
    one bias, as their equations say.
    """

    input: Tensor  # (gates * units, inputs)
    recurrent: Tensor  # (gates * units, units)
    bias: Tensor  # (gates * units,)
    recurrent_bias: Tensor | None = None  # (gates * units,)

    @property
    def units(self) -> int:
        return self.recurrent.shape[1]
