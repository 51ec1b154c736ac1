"""Calibration of the scores of linear classifiers to log-odds, with a temperature and a weight of the prior."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._numeric import expit, log_expit

Floats = NDArray[np.float64]

# Linear models are fitted to targets of -1 and 1. If they separate few rows without errors, the loss falls with every
# increase of the temperature; this value is high enough.
_MAX_TEMPERATURE = 10.0


class LogOddsFit(NamedTuple):
    """The log-odds are ``temperature * scores + prior_weight * priors``; `loss` is their mean loss."""

    temperature: float
    prior_weight: float
    loss: float


def fit_log_odds(
    scores: Floats, priors: Floats, weights: Floats, losses: Callable[[Floats], tuple[Floats, Floats]]
) -> LogOddsFit:
    """Fit temperature and prior weight, both not negative, by minimising the loss.

    For uninformative scores, the log-odds are the priors.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_outputs)
    priors : ndarray of shape (n_outputs,)
        The prior log-odds of the outputs.
    weights : ndarray of shape (n_rows,)
        Sample weights.
    losses : callable
        Computes the losses (n_rows,) of log-odds, and their derivatives (n_rows, n_outputs).
    """
    from scipy.optimize import minimize

    fractions = weights / weights.sum()

    def loss(parameters: NDArray[Any]) -> tuple[float, Floats]:
        values, errors = losses(parameters[0] * scores + parameters[1] * priors)
        errors = errors * fractions[:, None]
        return (fractions * values).sum(), np.array([(errors * scores).sum(), (errors * priors).sum()])

    # TNC, unlike L-BFGS-B, does not use BLAS, and neither do the sums above: the order of summation in BLAS depends on
    # its number of threads, and starting them takes longer than fitting two parameters.
    found = minimize(loss, [1.0, 1.0], jac=True, method="TNC", bounds=[(0, _MAX_TEMPERATURE), (0, 1)])
    return LogOddsFit(float(found.x[0]), float(found.x[1]), float(found.fun))


def binary_losses(members: Floats) -> Callable[[Floats], tuple[Floats, Floats]]:
    """The cross-entropy of log-odds (n_rows, 1), and its derivatives, for memberships from 0 to 1 of the same shape."""

    def losses(log_odds: Floats) -> tuple[Floats, Floats]:
        values = -(members * log_expit(log_odds) + (1 - members) * log_expit(-log_odds))
        return values[:, 0], expit(log_odds) - members

    return losses


def sample_rows(n_rows: int, max_rows: int) -> NDArray[np.int64]:
    """At most `max_rows` rows, or one, drawn with a fixed seed: enough for fitting two parameters."""
    return np.random.RandomState(0).permutation(n_rows)[: max(max_rows, 1)]
