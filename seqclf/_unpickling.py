"""What a pickled state has to be, and the errors that say what is wrong with one that can't be used."""

from collections.abc import Iterable
from typing import Any, NoReturn, cast

from seqclf._saved import Saved
from seqclf._warn import warn

# What a state calls the version of the package that has pickled it.
VERSION = "_seqclf_version"


def raise_too_old() -> NoReturn:
    """Raise the error for what development versions from before 0.1.0 have pickled: they named no version."""
    raise ImportError(
        "This model was pickled by a development version of seqclf from before the release of 0.1.0 (commit 4c02889 or "
        f"earlier), and seqclf {this_version()} can't read it. Fit it again, or load it with seqclf at commit 4c02889."
    )


def raise_unusable(estimator: Any, saved_by: str, fault: str) -> NoReturn:
    """Raise the error for a state with a fault."""
    raise ValueError(
        f"This {type(estimator).__name__} can't be loaded: {fault}. It was pickled by seqclf {saved_by} and is read by "
        f"seqclf {this_version()}. If the versions differ, load it with that one; otherwise it was changed or "
        "damaged after it was saved. Fit it again."
    )


def refuse_missing(estimator: Any, saved_by: str, names: Iterable[str]) -> None:
    """Raise an error if the estimator lacks one of the attributes."""
    missing = [name for name in names if name not in vars(estimator)]
    if missing:
        raise_unusable(estimator, saved_by, f"its state has no {', '.join(missing)}")


def warn_of_another_version(estimator: Any, saved_by: str) -> None:
    """Say so where another minor or major version has pickled an estimator."""
    if saved_by.split(".")[:2] != this_version().split(".")[:2]:
        warn(
            f"This {type(estimator).__name__} was pickled by seqclf {saved_by} and is read by seqclf {this_version()}: "
            "its predictions may differ a little. Fit it again, or use the version that pickled it."
        )


def this_version() -> str:
    """The version of the package."""
    from seqclf import __version__

    return __version__


class CheckedState:
    """Pickles that carry the version of the package, and whose attributes are checked when they are loaded."""

    def _learned(self) -> tuple[str, ...]:
        """The attributes that the object must have in its present state; none before `fit`."""
        return ()

    def _restore(self, saved: Saved) -> None:
        """Check the attributes, and make of plain values what they stand for."""

    def __getstate__(self) -> dict[str, Any]:
        return cast(dict[str, Any], super().__getstate__()) | {VERSION: this_version()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved_by = str(state.get(VERSION, "(no version)"))
        vars(self).update({name: value for name, value in state.items() if name != VERSION})
        refuse_missing(self, saved_by, [*type(self)._get_param_names(), *self._learned()])  # type: ignore[attr-defined]
        try:
            self._restore(Saved(vars(self).copy()))
        except (AttributeError, TypeError, ValueError) as error:  # ValueError is that of Saved too
            raise_unusable(self, saved_by, str(error).rstrip("."))
        warn_of_another_version(self, saved_by)
