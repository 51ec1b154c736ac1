"""`NGramTables`: features of n-grams, which each step looks up for the n-grams that end there."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from seqclf._data.encoded import StepFeatures
from seqclf._label_features.ngrams import NGramOccurrences, NGrams, table_entries
from seqclf._saved import Saved, State


class NGramTables:
    """Look-up tables of the features of n-grams of token ids; the subclasses fit them.

    Parameters
    ----------
    ngrams : NGrams
        The n-gram ids, fitted to the training rows.
    n_orders : int
        The longest n-grams: 1 for single tokens, 2 for tokens and pairs, and so on.

    Attributes
    ----------
    tables_ : tuple of ndarray of shape (1, n_ngrams, n_outputs), float32
        The tables fitted to all rows, for n = 1 and more.
    fold_tables_ : tuple of ndarray of shape (1 + n_folds, n_ngrams, n_outputs), float32, or None
        The same, followed by the tables fitted without each fold; None unless ``keep_folds=True``.
    """

    tables_: tuple[NDArray[np.float32], ...]
    fold_tables_: tuple[NDArray[np.float32], ...] | None = None

    def __init__(self, ngrams: NGrams, n_orders: int):
        self.ngrams, self.n_orders = ngrams, n_orders

    def _store(
        self,
        tables: Sequence[NDArray[np.float32]],
        orders: Sequence[tuple[NDArray[np.int32], NGramOccurrences]],
        fold: NDArray[np.int64],
        keep_folds: bool,
    ) -> StepFeatures:
        """Store the tables, and return the out-of-fold features of the training rows."""
        self.tables_ = tuple(table[:1].copy() for table in tables)
        self.fold_tables_ = tuple(tables) if keep_folds else None
        return StepFeatures(table_entries([ids for ids, _ in orders], tables), tuple(tables), fold + 1)

    def transform(
        self, ngram_ids: Sequence[NDArray[np.int32]], n_rows: int, fold: NDArray[np.int64] | None = None
    ) -> StepFeatures:
        """The features of rows, looked up by the ids of the n-grams at each step.

        With `fold`, (n_rows,), each row gets the features fitted without its fold; -1 means no fold.
        """
        tables, version = self.tables_, np.zeros(n_rows, dtype=np.int64)
        if fold is not None and self.fold_tables_ is not None:
            tables, version = self.fold_tables_, fold + 1
        return StepFeatures(table_entries(ngram_ids[: self.n_orders], tables), tables, version)

    def to_state(self) -> State:
        """The state to save: the tables fitted to all rows, but not the n-grams, which are saved separately."""
        return {"tables": [{"values": table[0]} for table in self.tables_]}

    @classmethod
    def from_state(cls, saved: Saved, ngrams: NGrams) -> Self:
        """Restore the tables for these n-grams."""
        tables = saved.parts("tables", lambda state: state.array("values", np.float32, (None, None))[None])
        saved.require(1 <= len(tables) <= ngrams.n_orders, "there is not one table for each length of n-grams")
        saved.require(len({table.shape[2] for table in tables}) == 1, "the tables have different widths")
        sizes = [1 + n_frequent for n_frequent in ngrams.n_frequent_[: len(tables)]]
        saved.require([table.shape[1] for table in tables] == sizes, "there is not one entry for each n-gram")
        restored = cls(ngrams, len(tables))
        restored.tables_ = tuple(tables)
        return restored
