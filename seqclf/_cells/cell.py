"""What is to be known of a cell: its equation, its weights, and who computes it fast."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from seqclf._cells.weights import Weights

# Of the rows that run at a time: from (x W + b, the state before, the weights, the activation) to the state after. A
# state is the hidden state, (rows, units), and where the cell has a memory, that too. All are arrays of numpy, or
# tensors of torch.
Step = Callable[[Any, tuple[Any, ...], Weights, Callable[[Any], Any]], tuple[Any, ...]]


@dataclass(frozen=True)
class Cell:
    """One recurrence.

    Parameters
    ----------
    name : str
        As users write it.
    gates : tuple of str
        Names of the blocks of `units` rows that the weight matrices have, in their order.
    step : callable
        The equation, of arrays and of tensors: the definition, against which every faster kernel is tested.
    has_recurrent_bias : bool
        Whether the product with the previous state has a bias of its own. The product with the inputs always has one.
    has_memory : bool
        Whether there is a second state that the next layer does not see.
    initial_biases : dict of str to float
        What the biases of a gate are before training, where that is not 0.
    code : int, optional
        Its code in ``csrc/cells/list.h``, if the compiled kernels have it. They have each cell with every activation.
    torch_operations : dict of str to str
        For each activation that torch has an operation for, its name there.
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
        """How many blocks the weight matrices have."""
        return len(self.gates)
