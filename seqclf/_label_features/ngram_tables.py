"""`NGramTables`: what is known of n-grams, as numbers that a step looks up by the n-grams that end there."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import StepFeatures
from seqclf._label_features.ngrams import Holders, NGrams, entries_of
from seqclf._saved import Saved, State


class NGramTables:
    """Tables of numbers for n-grams of token ids; the subclasses say how they are learned.

    Parameters
    ----------
    ngrams : NGrams
        The numbers of the n-grams, learned on the training rows.
    n_orders : int
        The longest n-grams: 1 for single tokens, 2 for tokens and pairs, and so on.

    Attributes
    ----------
    tables_ : tuple of ndarray of shape (1, n_ngrams, n_outputs), float32
        Learned from all rows, for n = 1 and more.
    fold_tables_ : tuple of ndarray of shape (1 + n_folds, n_ngrams, n_outputs), float32, or None
        The same, followed by those learned without each fold, where these are kept.
    """

    tables_: tuple[NDArray[np.float32], ...]
    fold_tables_: tuple[NDArray[np.float32], ...] | None = None

    def __init__(self, ngrams: NGrams, n_orders: int):
        self.ngrams, self.n_orders = ngrams, n_orders

    def _keep(
        self,
        tables: Sequence[NDArray[np.float32]],
        learned: Sequence[tuple[NDArray[np.int32], Holders]],
        fold: NDArray[np.int64],
        keep_folds: bool,
    ) -> StepFeatures:
        """Keep the tables, and give the training rows what was learned without their own folds."""
        self.tables_ = tuple(table[:1].copy() for table in tables)
        self.fold_tables_ = tuple(tables) if keep_folds else None
        return StepFeatures(entries_of([numbers for numbers, _ in learned], tables), tuple(tables), fold + 1)

    def transform(
        self, numbers: Sequence[NDArray[np.int32]], n_rows: int, fold: NDArray[np.int64] | None = None
    ) -> StepFeatures:
        """Give rows their numbers, from the n-grams at each step; with `fold` those learned without it.

        A fold of -1 is none.
        """
        tables, version = self.tables_, np.zeros(n_rows, dtype=np.int64)
        if fold is not None and self.fold_tables_ is not None:
            tables, version = self.fold_tables_, fold + 1
        return StepFeatures(entries_of(numbers[: self.n_orders], tables), tables, version)

    def to_state(self) -> State:
        """What is saved: the tables learned from all rows, but not the n-grams, which others need too."""
        return {"tables": [{"values": table[0]} for table in self.tables_]}

    @classmethod
    def from_state(cls, saved: Saved, ngrams: NGrams) -> Self:
        """The same tables, of these n-grams."""
        tables = saved.parts("tables", lambda part: part.array("values", np.float32, (None, None))[None])
        saved.require(1 <= len(tables) <= ngrams.n_orders, "there is not one table for each length of n-grams")
        saved.require(len({table.shape[2] for table in tables}) == 1, "the tables have different widths")
        sizes = [1 + n_frequent for n_frequent in ngrams.n_frequent_[: len(tables)]]
        saved.require([table.shape[1] for table in tables] == sizes, "there is not one entry for each n-gram")
        of_ngrams = cls(ngrams, len(tables))
        of_ngrams.tables_ = tuple(tables)
        return of_ngrams
