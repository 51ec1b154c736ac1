"""Checks of the estimator that is inspected, and access to its parts without torch."""

from typing import Any

from seqclf._base import BaseRNN
from seqclf._inference.config import NetworkConfig
from seqclf._validation.numbers import type_of


def fitted_estimator(estimator: Any, name: str = "estimator", others: str = "") -> BaseRNN:
    """A snapshot of a fitted estimator of this package; messages call it `name`, and list what `others` are accepted.

    Raises
    ------
    TypeError
        If it is anything else, such as a pipeline.
    NotFittedError
        If it is not fitted.
    """
    if not isinstance(estimator, BaseRNN):
        found = f"the class {estimator.__name__}" if isinstance(estimator, type) else type_of(estimator)
        advice = ""
        if hasattr(estimator, "steps"):
            advice = " Pass the last step of the pipeline: pipeline[-1]."
        elif hasattr(estimator, "best_params_"):
            advice = " Pass the result of the search: search.best_estimator_."
        raise TypeError(
            f"{name} must be a fitted estimator of seqclf, such as an RNNClassifier{others}; got {found}.{advice}"
        )
    return estimator._fitted()


def network_config(estimator: BaseRNN) -> NetworkConfig:
    """The architecture of the network of a fitted estimator; a loaded one has it without its torch module."""
    saved = vars(estimator).get("_network")
    config: NetworkConfig = (estimator.network_ if saved is None else saved).config
    return config
