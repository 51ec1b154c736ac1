"""Saved returns each value after a check, or raises an error that names it."""

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
    "parts": [{"n": 7}, {"n": 8}],
    "none": None,
}


def test_methods_return_valid_values():
    saved = Saved(VALUES)
    assert saved.boolean("yes") is True
    assert saved.integer("n", low=3, high=3) == 3 and saved.number("n") == 3.0 and saved.number("x") == 0.5
    assert saved.text("text") == saved.option("text", ["ab", "c"]) == "ab" and saved.texts("texts") == ["a", "b"]
    assert saved.integers("units", low=1) == (16, 8)
    assert saved.array("array", np.float32, (2, None)).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert saved.part("part", lambda state: state.integer("n")) == 7
    assert saved.parts("parts", lambda state: state.integer("n")) == [7, 8]
    saved.check_names([*VALUES, "unused"])
    assert saved.optional("none", saved.text) is None and saved.optional("n", saved.integer, low=1) == 3


@pytest.mark.parametrize(
    ("load", "name"),
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
        (lambda saved: saved.part("n", lambda state: state), "n"),
        (lambda saved: saved.parts("part", lambda state: state), "part"),
        (lambda saved: saved.value("missing"), "missing"),
        (lambda saved: saved.check_names(VALUES.keys() - {"x"}), "x"),
    ],
)
def test_methods_name_an_invalid_value(load, name):
    with pytest.raises(SavedStateError) as caught:
        load(Saved(VALUES, "model"))
    assert str(caught.value).startswith(f"model.{name} ")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_number_and_array_reject_nan_and_infinity(number):
    saved = Saved({"array": np.array([0.0, number]), "x": number})
    for load in (lambda: saved.number("x"), lambda: saved.array("array", np.float64, (2,))):
        with pytest.raises(SavedStateError):
            load()


def test_array_preserves_the_shape_of_a_scalar():
    saved = Saved({"n": np.array(3.0, dtype=np.float32)})
    assert saved.array("n", np.float32, ()).shape == ()
