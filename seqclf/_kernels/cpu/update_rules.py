"""The update rules of the optimisers, as defined in `abi.h`, and their hyperparameters."""

from typing import NamedTuple

# The values of `Rule` in abi.h.
CODES = {"sgd": 0, "nesterov": 1, "rmsprop": 2, "adagrad": 3, "adam": 4, "adamw": 5}
# Cost of updating one value, in multiplications: adam took 300 ps, as long as 20 multiplications with AVX2.
UPDATE_COST = 20


class Hyperparameters(NamedTuple):
    """Hyperparameters of the update rules; those that a rule does not use are 0."""

    learning_rate: float
    weight_decay: float
    momentum: float
    decay: float
    eps: float
