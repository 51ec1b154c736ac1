"""Errors that are caused by the input of users become a ValueError or TypeError that names the argument."""

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
def argument_errors(name: str) -> Iterator[None]:
    """Convert errors in this context, which reads the argument `name`.

    The argument can contain any objects, and their methods can raise any error. A ValueError or TypeError is unchanged
    if its message contains the name; every other error is converted to one of the two. Errors that do not concern the
    argument are unchanged: warnings that are raised as errors, MemoryError, NotFittedError and KeyboardInterrupt.
    """
    try:
        yield
    except (MemoryError, Warning):
        raise
    except BaseException as error:
        if _is_not_fitted(error):
            raise
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # from libraries in Rust
            raise
        try:
            text = str(error)
        except Exception:
            text = shorten(error)
        kind = TypeError if isinstance(error, TypeError) else ValueError
        if not isinstance(error, TypeError | ValueError):
            raise kind(
                f"{name} can't be read, because it raises {type(error).__name__}: {text[:300]}. Expected lists, "
                "arrays, Series or frames of ordinary values: convert it to one of these."
            ) from error
        if re.search(rf"\b{re.escape(name)}\b", text) is None:
            raise kind(f"{name}: {text}") from error
        raise


def _is_not_fitted(error: BaseException) -> bool:
    """Whether this is scikit-learn's NotFittedError. This does not import scikit-learn."""
    exceptions = sys.modules.get("sklearn.exceptions")
    return exceptions is not None and isinstance(error, exceptions.NotFittedError)


def names_argument(function: Function) -> Function:
    """Decorator: run a function inside :func:`argument_errors`, with the value of its argument `name`."""
    arguments = signature(function)

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        bound = arguments.bind(*args, **kwargs)
        bound.apply_defaults()
        with argument_errors(bound.arguments["name"]):
            return function(*args, **kwargs)

    return guarded  # type: ignore[return-value]
