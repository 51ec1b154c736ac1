"""Classes in a saved state: all classes that `fit` can produce, and nothing else."""

import enum

import numpy as np
import pytest

from seqclf._saved import Saved, SavedStateError
from seqclf._tasks.saved_classes import classes_from_state, classes_to_state
from seqclf._validation.targets import validate_labels


class Colour(str, enum.Enum):  # noqa: UP042
    RED = "red"
    BLUE = "blue"


def fitted_classes(labels):
    return np.unique(validate_labels(labels, len(labels)))


@pytest.mark.parametrize(
    "labels",
    [
        [True, False],
        [3, -1, 2],
        [2**62, 5],
        np.array([2**64 - 1, 0], dtype=np.uint64),
        np.array([1, 2], dtype=np.int8),
        np.array([1, 2], dtype=">i4"),
        [1.0, 2.0, -3.0],
        np.array([1, 2], dtype=np.float32),
        ["b", "a", "ä", ""],
        np.array(["long text", "b"], dtype=object),
        np.array([np.str_("b"), "a"], dtype=object),
        np.array(["b", "a"], dtype=np.dtypes.StringDType()),
    ],
)
def test_classes_of_fit_survive_a_round_trip(labels):
    classes = fitted_classes(labels)
    again = classes_from_state(Saved({"classes": classes_to_state(classes)}), "classes")
    assert again.dtype == classes.dtype and again.tolist() == classes.tolist()


def test_classes_to_state_converts_subclasses_of_str():
    classes = fitted_classes(np.array([Colour.RED, Colour.BLUE], dtype=object))
    saved = classes_to_state(classes)
    assert [type(label) for label in saved] == [str, str] and saved.tolist() == classes.tolist()


@pytest.mark.parametrize(
    "value",
    [
        None,
        ["a", "b"],
        np.array(["a"]),
        np.array([["a", "b"]]),
        np.array(["a", "a"]),
        np.array(["b", "a"]),
        np.array([1.0, np.nan]),
        np.array([0.0, np.inf]),
        np.array([1, 2], dtype=complex),
        np.array([1, 2], dtype=np.longdouble),
        np.array([b"a", b"b"]),
        np.array([1, 2], dtype="M8[s]"),
        np.array([(1,), (2,)], dtype=[("a", int)]),
        np.array([1, 2], dtype=object),
        np.array(["a", None], dtype=object),
        np.array(["a", Colour.RED], dtype=object),
        np.ma.array([1, 2]),
        np.array([2**31 - 2, 2**31 - 1], dtype=np.uint32).view("<U1"),
        np.array(["a", "b"], dtype=np.dtypes.StringDType()),
    ],
)
def test_classes_from_state_raises_for_other_values(value):
    with pytest.raises(SavedStateError, match="classes is"):
        classes_from_state(Saved({"classes": value}), "classes")


def test_classes_to_state_raises_for_longdouble():
    with pytest.raises(SavedStateError):
        classes_to_state(np.array([1, 2], dtype=np.longdouble))
