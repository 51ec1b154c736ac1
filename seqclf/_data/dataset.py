"""Sequences with what is to be learned from them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged

# Rows as an estimator has validated them: texts or token lists, or sequences.
Rows = list[Any] | Ragged
# One target for each sequence, or one for each step.
Targets = NDArray[Any] | Ragged


@dataclass(frozen=True, eq=False)
class Dataset:
    """Sequences, their targets, and what each of them counts.

    Parameters
    ----------
    sequences : EncodedSequences
        What the network reads.
    targets : ndarray of shape (n_sequences, ...), or Ragged
        As the task has encoded them: one for each sequence, or one for each step.
    weights : ndarray of shape (n_sequences,), float64
        What each sequence counts: numbers above 0.
    groups : ndarray of shape (n_sequences,), int64, or None
        The group of each sequence, from 0.
    rows : ndarray of shape (n_sequences,), int64, or None
        The row of each sequence in what was handed in, for messages; None where nothing was left out.
    """

    sequences: EncodedSequences
    targets: Targets
    weights: NDArray[np.float64]
    groups: NDArray[np.int64] | None = None
    rows: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.sequences)

    def take(self, rows: NDArray[np.int64]) -> "Dataset":
        """The sequences at these positions, in this order, as groups numbered without a gap."""
        groups = None if self.groups is None else np.unique(self.groups[rows], return_inverse=True)[1]
        numbers = rows if self.rows is None else self.rows[rows]
        return Dataset(self.sequences.take(rows), take(self.targets, rows), self.weights[rows], groups, numbers)

    def row_of_length(self, n_steps: int) -> int:
        """The row of the first sequence of this length, in what was handed in."""
        first = int(np.argmax(self.sequences.lengths == n_steps))
        return first if self.rows is None else int(self.rows[first])


def take(values: Any, rows: NDArray[np.int64]) -> Any:
    """What `rows` have of something that each row has: of a list, an array or a Ragged."""
    if isinstance(values, Ragged):
        return values.take(rows)
    return [values[row] for row in rows] if isinstance(values, list) else values[rows]
