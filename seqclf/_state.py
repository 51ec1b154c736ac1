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
    """A twin of the estimator to fit; without an error the estimator gets its attributes at the end, all at once."""
    twin = snapshot(estimator)
    yield twin
    estimator.__dict__ = vars(twin)
