"""Warnings that point at the line of the user, however deep in the package they are made."""

import sys
import warnings

# The libraries through which a call of the user gets here.
_INSIDE = {"seqclf", "sklearn", "skorch", "contextlib"}


def warn(message: str) -> None:
    """Make a UserWarning of the first line outside of these libraries."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)
