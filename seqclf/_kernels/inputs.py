"""The inputs of a layer: numeric values, token ids, or both; and values that are looked up per batch."""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from seqclf._inference.gather import look_up_error


class Inputs(NamedTuple):
    """The inputs of every step, in the order of the layout.

    In a layer's input weights, the columns for the ids come before the columns for the values. Without an ``embedding``
    ids are one-hot, with one column per possible id. With one, there is a column for each dimension of its vectors.
    """

    values: Tensor | None = None  # (n_steps, n_values); they get no gradient if there is an embedding
    ids: Tensor | None = None  # (n_steps,)
    embedding: Tensor | None = None  # (n_ids, dim), the vector of each id
    mask: Tensor | None = None  # (n_rows, dim), factor for the vectors of each row; it gets no gradient
    sparse: bool = False  # whether the gradient of the embedding is a sparse tensor with the vectors of `ids` only

    @classmethod
    def of(cls, values: "Tensor | Inputs") -> "Inputs":
        """Treat a float tensor as values and an integer tensor as ids."""
        if isinstance(values, Inputs):
            return values
        return cls(values=values) if values.is_floating_point() else cls(ids=values)


class LookUp(NamedTuple):
    """Values for each step of the data, stored as indices into lookup tables.

    Each table has several versions, with one vector per entry. Each sequence uses one version of all tables.
    """

    entries: Tensor  # (n, n_tables), int32: for each step the entry of each table
    tables: tuple[Tensor, ...]  # each (n_versions, n_entries, n_channels), float32
    versions: np.ndarray  # (n_sequences,), for the sequences of the batch

    @property
    def n_channels(self) -> int:
        """Number of values per step."""
        return sum(table.shape[2] for table in self.tables)

    def error(self) -> IndexError:
        """The error for an entry or a version that is out of range."""
        return look_up_error(*self.as_arrays())

    def as_arrays(self) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
        """The fields as numpy arrays; they share memory with tensors on the CPU."""
        return self.entries.cpu().numpy(), [table.cpu().numpy() for table in self.tables], self.versions
