"""The inputs of the network: the steps of sequences, and features that were fitted on the targets."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged


@dataclass(frozen=True, eq=False)
class StepFeatures:
    """Numeric features of each step, stored as indices into lookup tables and gathered batch by batch.

    Parameters
    ----------
    entries : ndarray of shape (n_steps, n_tables), int32
        The index of each step into each table.
    tables : tuple of ndarray of shape (n_versions, n_entries, n_features), float32
        The features of each entry, in one or several versions (one for each fold).
    version : ndarray of shape (n_sequences,)
        The version of the tables that applies to each sequence.
    """

    entries: NDArray[np.int32]
    tables: tuple[NDArray[np.float32], ...]
    version: NDArray[np.int64]

    @property
    def width(self) -> int:
        """The number of features of a step."""
        return sum(table.shape[2] for table in self.tables)


class Spelling(NamedTuple):
    """The spelling of tokens, including tokens that the network does not know.

    Parameters
    ----------
    ids : ndarray of shape (n_steps,), int32
        The id of each token. The ids of `new_tokens` follow those of the vocabulary.
    new_tokens : list of str
        The tokens that are not in the vocabulary.
    vocab_size : int
        The number of ids of the vocabulary.
    """

    ids: NDArray[np.int32]
    new_tokens: list[str]
    vocab_size: int

    def part(self, steps: slice) -> "Spelling":
        """The spelling of these steps, with only those of the new tokens that occur in them."""
        ids = self.ids[steps]
        is_new = ids >= self.vocab_size
        present, index = np.unique(ids[is_new], return_inverse=True)
        if len(present) == len(self.new_tokens):
            return self._replace(ids=ids)
        ids = ids.copy()
        ids[is_new] = self.vocab_size + index
        return Spelling(ids, [self.new_tokens[i] for i in (present - self.vocab_size).tolist()], self.vocab_size)


@dataclass(frozen=True, eq=False)
class EncodedSequences:
    """Token ids or numeric steps, with features that were fitted to the targets.

    Parameters
    ----------
    steps : Ragged
        Token ids of shape (n_steps,), or values of shape (n_steps, n_channels).
    features : StepFeatures or None
        Numeric features of each step, next to its token id.
    scores : ndarray of shape (n_sequences, n_outputs), float32, or None
        An estimate of each output for each sequence.
    spelling : Spelling or None
        The spelling of the token ids, for features of characters.
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
        """The number of channels and features of a step; a token id does not count."""
        return self.steps.n_channels + (0 if self.features is None else self.features.width)

    @cached_property
    def step_features(self) -> NDArray[np.float32]:
        """The features of all steps, shape (n_steps, width), in the order of the tables."""
        if self.features is None:
            return np.empty((self.steps.n_steps, 0), dtype=np.float32)
        version = np.repeat(self.features.version, self.lengths)
        columns = zip(self.features.tables, self.features.entries.T, strict=True)
        return np.concatenate([table[version, entries] for table, entries in columns], axis=1)

    def part(self, start: int, stop: int) -> "EncodedSequences":
        """The sequences from `start` to ``stop - 1``, as views of these."""
        steps, features, spelling = slice(*self.steps.offsets[[start, stop]].tolist()), self.features, self.spelling
        if features is not None:
            features = replace(features, entries=features.entries[steps], version=features.version[start:stop])
        scores = None if self.scores is None else self.scores[start:stop]
        spelling = None if spelling is None else spelling.part(steps)
        return EncodedSequences(self.steps.part(start, stop), features, scores, spelling)

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


# A function that adds the features that were fitted on the targets.
AddFeatures = Callable[[EncodedSequences], EncodedSequences]
