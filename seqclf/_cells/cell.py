"""`Cell`: the equation of a recurrent cell, the structure of its weights, and the kernels that support it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from seqclf._cells.weights import Weights

# One time step of the active rows: (x W + b, previous state, weights, activation) -> new state. A state is a tuple of
# the hidden state, (rows, units), and for cells with a memory the memory. All are numpy arrays or torch tensors.
Step = Callable[[Any, tuple[Any, ...], Weights, Callable[[Any], Any]], tuple[Any, ...]]


@dataclass(frozen=True)
class Cell:
    """The definition of a recurrent cell.

    Parameters
    ----------
    name : str
        The value of the ``cell`` parameter.
    gates : tuple of str
        Names of the gates. The weight matrices have one block of `units` rows per gate, in this order.
    step : callable
        The equation for one time step, on arrays or tensors. It is the definition that every faster kernel is tested
        against.
    has_recurrent_bias : bool
        Whether the product with the previous state has a separate bias. The product with the inputs always has one.
    has_memory : bool
        Whether there is a second state, which the next layer does not see.
    initial_biases : dict of str to float
        Initial biases by gate, where they are not 0.
    code : int, optional
        The code in ``csrc/cells/list.h``, if the compiled kernels support the cell. They then support it with every
        activation.
    torch_operations : dict of str to str
        Names of torch's operations for this cell, by activation.
    """

    name: str
    gates: tuple[str, ...]
    step: Step
    has_recurrent_bias: bool = False
    has_memory: bool = False
    initial_biases: Mapping[str, float] = field(default_factory=dict)
    code: int | None = None
    torch_operations: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_gates(self) -> int:
        """Number of gates, and of blocks in the weight matrices."""
        return len(self.gates)
