"""The error where a prediction does not fit into memory. `tests/_training/test_memory.py` measures what calls take."""

import numpy as np
import pytest

from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._inference import memory
from seqclf._inference.available_memory import Left
from seqclf._inference.config import NetworkConfig
from seqclf._inference.memory import Layers, check_prediction, prediction_bytes, refuse

CONFIG = NetworkConfig(
    n_outputs=1, cell="gru", units=(16, 5), bidirectional=True, pooling="max", activation="tanh", dropout=0.0,
    recurrent_dropout=0.0, n_channels=2,
)  # fmt: skip
SEQUENCES = EncodedSequences(Ragged(np.zeros((100, 2), np.float32), np.array([10, 60, 30])))


@pytest.fixture(autouse=True)
def _every_byte_counts(tune):
    tune(freed_bytes=0)


def test_the_bytes_of_a_step_are_those_of_the_widest_layer_with_what_it_reads():
    # Two directions of 16 units, beneath two of 5, which the kernels round up to 8 and copy.
    assert prediction_bytes(Layers(CONFIG, True)) == 4 * (2 + 32 + 16 + 10)
    assert prediction_bytes(Layers(CONFIG, False, 8)) == 8 * (2 + 32 + 10)


@pytest.mark.parametrize(("exact", "n_bytes"), [(True, 60 * 240 + 100 * 7), (False, 60 * 352 + 100 * 7)])
def test_what_is_left_decides(exact, n_bytes):
    """The longest row and what is kept of all steps; in float64 where the library does not compute."""
    check_prediction(CONFIG, SEQUENCES, 7, exact=exact, find_left=lambda: Left(n_bytes, "here"))
    with pytest.raises(MemoryError, match=r"row 1 of X, has 60 steps\. To predict it takes .* left here\. Cut the"):
        check_prediction(CONFIG, SEQUENCES, 7, exact=exact, find_left=lambda: Left(n_bytes - 1, "here"))


def test_the_system_is_asked_by_default(monkeypatch):
    monkeypatch.setattr(memory, "left_memory", lambda: Left(5, "on this machine"))
    with pytest.raises(MemoryError, match="0 MB are left on this machine"):
        check_prediction(CONFIG, SEQUENCES, 0, exact=True)


def test_no_sequences_need_nothing():
    nothing = SEQUENCES.take(np.array([], dtype=np.int64))
    check_prediction(CONFIG, nothing, 7, exact=True, find_left=lambda: pytest.fail("asked"))


def test_memory_that_is_only_waiting_to_be_collected_counts():
    answers = iter([Left(9, "here"), Left(10, "here")])
    refuse(10, lambda: next(answers), 0, 1, "do it", "less")
    answers = iter([Left(9, "here"), None])
    refuse(10, lambda: next(answers), 0, 1, "do it", "less")
    with pytest.raises(
        MemoryError, match=r"row 3 of X, has 7,000 steps. To do it takes at least 2.0 GB .* or use less"
    ):
        refuse(2 * 10**9, lambda: Left(9, "here"), 3, 7000, "do it", "less")
