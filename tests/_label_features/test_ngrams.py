"""Ids of n-grams, against a reference implementation with dicts and loops."""

import tracemalloc

import numpy as np
import pytest

from _factories import ragged_ids
from seqclf._label_features.ngrams import NGrams

VOCAB = 9


def random_rows(n=40, seed=0):
    rng = np.random.default_rng(seed)
    return [[], *(rng.integers(1, VOCAB, size=rng.integers(0, 12)).tolist() for _ in range(n)), []]


def ngrams_at_steps(row, n):
    """The n-gram that ends at each step of a row, or None."""
    return [tuple(row[end - n : end]) if end >= n else None for end in range(1, len(row) + 1)]


def reference(rows, n_orders, limit):
    """For each n the ids of the n-grams, and the rows in which each n-gram occurs."""
    orders = []
    for n in range(1, n_orders + 1):
        rows_of = {}
        for position, row in enumerate(rows):
            for ngram in ngrams_at_steps(row, n):
                if ngram is not None and (n == 1 or ngram[:-1] in orders[-1][0]):
                    rows_of.setdefault(ngram, set()).add(position)
        frequent = [ngram for ngram in sorted(rows_of) if len(rows_of[ngram]) >= 2]
        frequent = sorted(sorted(frequent, key=lambda ngram: -len(rows_of[ngram]))[:limit])
        orders.append(({ngram: id_ for id_, ngram in enumerate(frequent, start=1)}, rows_of))
    return orders


@pytest.mark.parametrize("limit", [1, 5, 10_000])
@pytest.mark.parametrize("n_orders", [1, 2, 4])
def test_ids_and_occurrences_equal_the_reference(n_orders, limit):
    rows, new = random_rows(), random_rows(seed=1)
    ngrams = NGrams(n_orders, VOCAB)
    found = list(ngrams.fit_transform(ragged_ids(rows), limit))
    expected = reference(rows, n_orders, limit)
    looked_up = ngrams.transform(ragged_ids(new))
    assert len(found) == len(looked_up) == n_orders
    for n, ((ngram_ids, occurrences), (id_of, rows_of)) in enumerate(zip(found, expected, strict=True), start=1):
        assert ngram_ids.tolist() == [id_of.get(ngram, 0) for row in rows for ngram in ngrams_at_steps(row, n)]
        assert looked_up[n - 1].tolist() == [id_of.get(ngram, 0) for row in new for ngram in ngrams_at_steps(row, n)]
        selected = occurrences.selected.toarray()
        assert selected.shape == (1 + len(id_of), len(rows)) and not selected[0].any()
        for ngram, id_ in id_of.items():
            assert set(np.flatnonzero(selected[id_]).tolist()) == rows_of[ngram]
        assert occurrences.n_total == (VOCAB if n == 1 else 1 + len(id_of))
        unselected = [positions for ngram, positions in rows_of.items() if ngram not in id_of]
        n_unselected = [sum(row in positions for positions in unselected) for row in range(42)]
        assert occurrences.n_unselected.tolist() == (n_unselected if n == 1 else [0] * 42)


@pytest.mark.parametrize("rows", [[[], []], [[2], []], [[2], [2]]])
def test_rows_without_tokens_or_pairs(rows):
    ngrams = NGrams(3, VOCAB)
    assert len(list(ngrams.fit_transform(ragged_ids(rows), 10))) == 3
    assert [ngram_ids.tolist() for ngram_ids in ngrams.transform(ragged_ids([[], [2, 3, 4]]))] == [
        [int(rows == [[2], [2]]), 0, 0],
        [0, 0, 0],
        [0, 0, 0],
    ]


def test_memory_does_not_depend_on_possible_ngrams():
    """Only the arrays indexed by single token ids grow with the vocabulary."""
    vocab_size = 2**22
    rows = [[vocab_size - 1 - token if token % 2 else token for token in row] for row in random_rows()]
    tracemalloc.start()
    (ngram_ids, occurrences), *_ = NGrams(3, vocab_size).fit_transform(ragged_ids(rows), 1_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert occurrences.selected.shape == (VOCAB, 42) and ngram_ids.max() == VOCAB - 1
    assert peak < 64 * vocab_size
