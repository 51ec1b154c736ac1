"""Warnings that point at the calling line in user code, from any depth of the package."""

import sys
import warnings

# Packages whose frames can be between the call of the user and the warning.
_SKIPPED_PACKAGES = {"seqclf", "sklearn", "skorch", "contextlib"}


def warn(message: str) -> None:
    """Issue a UserWarning at the innermost line outside of these packages."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _SKIPPED_PACKAGES:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)
