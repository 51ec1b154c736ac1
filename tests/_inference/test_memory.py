"""The error for a prediction that does not fit into memory. `tests/_training/test_memory.py` measures real calls."""

import numpy as np
import pytest

from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._inference import memory
from seqclf._inference.available_memory import AvailableMemory
from seqclf._inference.config import NetworkConfig
from seqclf._inference.memory import LayerSizes, check_memory, check_prediction, prediction_bytes

CONFIG = NetworkConfig(
    n_outputs=1, cell="gru", units=(16, 5), bidirectional=True, pooling="max", activation="tanh", dropout=0.0,
    recurrent_dropout=0.0, n_channels=2,
)  # fmt: skip
SEQUENCES = EncodedSequences(Ragged(np.zeros((100, 2), np.float32), np.array([10, 60, 30])))


@pytest.fixture(autouse=True)
def _every_byte_counts(tune):
    tune(freed_bytes=0)


def test_prediction_bytes_are_those_of_the_widest_layer_and_its_inputs():
    # Two directions of 16 units, then two of 5 units, which the kernels pad to 8 and copy.
    assert prediction_bytes(LayerSizes(CONFIG, True)) == 4 * (2 + 32 + 16 + 10)
    assert prediction_bytes(LayerSizes(CONFIG, False, 8)) == 8 * (2 + 32 + 10)


@pytest.mark.parametrize(("compiled", "n_bytes"), [(True, 60 * 240 + 100 * 7), (False, 60 * 352 + 100 * 7)])
def test_check_prediction_compares_with_the_available_memory(compiled, n_bytes):
    """It counts the longest row and the result for all steps. Without the library, values are float64."""
    check_prediction(CONFIG, SEQUENCES, 7, compiled=compiled, find_available=lambda: AvailableMemory(n_bytes, "here"))
    too_little = AvailableMemory(n_bytes - 1, "here")
    with pytest.raises(MemoryError, match=r"row 1 of X, has 60 steps\. To predict it takes .* left here\. Cut the"):
        check_prediction(CONFIG, SEQUENCES, 7, compiled=compiled, find_available=lambda: too_little)


def test_check_prediction_queries_the_system_by_default(monkeypatch):
    monkeypatch.setattr(memory, "find_available_memory", lambda: AvailableMemory(5, "on this machine"))
    with pytest.raises(MemoryError, match="0 MB is left on this machine"):
        check_prediction(CONFIG, SEQUENCES, 0, compiled=True)


def test_check_prediction_without_sequences():
    nothing = SEQUENCES.take(np.array([], dtype=np.int64))
    check_prediction(CONFIG, nothing, 7, compiled=True, find_available=lambda: pytest.fail("queried"))


def test_check_memory_collects_garbage_before_it_raises():
    answers = iter([AvailableMemory(9, "here"), AvailableMemory(10, "here")])
    check_memory(10, lambda: next(answers), 0, 1, "do it", "less")
    answers = iter([AvailableMemory(9, "here"), None])
    check_memory(10, lambda: next(answers), 0, 1, "do it", "less")
    with pytest.raises(
        MemoryError, match=r"row 3 of X, has 7,000 steps. To do it takes at least 2.0 GB .* or use less"
    ):
        check_memory(2 * 10**9, lambda: AvailableMemory(9, "here"), 3, 7000, "do it", "less")
