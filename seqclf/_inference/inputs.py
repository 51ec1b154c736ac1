"""What a layer reads: numbers, token ids, or both."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class LayerInputs(NamedTuple):
    """The inputs of every step, in the order of the layout.

    The first columns of a layer's input weights are those of the ids, then come those of the numbers. One-hot ids have
    a column each; ids with a ``table`` or ``projected`` stand for vectors, with a column for each number of a vector.
    """

    numbers: NDArray[Any] | None = None  # (n_steps, n_numbers)
    ids: NDArray[np.int64] | None = None  # (n_steps,)
    table: NDArray[np.float32] | None = None  # (n_ids, dim), the vector of each id
    # In place of a table: what `Recurrence.project` made of it, for each direction.
    projected: Sequence[NDArray[np.float32]] | None = None


def written_out(inputs: LayerInputs, dtype: Any) -> NDArray[Any]:
    """The numbers of every step, with the vectors of ids copied from their table."""
    if inputs.table is None or inputs.ids is None:
        assert inputs.numbers is not None
        return inputs.numbers
    check_ids(inputs.ids, len(inputs.table))
    vectors = inputs.table[inputs.ids].astype(dtype, copy=False)
    return vectors if inputs.numbers is None else np.concatenate((vectors, inputs.numbers), axis=1)


def check_ids(ids: NDArray[np.int64], n_ids: int) -> None:
    """Refuse ids that are not in 0 .. n_ids - 1."""
    if not len(ids):
        return
    lowest, highest = int(ids.min()), int(ids.max())
    if not 0 <= lowest <= highest < n_ids:
        raise IndexError(f"The ids run from {lowest} to {highest}; expected 0 to {n_ids - 1}.")
