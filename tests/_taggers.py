"""Sequences with a label for each step, taggers for them, and comparisons of their predictions."""

import pickle

import numpy as np
import pytest

from seqclf import RNNTagger
from seqclf._kernels.dispatch import is_native_enabled

QUICK = {"units": 4, "embedding_dim": 4, "conv_filters": 4, "max_epochs": 2, "batch_size": 8, "random_state": 0}
WORDS = {"NAME": ["Ann", "Bob", "Zoë"], "VERB": ["eats", "sleeps", "sees"], "NOUN": ["fish", "cats", "bread"]}
LENGTHS = (4, 1, 6, 3, 6, 2, 5)


def token_rows(n, seed=0, lengths=LENGTHS):
    """Each word has one label, except "saw": a noun after a verb, else a verb."""
    rng = np.random.default_rng(seed)
    X, y = [], []
    for row in range(n):
        labels = rng.choice(list(WORDS), size=lengths[row % len(lengths)]).tolist()
        X.append([str(rng.choice(WORDS[label])) for label in labels])
        y.append(labels)
        if len(labels) > 2:
            X[-1][2], y[-1][2] = "saw", "NOUN" if labels[1] == "VERB" else "VERB"
    return X, y


def id_rows(n, seed=0):
    """The label of an id is whether it is odd."""
    rng = np.random.default_rng(seed)
    X = [rng.integers(1, 9, size=LENGTHS[row % len(LENGTHS)]) for row in range(n)]
    return X, [(row % 2).tolist() for row in X]


def series_rows(n, seed=0):
    """The label of a step is whether its first channel is above the second."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(LENGTHS[row % len(LENGTHS)], 2)) for row in range(n)]
    return X, [row[:, 0] > row[:, 1] for row in X]


KINDS = {"tokens": token_rows, "ids": id_rows, "series": series_rows}
every_kind = pytest.mark.parametrize("kind", KINDS)


def make_tagger(**changes):
    return RNNTagger(**(QUICK | changes))


def with_noise(y, fraction=0.3):
    """Replace a fraction of the labels by random labels."""
    rng, labels = np.random.default_rng(7), np.unique(concatenated(y)).tolist()
    return [[rng.choice(labels).item() if rng.random() < fraction else label for label in row] for row in y]


def concatenated(rows):
    return np.concatenate([np.asarray(row) for row in rows])


def assert_equal_predictions(one, other):
    """Predictions are bit-identical."""
    assert one.dtype == other.dtype == object and len(one) == len(other)
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


def assert_invariant_predictions(one, other):
    """Bit-identical with the compiled kernels; others can round matrix products of different heights differently."""
    if is_native_enabled():
        assert_equal_predictions(one, other)
        return
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-13, strict=True)


def pickled_copy(tagger):
    """A copy with all fitted attributes."""
    return pickle.loads(pickle.dumps(tagger))
