"""The weights of one recurrent layer in one direction, and the names that all kernels share."""

from typing import NamedTuple

from torch import Tensor

CELLS = ("rnn", "lstm", "gru")
ACTIVATIONS = ("tanh", "relu")

# How many blocks of `units` rows the weight matrices have, in this order: rnn: h; lstm: i, f, g, o; gru: r, z, n.
N_GATES = {"rnn": 1, "lstm": 4, "gru": 3}


class Weights(NamedTuple):
    """Weights of a cell; the gates lie one below the other in the order of torch.

    ``recurrent_bias`` belongs to the gru alone (the ``reset_after`` form that cuDNN computes); the others have one
    bias, as their equations say.
    """

    input: Tensor  # (gates * units, inputs)
    recurrent: Tensor  # (gates * units, units)
    bias: Tensor  # (gates * units,)
    recurrent_bias: Tensor | None = None  # (gates * units,)

    @property
    def units(self) -> int:
        return self.recurrent.shape[1]
