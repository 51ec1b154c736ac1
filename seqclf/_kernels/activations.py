"""Every activation of the state by its name. A new one is a line here and a structure in ``csrc/activations.h``.

The gates keep their sigmoid whatever the activation is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Activation:
    """One function of a number.

    Parameters
    ----------
    name : str
        As users write it.
    function : callable
        The definition, in plain torch.
    code : int
        Its code in ``csrc/activations.h``.
    """

    name: str
    function: Callable[[Tensor], Tensor]
    code: int


ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("tanh", torch.tanh, code=0),
        Activation("relu", torch.relu, code=1),
        # x / (1 + |x|). J. Bergstra, G. Desjardins, P. Lamblin, Y. Bengio, "Quadratic polynomials learn better image
        # features", technical report 1337, DIRO, University of Montreal (2009).
        Activation("softsign", functional.softsign, code=2),
    )
}
