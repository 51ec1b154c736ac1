"""A module that pickles of development versions from before 0.1.0 name: loading one raises a clear error."""

from typing import Any

from seqclf._unpickling import raise_too_old


def __getattr__(name: str) -> Any:
    if name == "NaiveBayesRatios":
        raise_too_old()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
