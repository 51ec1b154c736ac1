"""Validation of inputs and decoding of outputs work if numpy is the only installed library."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from seqclf import TextTokenizer
from seqclf._tasks.classification import Classification
from seqclf._tasks.tagging import Tagging

ABSENT = ["torch", "skorch", "sklearn", "scipy", "joblib", "narwhals", "threadpoolctl", "pandas", "tokenizers"]

SCRIPT = """
import pickle, sys
for name in {absent!r}:
    sys.modules[name] = None
import numpy as np
import seqclf._tasks.saved, seqclf._tasks.transitions, seqclf._text.vocabulary
from seqclf._data.ragged import Ragged
from seqclf._saved import Saved
from seqclf._tasks.saved import task_from_state
from seqclf._text.vocabulary import Vocabulary
from seqclf._validation.alignment import warn_if_indexes_differ
from seqclf._validation.channels import SeriesForm
from seqclf._validation.missing_values import fill_missing
from seqclf._validation.memory import check_fits_memory
from seqclf._validation.parameters import load_parameters
from seqclf._validation.series import is_table, validate_series
from seqclf._validation.series_input import open_series
from seqclf._validation.steps import holds_series
from seqclf._validation.table import validate_table
from seqclf._validation.texts import validate_text_input

texts, classes, tags = pickle.load(sys.stdin.buffer)
vocabulary = Vocabulary.from_state(Saved(texts))
for X in (
    ["good film", "new"],
    ("good film", "new"),
    np.array(["good film", "new"]),
    np.array(["good film", "new"], object),
):
    kind, rows = validate_text_input(X, kind="texts")
    assert vocabulary.replace_unknown(vocabulary.to_ids(rows).ids).values.tolist() == [2, 3, 1], X
for X in ([[3, 2], [4]], [np.array([3, 2]), np.array([4])], np.array([[3, 2], [4, 0]])):
    assert validate_text_input(X, kind="ids")[1].items()[0].tolist() == [3, 2]
    assert not holds_series(X)
assert validate_text_input([["good", "x"], []], kind="tokens")[1] == [["good", "x"], []]

for X in ([[1.0, 2.0], [3.0]], [np.array([1.0, 2.0]), np.array([3.0])], np.array([[[1.0], [2.0]], [[3.0], [np.nan]]])):
    assert holds_series(X)
    series, form = validate_series(open_series(X, "X", False), seen=SeriesForm(1))
    assert series.items()[0].ravel().tolist() == [1.0, 2.0] and series.lengths.tolist() == [2, 1]
holes, _ = validate_series([[1.0, np.nan, 3.0]], allow_nan=True)
assert fill_missing(holes, "interpolate").values.ravel().tolist() == [1.0, 2.0, 3.0]
assert is_table([[1, 2], [3, 4]]) and validate_table([[1, 2], [3, 4]], 2).tolist() == [[1.0, 2.0], [3.0, 4.0]]
for invalid in (object(), [object()], 3, None):
    for validate in (validate_text_input, validate_series, lambda X: validate_table(X, 2)):
        try:
            validate(invalid)
        except (TypeError, ValueError):
            continue
        raise AssertionError((invalid, validate))

task = task_from_state(Saved(classes))
outputs = np.array([[2.0, 0.0, 1.0], [0.0, 1.0, 0.5]])
assert task.decode(outputs).tolist() == ["a", "b"]
assert np.allclose(task.probabilities(outputs).sum(axis=1), 1) and (task.log_probabilities(outputs) < 0).all()
task = task_from_state(Saved(tags))
illegal = Ragged(np.array([[1.0, 2.0, 0.0], [0.0, 5.0, 1.0]]), np.array([2]))  # separately: I-a, I-a
assert task.decode(illegal)[0].tolist() == ["B-a", "I-a"]
assert len(task.probabilities(Ragged(np.zeros((2, 3)), np.array([2])))[0]) == 2
print(*sorted(name for name in {absent!r} if sys.modules.get(name) is not None))
"""


def test_validation_and_decoding_need_only_numpy():
    texts = TextTokenizer().fit(["good good film"])._vocabulary().to_state()
    classes = Classification()
    classes.fit_weights(classes.fit(np.array(["a", "b", "c"]), None), np.ones(3))
    tags = Tagging(transitions="bio")
    y = tags.validate([["O", "B-a", "I-a"]], [0])
    tags.fit_weights(tags.fit(y, np.ones(1)), np.ones(1))
    states = pickle.dumps((texts, classes.to_state(), tags.to_state()))
    script = SCRIPT.format(absent=ABSENT)
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], input=states, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().split() == []


FRAMES = """
import sys
sys.modules["narwhals"] = None
import numpy as np, {library} as library
from seqclf._validation.series import validate_series
from seqclf._validation.table import validate_table
from seqclf._validation.texts import validate_text_input
from seqclf._validation.channels import SeriesForm

values = library.{frame}({{"b": [2.0, 4.0], "a": [1, 3]}})
texts = library.{frame}({{"text": ["x y", "z"]}})
assert validate_text_input(texts) == ("texts", ["x y", "z"])
assert validate_text_input(texts["text"]) == ("texts", ["x y", "z"])
assert validate_table(values, 2, ["b", "a"]).tolist() == [[2.0, 1.0], [4.0, 3.0]]
series, _ = validate_series([values], seen=SeriesForm(2, 2, ("a", "b")), channels_first=True)
assert series.values.tolist() == [[1.0, 2.0], [3.0, 4.0]]  # ordered by column name; each row of the frame is a step
"""


@pytest.mark.parametrize(("library", "frame"), [("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "table")])
def test_frames_are_validated_without_narwhals(library, frame):
    pytest.importorskip(library)
    script = FRAMES.format(library=library, frame=frame)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


LISTS_AND_ARRAYS = """
import sys
import numpy as np
from seqclf._validation.series import validate_series
from seqclf._validation.steps import holds_series
from seqclf._validation.table import validate_table
from seqclf._validation.texts import validate_text_input

validate_text_input(["a", "b"]), validate_text_input([[1, 2], [3]]), validate_text_input(np.array(["a"]))
validate_series([[1.0], [2.0, 3.0]]), validate_series(np.ones((2, 3, 1))), validate_series([np.ones(2)])
validate_table(np.ones((2, 3)), 3), holds_series(["a"]), holds_series([[1.0]])
print("narwhals" in sys.modules)
"""


def test_lists_and_arrays_do_not_import_narwhals():
    done = subprocess.run([sys.executable, "-c", LISTS_AND_ARRAYS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_error_without_narwhals_recommends_to_install_it(monkeypatch):
    from seqclf._validation.texts import validate_text_input

    with pytest.raises(TypeError) as caught:
        validate_text_input(object())
    assert "narwhals" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "narwhals", None)
    with pytest.raises(TypeError, match="pip install narwhals"):
        validate_text_input(object())
