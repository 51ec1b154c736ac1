"""`NGramTables`: look-up of n-gram features, tables without each fold, and saved states."""

import numpy as np
import pytest

from _factories import ragged_ids
from seqclf._data.encoded import EncodedSequences
from seqclf._label_features.ngram_tables import NGramTables
from seqclf._label_features.ngrams import NGrams
from seqclf._saved import Saved, SavedStateError

ROWS = [[2, 3, 4], [2, 3], [], [3, 4, 2, 3]]
FOLD = np.array([0, 1, 1, 2])


class PositionTables(NGramTables):
    """Tables whose values show where they come from: 1000 * version + 100 * order + id; id 0 has the value 0."""

    def fit_transform(self, orders, keep_folds=False):
        tables = []
        for n, (_, occurrences) in enumerate(orders[: self.n_orders]):
            n_ngrams = occurrences.selected.shape[0]
            values = 1000 * np.arange(4)[:, None] + 100 * n + np.arange(n_ngrams)
            values[:, 0] = 0
            tables.append(values[:, :, None].astype(np.float32))
        return self._store(tables, orders[: self.n_orders], FOLD, keep_folds)


def fit_tables(n_orders=2, keep_folds=False):
    ngrams, ids = NGrams(2, 5), ragged_ids(ROWS)
    tables = PositionTables(ngrams, n_orders)
    return tables, EncodedSequences(ids, tables.fit_transform(list(ngrams.fit_transform(ids, limit=100)), keep_folds))


def transform(tables, fold=None):
    ids = ragged_ids(ROWS)
    return EncodedSequences(ids, tables.transform(tables.ngrams.transform(ids), len(ids), fold)).step_features


def expected_features(version_of_row, n_orders=2):
    """The tokens 2, 3, 4 have the ids 1, 2, 3; the pairs (2, 3), (3, 4) have the ids 1, 2."""
    pairs = {(2, 3): 1, (3, 4): 2}
    steps = []
    for row, version in zip(ROWS, version_of_row, strict=True):
        for i, token in enumerate(row):
            pair = pairs.get(tuple(row[i - 1 : i + 1]) if i else None)
            steps.append([1000 * version + token - 1, 0 if pair is None else 1000 * version + 100 + pair])
    return np.array(steps)[:, :n_orders]


@pytest.mark.parametrize("n_orders", [1, 2])
def test_transform_looks_up_the_tables_of_all_rows(n_orders):
    tables, _ = fit_tables(n_orders)
    np.testing.assert_array_equal(transform(tables), expected_features([0] * 4, n_orders))


def test_training_rows_get_the_tables_without_their_fold():
    _, training = fit_tables()
    np.testing.assert_array_equal(training.step_features, expected_features(FOLD + 1))


def test_transform_with_fold_uses_the_retained_tables():
    tables, _ = fit_tables(keep_folds=True)
    fold = np.array([2, -1, 0, 1])
    np.testing.assert_array_equal(transform(tables, fold), expected_features(fold + 1))


def test_transform_ignores_fold_without_retained_tables():
    tables, _ = fit_tables()
    assert tables.fold_tables_ is None
    np.testing.assert_array_equal(transform(tables, FOLD), expected_features([0] * 4))


def test_from_state_restores_the_features():
    tables, _ = fit_tables(keep_folds=True)
    restored = PositionTables.from_state(Saved(tables.to_state()), tables.ngrams)
    np.testing.assert_array_equal(transform(restored), transform(tables), strict=True)
    assert restored.fold_tables_ is None, "a state does not hold the tables of folds"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tables: [], "not one table for each length"),
        (lambda tables: [*tables, tables[0]], "not one table for each length"),
        (lambda tables: [tables[0], np.repeat(tables[1], 2, axis=1)], "different widths"),
        (lambda tables: [tables[0], tables[1][:-1]], "not one entry for each n-gram"),
        (lambda tables: [tables[0][None], tables[1]], "values is an array"),
    ],
)
def test_from_state_rejects_tables_that_do_not_match_the_ngrams(change, message):
    tables, _ = fit_tables()
    values = change([table["values"] for table in tables.to_state()["tables"]])
    state = {"tables": [{"values": table} for table in values]}
    with pytest.raises(SavedStateError, match=message):
        PositionTables.from_state(Saved(state), tables.ngrams)
