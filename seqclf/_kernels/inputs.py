"""What a layer reads: numbers, token ids, or both."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Inputs(NamedTuple):
    """The inputs of every step, in the order of the layout.

    The columns of a layer's input weights are those of the ids first, then those of the numbers. One-hot ids have a
    column each; ids with a ``table`` or ``projected`` stand for vectors, with a column for each number in them.
    """

    numbers: Tensor | None = None  # (n_steps, n_numbers); beside vectors of a table they get no gradient
    ids: Tensor | None = None  # (n_steps,)
    table: Tensor | None = None  # (n_ids, dim), the vector of each id
    mask: Tensor | None = None  # (n_rows, dim), what the vectors of each row are multiplied by; it gets no gradient
    sparse: bool = False  # whether the gradient of the table is a sparse tensor of the rows of `ids`
    # In place of a table, for reading: what a kernel's `project` made of it, for this kernel alone and each direction.
    projected: Sequence[Tensor] | None = None

    @classmethod
    def of(cls, values: "Tensor | Inputs") -> "Inputs":
        """Floats as numbers, whole numbers as ids."""
        if isinstance(values, Inputs):
            return values
        return cls(numbers=values) if values.is_floating_point() else cls(ids=values)
