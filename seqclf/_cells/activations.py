"""The activations of the state by name. A new one needs a line here and a struct in ``csrc/activations.h``.

Gates always use the sigmoid, whatever the activation of the state.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seqclf._cells.functions import relu, tanh


@dataclass(frozen=True)
class Activation:
    """An element-wise function.

    Parameters
    ----------
    name : str
        The value of the ``activation`` parameter.
    function : callable
        The definition, for arrays and tensors.
    code : int
        The code in ``csrc/activations.h``.
    """

    name: str
    function: Callable[[Any], Any]
    code: int


ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("tanh", tanh, code=0),
        Activation("relu", relu, code=1),
        # J. Bergstra, G. Desjardins, P. Lamblin, Y. Bengio, "Quadratic polynomials learn better image features",
        # technical report 1337, DIRO, University of Montreal (2009).
        Activation("softsign", lambda x: x / (abs(x) + 1), code=2),
    )
}
