"""Fitting on a copy of the estimator: other threads see the old attributes or the new ones, never a mixture."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar

Estimator = TypeVar("Estimator")


def snapshot(estimator: Estimator) -> Estimator:
    """A shallow copy of the estimator, which a fit in another thread does not change."""
    copy = object.__new__(type(estimator))
    copy.__dict__ = dict(vars(estimator))  # dict() of a dict is atomic for other threads
    return copy


@contextmanager
def fresh_state(estimator: Estimator, kept: Collection[str] = ()) -> Iterator[Estimator]:
    """A copy of the estimator to fit. At the end, without an error, the estimator gets all its attributes at once.

    Parameters that are set on the estimator during the fit keep their new values. The attributes named in `kept` stay
    as they are on the estimator.
    """
    copy, before = snapshot(estimator), dict(vars(estimator))
    yield copy
    parameters: list[str] = getattr(estimator, "_get_param_names", list)()
    now = dict(vars(estimator))
    changed = {name: now[name] for name in parameters if name in now and now[name] is not before.get(name)}
    fitted = {name: value for name, value in vars(copy).items() if name not in kept}
    estimator.__dict__ = fitted | changed | {name: now[name] for name in kept if name in now}
