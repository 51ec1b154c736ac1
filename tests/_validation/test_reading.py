import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from seqclf._validation.reading import names_its_input, reading


class PanicException(BaseException):
    """What polars raises where its Rust code fails."""


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error",
    [RuntimeError("boom"), IndexError(3), OverflowError("much"), RecursionError(), Mute(), PanicException("unwrap")],
)
def test_an_error_of_another_type_becomes_a_value_error_that_names_the_argument(error):
    words = f"X_val can't be read, because it raises {type(error).__name__}"
    with pytest.raises(ValueError, match=words) as caught, reading("X_val"):
        raise error
    assert caught.value.__cause__ is error


def test_a_message_without_the_name_gets_it():
    with pytest.raises(ValueError, match=r"^y: Wrong\.$"), reading("y"):
        raise ValueError("Wrong.")
    with pytest.raises(TypeError, match=r"^X: X_val is odd$"), reading("X"):  # X_val is not X
        raise TypeError("X_val is odd")
    with pytest.raises(ValueError, match=r"^X: ") as caught, reading("X"):
        "\ud800".encode()
    assert type(caught.value) is ValueError  # the constructor of a UnicodeEncodeError takes five arguments


@pytest.mark.parametrize(
    "error",
    [ValueError("Row 3 of y is odd."), TypeError("y is odd"), NotFittedError("fit it"), MemoryError(), UserWarning()],
)
def test_other_errors_pass_as_they_are(error):
    with pytest.raises(type(error)) as caught, reading("y"):
        raise error
    assert caught.value is error


def test_ctrl_c_passes():
    with pytest.raises(KeyboardInterrupt), reading("y"):
        raise KeyboardInterrupt


def test_a_function_is_guarded_by_the_name_that_it_is_given():
    @names_its_input
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
