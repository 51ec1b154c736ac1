"""Training and validation data from rows, classes and weights."""

from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils.class_weight import compute_class_weight

from seqclf._label_features.log_count_ratios import Sequences
from seqclf._training.batching import TrainingData
from seqclf._training.split import validation_rows
from seqclf._validation.containers import shorten


class Labelled(NamedTuple):
    """Sequences with their class codes, and weights of which one at least is above 0."""

    sequences: Sequences
    codes: np.ndarray
    weights: np.ndarray

    def take(self, rows: np.ndarray) -> "Labelled":
        """Those rows."""
        return Labelled(self.sequences.take(rows), self.codes[rows], self.weights[rows])


def training_data(
    data: Labelled,
    given: Labelled | None,
    *,
    class_weight: Any,
    classes: np.ndarray,
    validation_fraction: float | None,
    groups: np.ndarray | None,
    device: torch.device,
    rng: np.random.RandomState,
) -> tuple[TrainingData, TrainingData | None]:
    """What trains, and what is watched; in each of them the weights of the rows have a mean of 1.

    Parameters
    ----------
    data : Labelled
        The rows that `fit` got.
    given : Labelled or None
        Rows to watch; then all of `data` trains.
    class_weight : dict, "balanced" or None
        As in the estimators.
    classes : ndarray
        The class labels, by their codes.
    validation_fraction : float or None
        Share of `data` to watch where nothing is given; None watches nothing.
    groups : ndarray of int or None
        Groups of the rows of `data`, none of which is split.
    device : torch.device
        Where the batches are wanted.
    rng : RandomState
        Draws the rows to watch.
    """
    # The weights may be so large or so small that their sum is not finite.
    data = data._replace(weights=data.weights / data.weights.max())
    labels = classes[data.codes]
    balance = compute_class_weight(class_weight, classes=classes, y=labels, sample_weight=data.weights)
    if np.count_nonzero(np.bincount(data.codes, weights=data.weights * balance[data.codes])) < 2:
        raise ValueError(
            f"class_weight={shorten(class_weight)} leaves fewer than 2 classes in y with a weight above 0; "
            "at least 2 are needed."
        )

    def weighted(part: Labelled) -> TrainingData:
        in_loss, in_score = part.weights * balance[part.codes], part.weights
        if not in_loss.any():
            raise ValueError(
                f"class_weight={shorten(class_weight)} leaves no row with a weight above 0 in the "
                "training or the validation rows: give more classes a weight, or fit without validation."
            )
        return TrainingData(part.sequences, part.codes, in_loss / in_loss.mean(), in_score / in_score.mean(), device)

    held_out = None
    if given is None and validation_fraction is not None:
        held_out = validation_rows(data.codes, validation_fraction, rng, groups)
    if held_out is None:
        return weighted(data), None if given is None else weighted(given)
    kept = np.delete(np.arange(len(data.codes)), held_out)
    return weighted(data.take(kept)), weighted(data.take(held_out))
