"""What a layer reads: numbers, token ids, or both; and numbers that are still to be looked up."""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from seqclf._inference.gather import look_up_error


class Inputs(NamedTuple):
    """The inputs of every step, in the order of the layout.

    The first columns of a layer's input weights are those of the ids, then come those of the numbers. One-hot ids have
    a column each; ids with a ``table`` stand for vectors, with a column for each number of a vector.
    """

    numbers: Tensor | None = None  # (n_steps, n_numbers); next to vectors of a table they get no gradient
    ids: Tensor | None = None  # (n_steps,)
    table: Tensor | None = None  # (n_ids, dim), the vector of each id
    mask: Tensor | None = None  # (n_rows, dim), what the vectors of each row are multiplied by; it gets no gradient
    sparse: bool = False  # whether the gradient of the table is a sparse tensor of the rows of `ids`

    @classmethod
    def of(cls, values: "Tensor | Inputs") -> "Inputs":
        """Floats as numbers, whole numbers as ids."""
        if isinstance(values, Inputs):
            return values
        return cls(numbers=values) if values.is_floating_point() else cls(ids=values)


class LookUp(NamedTuple):
    """Numbers for each step of the data, given as entries of tables that hold the numbers.

    A table has several versions, each with a row of numbers for every entry; a sequence reads one version of them all.
    """

    entries: Tensor  # (n, n_tables), int32: the entry of each table at each step
    tables: tuple[Tensor, ...]  # each (n_versions, n_entries, n_channels), float32
    versions: np.ndarray  # (n_sequences,), of the sequences of the batch

    @property
    def n_channels(self) -> int:
        """Numbers for a step."""
        return sum(table.shape[2] for table in self.tables)

    def error(self) -> IndexError:
        """What a kernel raises if an entry or a version is out of range."""
        return look_up_error(*self.as_arrays())

    def as_arrays(self) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
        """The same as numpy arrays, which share the memory of tensors on the CPU."""
        return self.entries.cpu().numpy(), [table.cpu().numpy() for table in self.tables], self.versions
