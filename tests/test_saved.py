"""What a saved state gives: each value after a check, or an error that names it."""

import numpy as np
import pytest

from seqclf._saved import Saved, SavedStateError

VALUES = {
    "yes": True,
    "n": 3,
    "x": 0.5,
    "text": "ab",
    "texts": ["a", "b"],
    "units": [16, 8],
    "array": np.arange(6, dtype=np.float32).reshape(2, 3),
    "part": {"n": 7},
    "none": None,
}


def test_what_is_as_expected_is_given():
    saved = Saved(VALUES)
    assert saved.boolean("yes") is True
    assert saved.integer("n", low=3, high=3) == 3 and saved.number("n") == 3.0 and saved.number("x") == 0.5
    assert saved.text("text") == saved.option("text", ["ab", "c"]) == "ab" and saved.texts("texts") == ["a", "b"]
    assert saved.integers("units", low=1) == (16, 8)
    assert saved.array("array", np.float32, (2, None)).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert saved.part("part", lambda part: part.integer("n")) == 7
    assert saved.optional("none", saved.text) is None and saved.optional("n", saved.integer, low=1) == 3


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (lambda saved: saved.boolean("n"), "n"),
        (lambda saved: saved.integer("yes"), "yes"),
        (lambda saved: saved.integer("x"), "x"),
        (lambda saved: saved.integer("n", low=4), "n"),
        (lambda saved: saved.number("text"), "text"),
        (lambda saved: saved.number("x", high=0), "x"),
        (lambda saved: saved.text("n"), "n"),
        (lambda saved: saved.option("text", ["c"]), "text"),
        (lambda saved: saved.texts("units"), "units"),
        (lambda saved: saved.integers("units", high=8), "units"),
        (lambda saved: saved.array("array", np.float64, (2, 3)), "array"),
        (lambda saved: saved.array("array", np.float32, (3, 3)), "array"),
        (lambda saved: saved.array("array", np.float32, (6,)), "array"),
        (lambda saved: saved.array("array", np.float32, (2, 3), high=4), "array"),
        (lambda saved: saved.array("units", np.int64, (2,)), "units"),
        (lambda saved: saved.part("n", lambda part: part), "n"),
        (lambda saved: saved.value("other"), "other"),
    ],
)
def test_what_is_not_is_an_error_that_names_it(read, name):
    with pytest.raises(SavedStateError) as caught:
        read(Saved(VALUES, "model"))
    assert str(caught.value).startswith(f"model.{name} ")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_are_finite(number):
    saved = Saved({"array": np.array([0.0, number]), "x": number})
    for read in (lambda: saved.number("x"), lambda: saved.array("array", np.float64, (2,))):
        with pytest.raises(SavedStateError):
            read()


def test_a_single_number_stays_an_array_without_dimensions():
    saved = Saved({"n": np.array(3.0, dtype=np.float32)})
    assert saved.array("n", np.float32, ()).shape == ()
