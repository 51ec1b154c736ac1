"""Errors that input causes become a ValueError or TypeError that names the argument."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from seqclf._validation.argument_errors import argument_errors, names_argument


class PanicException(BaseException):
    """The error that polars raises if its Rust code fails."""


class NoMessage(Exception):
    def __str__(self):
        raise RuntimeError("no message")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("boom"),
        IndexError(3),
        OverflowError("much"),
        RecursionError(),
        NoMessage(),
        PanicException("unwrap"),
    ],
)
def test_other_errors_become_a_value_error_that_names_the_argument(error):
    words = f"X_val can't be read, because it raises {type(error).__name__}"
    with pytest.raises(ValueError, match=words) as caught, argument_errors("X_val"):
        raise error
    assert caught.value.__cause__ is error


def test_message_without_the_name_gets_it():
    with pytest.raises(ValueError, match=r"^y: Wrong\.$"), argument_errors("y"):
        raise ValueError("Wrong.")
    with pytest.raises(TypeError, match=r"^X: X_val is odd$"), argument_errors("X"):  # X_val is not X
        raise TypeError("X_val is odd")
    with pytest.raises(ValueError, match=r"^X: ") as caught, argument_errors("X"):
        "\ud800".encode()
    assert type(caught.value) is ValueError  # the constructor of a UnicodeEncodeError takes five arguments


@pytest.mark.parametrize(
    "error",
    [ValueError("Row 3 of y is odd."), TypeError("y is odd"), NotFittedError("fit it"), MemoryError(), UserWarning()],
)
def test_named_and_unrelated_errors_are_unchanged(error):
    with pytest.raises(type(error)) as caught, argument_errors("y"):
        raise error
    assert caught.value is error


def test_keyboard_interrupt_is_unchanged():
    with pytest.raises(KeyboardInterrupt), argument_errors("y"):
        raise KeyboardInterrupt


def test_names_argument_uses_the_argument_name():
    @names_argument
    def to_float(value, scale=2.0, *, name="X"):
        return float(value) * scale

    assert to_float(1.5) == 3.0
    for arguments, name in ((("a",), "X"), (("a", 1.0), "X")):
        with pytest.raises(ValueError, match=f"^{name}: could not convert"):
            to_float(*arguments)
    with pytest.raises(ValueError, match=r"^groups: could not convert"):
        to_float("a", name="groups")
    with pytest.raises(ValueError, match="X can't be read, because it raises OverflowError"):
        to_float(10**400)
    assert to_float.__name__ == "to_float"
    assert np.isnan(to_float("nan"))
