"""From encoded rows to numbers: threads are left as found, and errors say what is wrong."""

import numpy as np
import pytest

from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._native.threads import chosen_threads, kernel_threads
from seqclf._prediction import predicted, refuse_lost_tokens, refuse_not_finite

SEQUENCES = EncodedSequences(Ragged.from_items([[1.0], [2.0, 3.0]]))


class Halved:
    def transform(self, sequences):
        return EncodedSequences(Ragged(sequences.steps.values / 2, sequences.lengths))


@pytest.mark.parametrize("features", [None, Halved()])
def test_features_are_added_before_the_network(features):
    values = predicted(lambda: SEQUENCES, features, lambda found: found.steps.values[:, None], None)
    assert values.ravel().tolist() == ([1.0, 2.0, 3.0] if features is None else [0.5, 1.0, 1.5])


@pytest.mark.parametrize("n_threads", [None, 3])
def test_threads_are_those_that_were_asked_for_and_then_as_before(n_threads):
    seen = []

    def compute(_):
        seen.append(chosen_threads())
        return np.zeros((2, 1))

    with kernel_threads(5):
        predicted(lambda: SEQUENCES, None, compute, n_threads)
        assert chosen_threads() == 5
    assert seen == [n_threads or 5]


@pytest.mark.parametrize(("error", "message"), [(MemoryError(), "too little memory"), (MemoryError("1 GB"), "1 GB")])
def test_memory_that_runs_out_has_a_word(error, message):
    def fail(_):
        raise error

    with pytest.raises(MemoryError, match=message):
        predicted(lambda: SEQUENCES, None, fail, 2)
    assert chosen_threads() is None


def test_the_first_row_that_is_not_finite_is_named():
    numbers = np.array([[0.0], [np.inf], [np.nan]])
    with pytest.raises(ValueError, match="row 1 of X is not finite"):
        refuse_not_finite(numbers)
    with pytest.raises(ValueError, match="row 2 of X is not finite"):
        refuse_not_finite(Ragged(numbers, np.array([1, 0, 2])))
    refuse_not_finite(numbers[:1])


def test_tokens_without_an_id_are_named():
    refuse_lost_tokens([["a"], ["b", "c"]], SEQUENCES, "X", "Mine")
    refuse_lost_tokens(SEQUENCES.steps, SEQUENCES, "X", "Mine")
    with pytest.raises(ValueError, match="Mine, has made 2 ids of the 3 tokens in row 1 of X_val"):
        refuse_lost_tokens([["a"], ["b", "c", "d"]], SEQUENCES, "X_val", "Mine")
