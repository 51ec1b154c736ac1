"""Every activation of the state by its name. A new one is a line here and a structure in ``csrc/activations.h``.

The gates keep their sigmoid whatever the activation is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seqclf._cells.functions import relu, tanh


@dataclass(frozen=True)
class Activation:
    """One function of a number.

    Parameters
    ----------
    name : str
        As users write it.
    function : callable
        The definition, of arrays and of tensors.
    code : int
        Its code in ``csrc/activations.h``.
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
