"""What the network reads: the steps of sequences, and what was learned from targets about steps and sequences."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged


@dataclass(frozen=True, eq=False)
class StepFeatures:
    """Numbers next to each token id, kept as entries of tables: they are looked up when a batch is read.

    Parameters
    ----------
    entries : ndarray of shape (n_steps, n_tables), int32
        For each table the entry that a step has in it.
    tables : tuple of ndarray of shape (n_versions, n_entries, n_features), float32
        The numbers of the entries, in one or several versions (folds).
    version : ndarray of shape (n_sequences,)
        The version that each sequence gets.
    """

    entries: NDArray[np.int32]
    tables: tuple[NDArray[np.float32], ...]
    version: NDArray[np.int64]

    @property
    def width(self) -> int:
        """How many numbers each step has."""
        return sum(table.shape[2] for table in self.tables)


class Spelling(NamedTuple):
    """Tokens by their spelling, those too that the network does not know.

    Parameters
    ----------
    ids : ndarray of shape (n_steps,), int32
        The id of each token in the vocabulary; behind these follow those of `new_tokens`.
    new_tokens : list of str
        The tokens that are not in the vocabulary.
    """

    ids: NDArray[np.int32]
    new_tokens: list[str]


@dataclass(frozen=True, eq=False)
class EncodedSequences:
    """Token ids or numeric steps, with what was learned from targets.

    Parameters
    ----------
    steps : Ragged
        Token ids of shape (n_steps,), or numbers of shape (n_steps, n_channels).
    features : StepFeatures or None
        Numbers next to each token id.
    scores : ndarray of shape (n_sequences, n_outputs), float32, or None
        An estimate of each output for each sequence.
    spelling : Spelling or None
        The token ids as they are spelled, for features that are learned from characters.
    """

    steps: Ragged
    features: StepFeatures | None = None
    scores: NDArray[np.float32] | None = None
    spelling: Spelling | None = None

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of steps of each sequence."""
        return self.steps.lengths

    @property
    def n_numbers(self) -> int:
        """How many numbers a step has, its token id not counted."""
        return self.steps.n_channels + (0 if self.features is None else self.features.width)

    @cached_property
    def step_features(self) -> NDArray[np.float32]:
        """The numbers next to each token id, shape (n_steps, width): those of the first table first."""
        if self.features is None:
            return np.empty((self.steps.n_steps, 0), dtype=np.float32)
        version = np.repeat(self.features.version, self.lengths)
        columns = zip(self.features.tables, self.features.entries.T, strict=True)
        return np.concatenate([table[version, entries] for table, entries in columns], axis=1)

    def take(self, rows: Any) -> "EncodedSequences":
        """The sequences at these positions, in this order."""
        features = self.features
        if features is not None:
            entries = Ragged(features.entries, self.lengths).take(rows).values
            features = replace(features, entries=entries, version=features.version[rows])
        scores = None if self.scores is None else self.scores[rows]
        spelling = self.spelling
        if spelling is not None:
            spelling = spelling._replace(ids=Ragged(spelling.ids, self.lengths).take(rows).values)
        return EncodedSequences(self.steps.take(rows), features, scores, spelling)
