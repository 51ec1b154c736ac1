"""What fitted parts are saved as: plain values and arrays, each of which is checked when it is read again.

A part has a method ``to_state()``, which gives a dict of None, booleans, numbers, texts, lists, tuples, dicts and numpy
arrays, and a class method ``from_state(saved)``, which makes the same part of it. A state may come from a damaged file
or from one that was made to do harm, so `from_state` gets it as a `Saved`, and takes no value from it unchecked.
"""

from collections.abc import Callable, Iterable, Sequence
from math import inf, isfinite
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

State = dict[str, Any]
Part = TypeVar("Part")


class SavedStateError(ValueError):
    """A saved state can't be used; the message names the value and says what was expected."""


class Saved:
    """The values of a saved state by their names; each method checks the value that it gives.

    Parameters
    ----------
    state : dict
        What a `to_state` gave, or what a file claims to be that.
    where : str, default=""
        The path to the state in a larger one, for messages.

    Examples
    --------
    >>> saved = Saved({"n": 3, "weights": np.zeros(3, dtype=np.float32)})
    >>> saved.array("weights", np.float32, (saved.integer("n", low=1),))
    array([0., 0., 0.], dtype=float32)
    >>> saved.text("n")
    Traceback (most recent call last):
        ...
    seqclf._saved.SavedStateError: n is 3; expected a text
    """

    def __init__(self, state: Any, where: str = "") -> None:
        self._where = where
        if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
            raise SavedStateError(f"{where or 'the state'} is {_short(state)}; expected named values")
        self._state = state

    def __contains__(self, name: str) -> bool:
        return name in self._state

    def refuse_others(self, names: Iterable[str]) -> None:
        """Raise an error for a value that has none of these names."""
        if others := self._state.keys() - set(names):
            raise SavedStateError(f"{self._path(min(others))} is not known")

    def value(self, name: str) -> Any:
        """The value as it is, which the caller checks."""
        if name not in self._state:
            raise SavedStateError(f"{self._path(name)} is missing")
        return self._state[name]

    def refuse(self, name: str, expected: str) -> NoReturn:
        """Raise the error for a value that is not as expected."""
        raise SavedStateError(f"{self._path(name)} is {_short(self.value(name))}; expected {expected}")

    def boolean(self, name: str) -> bool:
        """True or False."""
        value = self.value(name)
        if not isinstance(value, bool):
            self.refuse(name, "True or False")
        return value

    def integer(self, name: str, low: int = 0, high: int = 2**62) -> int:
        """A whole number from `low` to `high`."""
        value = self.value(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.refuse(name, f"a whole number from {low} to {high}")
        return value

    def number(self, name: str, low: float = -inf, high: float = inf) -> float:
        """A finite number from `low` to `high`."""
        value = self.value(name)
        if not isinstance(value, float | int) or isinstance(value, bool) or not isfinite(value):
            self.refuse(name, "a finite number")
        if not low <= value <= high:
            self.refuse(name, f"a number from {low} to {high}")
        return float(value)

    def text(self, name: str) -> str:
        """A text."""
        value = self.value(name)
        if not isinstance(value, str):
            self.refuse(name, "a text")
        return value

    def option(self, name: str, options: Sequence[str]) -> Any:
        """One of some texts."""
        value = self.value(name)
        if not isinstance(value, str) or value not in options:
            self.refuse(name, f"one of {', '.join(map(repr, options))}")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        value = self.value(name)
        if not isinstance(value, list) or not all(type(text) is str for text in value):
            self.refuse(name, "a list of texts")
        return value

    def integers(self, name: str, low: int = 0, high: int = 2**62) -> tuple[int, ...]:
        """A list or tuple of whole numbers, each from `low` to `high`."""
        value = self.value(name)
        if not isinstance(value, list | tuple) or not all(type(one) is int and low <= one <= high for one in value):
            self.refuse(name, f"whole numbers from {low} to {high}")
        return tuple(value)

    def array(
        self,
        name: str,
        dtype: DTypeLike,
        shape: Sequence[int | None],
        low: float = -inf,
        high: float = inf,
    ) -> NDArray[Any]:
        """A contiguous array of this dtype and shape, all of its values finite and from `low` to `high`.

        A length of None may be anything.
        """
        value, wanted = self.value(name), np.dtype(dtype)
        lengths = ", ".join("any" if length is None else str(length) for length in shape)
        expected = f"an array of {wanted} of shape ({lengths})"
        if type(value) not in (np.ndarray, np.memmap) or value.dtype != wanted or value.ndim != len(shape):
            self.refuse(name, expected)
        if any(length is not None and length != found for length, found in zip(shape, value.shape, strict=True)):
            self.refuse(name, expected)
        if value.size and wanted.kind in "iuf":
            least, most = value.min(), value.max()  # of NaN and any numbers, NaN
            if not (isfinite(least) and isfinite(most)):
                raise SavedStateError(f"{self._path(name)} holds NaN or infinity; expected finite numbers")
            if not low <= least <= most <= high:
                raise SavedStateError(
                    f"{self._path(name)} holds numbers from {least} to {most}; expected {low} to {high}"
                )
        return np.asarray(value, order="C")  # `ascontiguousarray` makes one number an array of length 1

    def part(self, name: str, read: Callable[["Saved"], Part]) -> Part:
        """A part that has a state of its own; `read` makes it of that."""
        return read(Saved(self.value(name), self._path(name)))

    def parts(self, name: str, read: Callable[["Saved"], Part]) -> list[Part]:
        """A list of parts, each of which has a state of its own."""
        value = self.value(name)
        if not isinstance(value, list):
            self.refuse(name, "a list of parts")
        return [read(Saved(state, f"{self._path(name)}[{place}]")) for place, state in enumerate(value)]

    def optional(self, name: str, read: Callable[..., Part], *args: Any, **kwargs: Any) -> Part | None:
        """None, or what `read`, a method of this object, gives: ``saved.optional("n", saved.integer, low=1)``."""
        return None if self.value(name) is None else read(name, *args, **kwargs)

    def require(self, holds: bool, fault: str) -> None:
        """Raise an error if values do not go together; `fault` says what is wrong."""
        if not holds:
            raise SavedStateError(f"{self._where}: {fault}" if self._where else fault)

    def _path(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    if isinstance(value, dict | list | tuple) and len(value) > 8:
        return f"a {type(value).__name__} of {len(value)} values"
    text = repr(value) if value is None or isinstance(value, bool | int | float | str) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."
