"""What a layer reads: numbers, token ids, or both."""

from typing import NamedTuple

from torch import Tensor


class Inputs(NamedTuple):
    """The inputs of every step, in the order of the layout.

    The columns of a layer's input weights are those of the ids first, then those of the numbers. One-hot ids have a
    column each; ids with ``projected`` stand for vectors, with a column for each number in them.
    """

    numbers: Tensor | None = None  # (n_steps, n_numbers)
    ids: Tensor | None = None  # (n_steps,)
    projected: Tensor | None = None  # what a kernel's `project` made of the ids' vectors, for this kernel alone

    @classmethod
    def of(cls, values: "Tensor | Inputs") -> "Inputs":
        """Floats as numbers, whole numbers as ids."""
        if isinstance(values, Inputs):
            return values
        return cls(numbers=values) if values.is_floating_point() else cls(ids=values)
