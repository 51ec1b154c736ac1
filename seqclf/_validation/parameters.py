"""Constraints on constructor parameters. Each estimator has a mapping of them, which `fit` checks.

A constraint is a test and its description, so that every message has the name, the value and the expectation.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, NoReturn

import numpy as np

from seqclf._saved import Saved, State
from seqclf._validation.containers import shorten

# The limit for parameters that the network uses in float32.
MAX_FLOAT32 = 3.4e38
_MAX_INT64 = 2**63 - 1


@dataclass(frozen=True)
class Constraint:
    """A test for a value; `expected` continues the sentence "must be ..."."""

    expected: str
    accepts: Callable[[Any], bool]


def check_parameters(estimator: Any, constraints: Mapping[str, Constraint]) -> None:
    """Raise a ValueError for the first parameter of `estimator` that its constraint does not accept."""
    for name, constraint in constraints.items():
        value = getattr(estimator, name)
        if not _is_accepted(constraint, value):
            raise ValueError(
                f"The {name!r} parameter of {type(estimator).__name__} must be {constraint.expected}. "
                f"Got {shorten(value)} instead{_size_note(value)}."
            )


def parameters_state(estimator: Any, names: Iterable[str]) -> State:
    """These parameters of an estimator as a state; texts and numbers become builtin types."""
    return {name: _to_builtin(getattr(estimator, name)) for name in names}


def load_parameters(saved: Saved, constraints: Mapping[str, Constraint]) -> State:
    """Load parameters from a saved state; a value that its constraint rejects is an error."""
    for name, constraint in constraints.items():
        if not _is_accepted(constraint, saved.value(name)):
            saved.raise_invalid(name, constraint.expected)
    return {name: saved.value(name) for name in constraints}


def check_output_container(transform: Any) -> None:
    """Raise a ValueError for an invalid argument of `set_output`."""
    constraint = optional(options("default", "pandas", "polars"))
    if not constraint.accepts(transform):
        raise ValueError(f"set_output: transform must be {constraint.expected}. Got {shorten(transform)} instead.")


def integer(low: int, high: int | None = None) -> Constraint:
    """An integer from `low` to `high`, inclusive; True and False are rejected."""
    limits = f">= {low}" if high is None else f"from {low} to {high}"
    return Constraint(
        f"an integer {limits}",
        lambda value: _is_number(value, Integral) and low <= value <= (_MAX_INT64 if high is None else high),
    )


def real(low: float, high: float, *, low_open: bool = False, high_open: bool = False) -> Constraint:
    """A finite number between `low` and `high`; an open side excludes the limit itself."""
    if math.isinf(low) and math.isinf(high):
        within = ""
    else:
        left, right = "(" if low_open else "[", ")" if high_open or math.isinf(high) else "]"
        within = f" in {left}{low}, {high}{right}"
    return Constraint(
        f"a finite number{within}",
        lambda value: (
            _is_number(value, Real)
            and _is_finite(value)
            and (low < value if low_open else low <= value)
            and (value < high if high_open else value <= high)
        ),
    )


def nan() -> Constraint:
    """The float NaN."""
    return Constraint("NaN", lambda value: isinstance(value, float | np.floating) and bool(np.isnan(value)))


def options(*values: str) -> Constraint:
    """One of these texts."""
    return Constraint(
        "one of " + ", ".join(map(repr, values)) if len(values) > 1 else repr(values[0]),
        lambda value: isinstance(value, str) and value in values,
    )


def boolean() -> Constraint:
    """True or False."""
    return Constraint("True or False", lambda value: isinstance(value, bool | np.bool_))


def optional(constraint: Constraint) -> Constraint:
    """None, or a value that `constraint` accepts."""
    return Constraint(f"{constraint.expected}, or None", lambda value: value is None or constraint.accepts(value))


def any_of(*constraints: Constraint) -> Constraint:
    """A value that at least one of the constraints accepts."""
    return Constraint(
        ", or ".join(constraint.expected for constraint in constraints),
        lambda value: any(constraint.accepts(value) for constraint in constraints),
    )


def has_methods(*names: str) -> Constraint:
    """An object, not a class, with these methods."""
    return Constraint(
        f"an instance with the method{'s' * (len(names) > 1)} " + " and ".join(names),
        lambda value: not isinstance(value, type) and all(callable(getattr(value, name, None)) for name in names),
    )


def random_state() -> Constraint:
    """A valid argument of `sklearn.utils.check_random_state`."""
    seed = integer(0, 2**32 - 1)
    return Constraint(
        f"{seed.expected}, a numpy RandomState instance, or None",
        lambda value: value is None or isinstance(value, np.random.RandomState) or seed.accepts(value),
    )


def path() -> Constraint:
    """The path of a file or folder."""
    return Constraint(
        "a path (a str or an object like pathlib.Path)",
        lambda value: isinstance(value, str | os.PathLike) and b"\0" not in os.fsencode(value),
    )


def class_weight() -> Constraint:
    """None, "balanced", or a dict with a weight for each class."""
    weight = real(0, math.inf)
    return Constraint(
        "'balanced', a dict of class -> weight (a finite number >= 0), or None",
        lambda value: (
            value is None
            or (isinstance(value, str) and value == "balanced")
            or (isinstance(value, Mapping) and all(map(weight.accepts, value.values())))
        ),
    )


def sequence_of(constraint: Constraint) -> Constraint:
    """A non-empty tuple or list of values that `constraint` accepts."""
    return Constraint(
        f"a non-empty tuple or list whose items are each {constraint.expected}",
        lambda value: isinstance(value, tuple | list) and len(value) > 0 and all(map(constraint.accepts, value)),
    )


def _is_accepted(constraint: Constraint, value: Any) -> bool:
    try:
        return bool(constraint.accepts(value))
    except Exception:  # classes whose attributes or comparisons raise
        return False


def _to_builtin(value: Any) -> Any:
    """Convert texts and numbers of any class to builtin types."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Real):
        return int(value) if isinstance(value, Integral) else float(value)
    return type(value)(map(_to_builtin, value)) if type(value) in (list, tuple) else value


def _size_note(value: Any) -> str:
    items = value if isinstance(value, tuple | list) else [value]
    too_large = any(isinstance(item, int) and abs(item) > _MAX_INT64 for item in items)
    return ", which is too large for 64 bits" if too_large else ""


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond the range of floats
        return False


def _is_number(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def raise_parameter_changed(name: str, before: Any, now: Any) -> NoReturn:
    """Raise the error for a parameter that changed between calls that continue the training of one network."""
    raise ValueError(
        f"With warm_start=True and in partial_fit, {name} must stay {before!r} as in the first fit; got {now!r}. "
        "Call fit with warm_start=False, or clone the estimator, to build a new network."
    )
