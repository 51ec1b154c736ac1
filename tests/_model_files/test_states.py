"""write_states and read_states restore states; inconsistent files raise an error."""

import numpy as np
import pytest

from seqclf._model_file_error import ModelFileError
from seqclf._model_files import container
from seqclf._model_files.states import read_states, write_states

STATES = {
    "model": {"kind": "gru", "units": (4, 2), "weights": np.arange(3, dtype=np.float32)},
    "tokenizer": {"words": ["a", "~b"], "counts": np.arange(2), "sizes": {1: "x"}},
}


@pytest.mark.parametrize("name", ["a", "a.zip"])
def test_read_states_returns_what_write_states_saved(tmp_path, name):
    write_states(tmp_path / name, STATES)
    states = read_states(tmp_path / name)
    np.testing.assert_equal(states, STATES)
    assert states["model"]["units"] == (4, 2) and states["model"]["weights"].dtype == np.float32


def test_write_states_of_an_unsupported_value_writes_nothing(tmp_path):
    with pytest.raises(TypeError, match=r"tokenizer\.f: "):
        write_states(tmp_path / "a", {**STATES, "tokenizer": {"f": print}})
    assert not list(tmp_path.iterdir())


def test_read_states_rejects_unused_arrays(tmp_path):
    container.write(tmp_path / "a", {"model": {}}, {"spare": np.zeros(3)})
    with pytest.raises(ModelFileError, match="no document uses: 'spare'"):
        read_states(tmp_path / "a")


def test_read_states_rejects_an_array_that_is_used_twice(tmp_path):
    shared = {"~array": "w"}
    container.write(tmp_path / "a", {"model": shared, "tokenizer": shared}, {"w": np.zeros(3)})
    with pytest.raises(ModelFileError, match="used twice") as caught:
        read_states(tmp_path / "a")
    assert str(tmp_path / "a") in str(caught.value)
