"""How scores of linear classifiers become log-odds: by a temperature, and by a share of the prior log-odds."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._numeric import expit, log_expit

Floats = NDArray[np.float64]

# Models are fitted to scores of -1 and 1. With few rows that are told apart without an error no temperature is too high
# for the loss, and this one is high enough.
_MAX_TEMPERATURE = 10.0


class Fitted(NamedTuple):
    """The log-odds are ``temperature * scores + share * priors``; `loss` is their mean loss."""

    temperature: float
    share: float
    loss: float


def fit_log_odds(
    scores: Floats, priors: Floats, weights: Floats, losses: Callable[[Floats], tuple[Floats, Floats]]
) -> Fitted:
    """Temperature and share of the least loss. Neither is negative: scores that say nothing leave the prior alone.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_outputs)
    priors : ndarray of shape (n_outputs,)
        The log-odds of the outputs where nothing is known of a row.
    weights : ndarray of shape (n_rows,)
        What each row counts.
    losses : callable
        From log-odds to the losses, (n_rows,), and their derivatives, (n_rows, n_outputs).
    """
    from scipy.optimize import minimize

    shares = weights / weights.sum()

    def loss(parameters: NDArray[Any]) -> tuple[float, Floats]:
        values, errors = losses(parameters[0] * scores + parameters[1] * priors)
        errors = errors * shares[:, None]
        return (shares * values).sum(), np.array([(errors * scores).sum(), (errors * priors).sum()])

    # Without BLAS, as the sums above: the order of its sums depends on its threads, which L-BFGS-B would use too, and
    # which take longer to start than two numbers take to be found.
    found = minimize(loss, [1.0, 1.0], jac=True, method="TNC", bounds=[(0, _MAX_TEMPERATURE), (0, 1)])
    return Fitted(float(found.x[0]), float(found.x[1]), float(found.fun))


def binary_losses(members: Floats) -> Callable[[Floats], tuple[Floats, Floats]]:
    """The cross-entropy of log-odds (n_rows, 1) of belonging, from memberships of the same shape."""

    def losses(log_odds: Floats) -> tuple[Floats, Floats]:
        values = -(members * log_expit(log_odds) + (1 - members) * log_expit(-log_odds))
        return values[:, 0], expit(log_odds) - members

    return losses


def sample_of_rows(n_rows: int, most: int) -> NDArray[np.int64]:
    """Rows drawn with a fixed seed, at most so many: that is enough to learn two numbers."""
    return np.random.RandomState(0).permutation(n_rows)[: max(most, 1)]
