"""The inputs of a layer: numeric values, token ids, or both."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class LayerInputs(NamedTuple):
    """The inputs of every step, in the order of the layout.

    In a layer's input weights, the columns for the ids come before the columns for the values. Without ``embedding``
    and ``projected``, ids are one-hot, with one column per possible id. With one of the two, there is a column for each
    dimension of the vectors.
    """

    values: NDArray[Any] | None = None  # (n_steps, n_values)
    ids: NDArray[np.int64] | None = None  # (n_steps,)
    embedding: NDArray[np.float32] | None = None  # (n_ids, dim), the vector of each id
    # Instead of an embedding: the result of `Recurrence.project` for it, one array per direction.
    projected: Sequence[NDArray[np.float32]] | None = None


def materialize(inputs: LayerInputs, dtype: Any) -> NDArray[Any]:
    """The values of every step, with ids replaced by copies of their vectors."""
    if inputs.embedding is None or inputs.ids is None:
        assert inputs.values is not None
        return inputs.values
    check_ids(inputs.ids, len(inputs.embedding))
    vectors = inputs.embedding[inputs.ids].astype(dtype, copy=False)
    return vectors if inputs.values is None else np.concatenate((vectors, inputs.values), axis=1)


def check_ids(ids: NDArray[np.int64], n_ids: int) -> None:
    """Raise IndexError unless all ids are in 0 .. n_ids - 1."""
    if not len(ids):
        return
    lowest, highest = int(ids.min()), int(ids.max())
    if not 0 <= lowest <= highest < n_ids:
        raise IndexError(f"The ids run from {lowest} to {highest}; expected 0 to {n_ids - 1}.")
