"""Errors that come out of what users hand in: each becomes a ValueError or TypeError that names the argument."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

from seqclf._validation.numbers import shorten

Function = TypeVar("Function", bound=Callable[..., Any])


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Inside, the argument `name` is read.

    Any object may be in it, and the methods of objects may raise anything. A ValueError or TypeError passes if its
    message has the name in it; every other error becomes one. Warnings that are errors, and the end of the memory, are
    no matter of the argument.
    """
    try:
        yield
    except (MemoryError, Warning):
        raise
    except BaseException as error:
        if _is_not_fitted(error):
            raise
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # how Rust's libraries fail
            raise
        try:
            text = str(error)
        except Exception:
            text = shorten(error)
        kind = TypeError if isinstance(error, TypeError) else ValueError
        if not isinstance(error, TypeError | ValueError):
            raise kind(
                f"{name} can't be read, because it raises {type(error).__name__}: {text[:300]}. Expected lists, "
                "arrays, Series or frames of ordinary values: turn it into one of these."
            ) from error
        if re.search(rf"\b{re.escape(name)}\b", text) is None:
            raise kind(f"{name}: {text}") from error
        raise


def _is_not_fitted(error: BaseException) -> bool:
    """Whether it is scikit-learn's error of that name; where scikit-learn was not imported, it is not."""
    exceptions = sys.modules.get("sklearn.exceptions")
    return exceptions is not None and isinstance(error, exceptions.NotFittedError)


def names_its_input(function: Function) -> Function:
    """Guard a function that reads what users hand in, and has what messages call it as its argument `name`."""
    arguments = signature(function)

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        bound = arguments.bind(*args, **kwargs)
        bound.apply_defaults()
        with reading(bound.arguments["name"]):
            return function(*args, **kwargs)

    return guarded  # type: ignore[return-value]
