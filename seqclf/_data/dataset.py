"""`Dataset`: sequences with their targets, weights and groups."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged

# Validated rows: texts, lists of tokens, or sequences.
Rows = list[Any] | Ragged
# One target for each sequence, or one for each step.
Targets = NDArray[Any] | Ragged


@dataclass(frozen=True, eq=False)
class Dataset:
    """Sequences with their targets, weights and groups.

    Parameters
    ----------
    sequences : EncodedSequences
        The inputs of the network.
    targets : ndarray of shape (n_sequences, ...), or Ragged
        The encoded targets: one for each sequence, or one for each step.
    weights : ndarray of shape (n_sequences,), float64
        The weight of each sequence, above 0.
    groups : ndarray of shape (n_sequences,), int64, or None
        The group of each sequence, from 0.
    rows : ndarray of shape (n_sequences,), int64, or None
        The row of each sequence in the X that the user passed, for messages; None if no row was dropped.
    """

    sequences: EncodedSequences
    targets: Targets
    weights: NDArray[np.float64]
    groups: NDArray[np.int64] | None = None
    rows: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.sequences)

    def take(self, rows: NDArray[np.int64]) -> "Dataset":
        """The sequences at these positions, in this order; groups are renumbered from 0 without gaps."""
        groups = None if self.groups is None else np.unique(self.groups[rows], return_inverse=True)[1]
        rows_of_X = rows if self.rows is None else self.rows[rows]
        return Dataset(self.sequences.take(rows), take(self.targets, rows), self.weights[rows], groups, rows_of_X)

    def row_of_length(self, n_steps: int) -> int:
        """The row of the first sequence of this length in the X that the user passed."""
        first = int(np.argmax(self.sequences.lengths == n_steps))
        return first if self.rows is None else int(self.rows[first])


def take(values: Any, rows: NDArray[np.int64]) -> Any:
    """The entries of these rows in a list, an array or a Ragged with one entry for each row."""
    if isinstance(values, Ragged):
        return values.take(rows)
    return [values[row] for row in rows] if isinstance(values, list) else values[rows]
