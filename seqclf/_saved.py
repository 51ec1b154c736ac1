"""Saved states of fitted components: plain values and arrays, each of which is checked when it is loaded.

A component has a method ``to_state()``, which returns a dict of None, booleans, numbers, strings, lists, tuples, dicts
and numpy arrays, and a class method ``from_state(saved)``, which rebuilds the component. A state can come from a
damaged or malicious file, so `from_state` receives it as a `Saved` and uses no value unchecked.
"""

from collections.abc import Callable, Iterable, Sequence
from math import inf, isfinite
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

State = dict[str, Any]
Component = TypeVar("Component")


class SavedStateError(ValueError):
    """A saved state is invalid; the message names the value and what was expected."""


class Saved:
    """Checked access to the values of a saved state.

    Parameters
    ----------
    state : dict
        The result of a `to_state`, or the unverified content of a file.
    where : str, default=""
        The path to this state inside a larger one, for messages.

    Examples
    --------
    >>> saved = Saved({"n": 3, "weights": np.zeros(3, dtype=np.float32)})
    >>> saved.array("weights", np.float32, (saved.integer("n", low=1),))
    array([0., 0., 0.], dtype=float32)
    >>> saved.text("n")
    Traceback (most recent call last):
        ...
    seqclf._saved.SavedStateError: n is 3; expected a string
    """

    def __init__(self, state: Any, where: str = "") -> None:
        self._where = where
        if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
            raise SavedStateError(f"{where or 'the state'} is {_short(state)}; expected a dict whose keys are strings")
        self._state = state

    def __contains__(self, name: str) -> bool:
        return name in self._state

    def check_names(self, names: Iterable[str]) -> None:
        """Raise an error if the state has a value whose name is not in `names`."""
        if unknown := self._state.keys() - set(names):
            raise SavedStateError(f"{self._path(min(unknown))} is not a known value")

    def value(self, name: str) -> Any:
        """The value, which the caller has to check."""
        if name not in self._state:
            raise SavedStateError(f"{self._path(name)} is missing")
        return self._state[name]

    def raise_invalid(self, name: str, expected: str) -> NoReturn:
        """Raise the error for an unexpected value."""
        raise SavedStateError(f"{self._path(name)} is {_short(self.value(name))}; expected {expected}")

    def boolean(self, name: str) -> bool:
        """True or False."""
        value = self.value(name)
        if not isinstance(value, bool):
            self.raise_invalid(name, "True or False")
        return value

    def integer(self, name: str, low: int = 0, high: int = 2**62) -> int:
        """An integer from `low` to `high`."""
        value = self.value(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.raise_invalid(name, f"an integer from {low} to {high}")
        return value

    def number(self, name: str, low: float = -inf, high: float = inf) -> float:
        """A finite number from `low` to `high`."""
        value = self.value(name)
        if not isinstance(value, float | int) or isinstance(value, bool) or not isfinite(value):
            self.raise_invalid(name, "a finite number")
        if not low <= value <= high:
            self.raise_invalid(name, f"a number from {low} to {high}")
        return float(value)

    def text(self, name: str) -> str:
        """A string."""
        value = self.value(name)
        if not isinstance(value, str):
            self.raise_invalid(name, "a string")
        return value

    def option(self, name: str, options: Sequence[str]) -> Any:
        """One of `options`."""
        value = self.value(name)
        if not isinstance(value, str) or value not in options:
            self.raise_invalid(name, f"one of {', '.join(map(repr, options))}")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of strings."""
        value = self.value(name)
        if not isinstance(value, list) or not all(type(text) is str for text in value):
            self.raise_invalid(name, "a list of strings")
        return value

    def integers(self, name: str, low: int = 0, high: int = 2**62) -> tuple[int, ...]:
        """A list or tuple of integers, each from `low` to `high`."""
        value = self.value(name)
        if not isinstance(value, list | tuple) or not all(type(item) is int and low <= item <= high for item in value):
            self.raise_invalid(name, f"integers from {low} to {high}")
        return tuple(value)

    def array(
        self,
        name: str,
        dtype: DTypeLike,
        shape: Sequence[int | None],
        low: float = -inf,
        high: float = inf,
    ) -> NDArray[Any]:
        """A contiguous array of this dtype and shape, with finite values from `low` to `high`.

        None in `shape` allows any length.
        """
        value, expected_dtype = self.value(name), np.dtype(dtype)
        lengths = ", ".join("any" if length is None else str(length) for length in shape)
        expected = f"an array of {expected_dtype} of shape ({lengths})"
        if type(value) not in (np.ndarray, np.memmap) or value.dtype != expected_dtype or value.ndim != len(shape):
            self.raise_invalid(name, expected)
        if any(length is not None and length != found for length, found in zip(shape, value.shape, strict=True)):
            self.raise_invalid(name, expected)
        if value.size and expected_dtype.kind in "iuf":
            minimum, maximum = value.min(), value.max()  # both are NaN if any value is NaN
            if not (isfinite(minimum) and isfinite(maximum)):
                raise SavedStateError(f"{self._path(name)} holds NaN or infinity; expected finite numbers")
            if not low <= minimum <= maximum <= high:
                raise SavedStateError(
                    f"{self._path(name)} holds numbers from {minimum} to {maximum}; expected {low} to {high}"
                )
        return np.asarray(value, order="C")  # `ascontiguousarray` would turn shape () into (1,)

    def part(self, name: str, load: Callable[["Saved"], Component]) -> Component:
        """A component with a nested state, from which `load` rebuilds it."""
        return load(Saved(self.value(name), self._path(name)))

    def parts(self, name: str, load: Callable[["Saved"], Component]) -> list[Component]:
        """A list of components, each with a nested state."""
        value = self.value(name)
        if not isinstance(value, list):
            self.raise_invalid(name, "a list of nested states")
        return [load(Saved(state, f"{self._path(name)}[{index}]")) for index, state in enumerate(value)]

    def optional(self, name: str, load: Callable[..., Component], *args: Any, **kwargs: Any) -> Component | None:
        """None, or the result of `load`, a method of this object: ``saved.optional("n", saved.integer, low=1)``."""
        return None if self.value(name) is None else load(name, *args, **kwargs)

    def require(self, holds: bool, fault: str) -> None:
        """Raise an error if values contradict each other; `fault` describes the contradiction."""
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
