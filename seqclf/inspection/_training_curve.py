"""`TrainingCurve`: the history of a fit as arrays, and the curves of one or several estimators."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.containers import shorten
from seqclf.inspection._fitted_estimator import fitted_estimator

_KEYS = ("train_loss", "valid_loss", "train_score", "valid_score")


class TrainingCurve(NamedTuple):
    """The losses and scores of a fit by epoch.

    Parameters
    ----------
    name : str
        The name of the estimator.
    epochs : ndarray of shape (n_epochs,)
        The numbers of the epochs, from 1.
    values : dict of str to ndarray of shape (n_epochs,)
        "train_loss" and "train_score", and with a validation set "valid_loss" and "valid_score".
    best_epoch : int
        The epoch whose weights the estimator uses.
    score_name : str
        What the scores are, such as "accuracy".
    """

    name: str
    epochs: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]
    best_epoch: int
    score_name: str


def training_curves(estimators: Any, names: Any) -> list[TrainingCurve]:
    """The curves of one estimator, or of several in a list or dict.

    Raises
    ------
    TypeError, ValueError, NotFittedError
        If there is no estimator, one is not a fitted estimator of this package, or names do not match.
    """
    if isinstance(estimators, Mapping):
        if names is not None:
            raise ValueError("name must be None if estimators are in a dict: its keys are the names.")
        pairs = list(estimators.items())
    elif isinstance(estimators, list | tuple):
        pairs = list(zip(_names(estimators, names), estimators, strict=True))
    else:
        if names is not None and not isinstance(names, str):
            raise TypeError(f"name must be None or a str for one estimator; got {type(names).__name__}.")
        return [_curve(names or type(estimators).__name__, estimators, "estimator")]
    if not pairs:
        raise ValueError("estimator holds no estimators; expected at least one.")
    keys = list(estimators) if isinstance(estimators, Mapping) else range(len(pairs))
    return [_curve(str(name), each, f"estimator[{key!r}]") for key, (name, each) in zip(keys, pairs, strict=True)]


def _names(estimators: "list[Any] | tuple[Any, ...]", names: Any) -> list[str]:
    if names is not None:
        is_sized = hasattr(names, "__len__") and not isinstance(names, str)
        if not is_sized or len(names) != len(estimators):
            found = f"{len(names)} names" if is_sized else shorten(names)
            raise ValueError(f"name must be a list of {len(estimators)} names, one for each estimator; got {found}.")
        return list(names)
    classes = [type(each).__name__ for each in estimators]
    return [f"{each} {n}" if classes.count(each) > 1 else each for n, each in enumerate(classes, start=1)]


def _curve(name: str, estimator: Any, argument: str) -> TrainingCurve:
    fitted = fitted_estimator(estimator, argument)
    values = {
        key: np.array([epoch.get(key, np.nan) for epoch in fitted.history_], dtype=np.float64)
        for key in _KEYS
        if any(key in epoch for epoch in fitted.history_)
    }
    epochs = np.arange(1, len(fitted.history_) + 1)
    return TrainingCurve(name, epochs, values, fitted.best_epoch_, fitted._task.score_name)
