"""Numbers of n-grams, judged by dicts and loops."""

import tracemalloc

import numpy as np
import pytest

from _factories import ragged_ids
from seqclf._label_features.ngrams import NGrams

VOCAB = 9


def random_rows(n=40, seed=0):
    rng = np.random.default_rng(seed)
    return [[], *(rng.integers(1, VOCAB, size=rng.integers(0, 12)).tolist() for _ in range(n)), []]


def ending(row, n):
    """The n-gram that ends at each step of a row, None where there is none."""
    return [tuple(row[end - n : end]) if end >= n else None for end in range(1, len(row) + 1)]


def twin(rows, n_orders, limit):
    """For each n the numbers of its n-grams, and the rows that hold each; n-grams in the order of their ids."""
    learned = []
    for n in range(1, n_orders + 1):
        holders = {}
        for position, row in enumerate(rows):
            for ngram in ending(row, n):
                if ngram is not None and (n == 1 or ngram[:-1] in learned[-1][0]):
                    holders.setdefault(ngram, set()).add(position)
        kept = [ngram for ngram in sorted(holders) if len(holders[ngram]) >= 2]
        kept = sorted(sorted(kept, key=lambda ngram: -len(holders[ngram]))[:limit])
        learned.append(({ngram: number for number, ngram in enumerate(kept, start=1)}, holders))
    return learned


@pytest.mark.parametrize("limit", [1, 5, 10_000])
@pytest.mark.parametrize("n_orders", [1, 2, 4])
def test_numbers_and_holders_are_those_of_the_twin(n_orders, limit):
    rows, new = random_rows(), random_rows(seed=1)
    ngrams = NGrams(n_orders, VOCAB)
    found = list(ngrams.learn(ragged_ids(rows), limit))
    expected = twin(rows, n_orders, limit)
    looked_up = ngrams.numbers(ragged_ids(new))
    assert len(found) == len(looked_up) == n_orders
    for n, ((numbers, holders), (number_of, held_by)) in enumerate(zip(found, expected, strict=True), start=1):
        assert numbers.tolist() == [number_of.get(ngram, 0) for row in rows for ngram in ending(row, n)]
        assert looked_up[n - 1].tolist() == [number_of.get(ngram, 0) for row in new for ngram in ending(row, n)]
        kept = holders.kept.toarray()
        assert kept.shape == (1 + len(number_of), len(rows)) and not kept[0].any()
        for ngram, number in number_of.items():
            assert set(np.flatnonzero(kept[number]).tolist()) == held_by[ngram]
        assert holders.n_all == (VOCAB if n == 1 else 1 + len(number_of))
        left = [
            sum(row in rows_of for ngram, rows_of in held_by.items() if ngram not in number_of) for row in range(42)
        ]
        assert holders.others.tolist() == (left if n == 1 else [0] * 42)


@pytest.mark.parametrize("rows", [[[], []], [[2], []], [[2], [2]]])
def test_rows_without_a_pair_or_without_a_token(rows):
    ngrams = NGrams(3, VOCAB)
    assert len(list(ngrams.learn(ragged_ids(rows), 10))) == 3
    assert [numbers.tolist() for numbers in ngrams.numbers(ragged_ids([[], [2, 3, 4]]))] == [
        [int(rows == [[2], [2]]), 0, 0],
        [0, 0, 0],
        [0, 0, 0],
    ]


def test_memory_grows_with_what_occurs():
    """Not with the ids that might occur, but for the numbers that they are looked up by and what counts them."""
    far = 2**22
    rows = [[far - 1 - token if token % 2 else token for token in row] for row in random_rows()]
    tracemalloc.start()
    (numbers, holders), *_ = NGrams(3, far).learn(ragged_ids(rows), 1_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert holders.kept.shape == (VOCAB, 42) and numbers.max() == VOCAB - 1
    assert peak < 64 * far
