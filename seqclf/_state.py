"""A fit in a state of its own: other threads see the estimator as it was before, or as it is afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

Estimator = TypeVar("Estimator")


def snapshot(estimator: Estimator) -> Estimator:
    """The same estimator with its present attributes, which a fit in another thread does not change."""
    twin = object.__new__(type(estimator))
    twin.__dict__ = dict(vars(estimator))  # One step to other threads.
    return twin


@contextmanager
def fresh_state(estimator: Estimator) -> Iterator[Estimator]:
    """A twin of the estimator to fit; without an error the estimator gets its attributes at the end, all at once.

    Parameters that are set during the fit keep their new values.
    """
    twin, before = snapshot(estimator), dict(vars(estimator))
    yield twin
    names: list[str] = getattr(estimator, "_get_param_names", list)()
    now = {name: value for name, value in vars(estimator).items() if name in names and value is not before.get(name)}
    estimator.__dict__ = vars(twin) | now
