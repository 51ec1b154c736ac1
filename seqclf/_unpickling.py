"""Checks of unpickled states, and the errors for invalid ones."""

from collections.abc import Iterable
from typing import Any, NoReturn, cast

from seqclf._saved import Saved
from seqclf._warn import warn

# The key of the package version in a pickled state.
VERSION = "_seqclf_version"


def raise_too_old() -> NoReturn:
    """Raise the error for pickles of development versions from before 0.1.0, which carry no version."""
    raise ImportError(
        "This model was pickled by a development version of seqclf from before the release of 0.1.0 (commit 4c02889 or "
        f"earlier), and seqclf {this_version()} can't load it. Fit it again, or load it with seqclf at commit 4c02889."
    )


def raise_unusable(estimator: Any, saved_by: str, fault: str) -> NoReturn:
    """Raise the error for an invalid state; `fault` describes what is wrong."""
    raise ValueError(
        f"This {type(estimator).__name__} can't be loaded: {fault}. It was pickled by seqclf {saved_by} and is loaded "
        f"by seqclf {this_version()}. If the versions differ, load it with the version that pickled it; otherwise it "
        "was changed or damaged after it was saved. Fit it again."
    )


def check_attributes(estimator: Any, saved_by: str, names: Iterable[str]) -> None:
    """Raise an error if the estimator lacks one of the attributes."""
    missing = [name for name in names if name not in vars(estimator)]
    if missing:
        raise_unusable(estimator, saved_by, f"its state has no {', '.join(missing)}")


def warn_about_version(estimator: Any, saved_by: str) -> None:
    """Warn if another minor or major version pickled the estimator."""
    if saved_by.split(".")[:2] != this_version().split(".")[:2]:
        warn(
            f"This {type(estimator).__name__} was pickled by seqclf {saved_by} and is loaded by seqclf "
            f"{this_version()}: its predictions may differ slightly. Fit it again, or use the version that pickled it."
        )


def this_version() -> str:
    """The version of the package."""
    from seqclf import __version__

    return __version__


class CheckedState:
    """Adds the package version to pickles, and checks the attributes when a pickle is loaded."""

    def _fitted_attributes(self) -> tuple[str, ...]:
        """The attributes that the object must have in its current state; empty before `fit`."""
        return ()

    def _restore(self, saved: Saved) -> None:
        """Check the attributes, and rebuild objects from plain values."""

    def __getstate__(self) -> dict[str, Any]:
        return cast(dict[str, Any], super().__getstate__()) | {VERSION: this_version()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved_by = str(state.get(VERSION, "(no version)"))
        vars(self).update({name: value for name, value in state.items() if name != VERSION})
        check_attributes(self, saved_by, [*type(self)._get_param_names(), *self._fitted_attributes()])  # type: ignore[attr-defined]
        try:
            self._restore(Saved(vars(self).copy()))
        except (AttributeError, TypeError, ValueError) as error:  # includes SavedStateError
            raise_unusable(self, saved_by, str(error).rstrip("."))
        warn_about_version(self, saved_by)
