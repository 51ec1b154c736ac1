"""Predictions of an estimator on a device that torch has to be asked for."""

from typing import Any

from seqclf._prediction import Outputs, refuse_not_finite
from seqclf._training.device import resolve_device, use_threads
from seqclf._training.guard import guarded
from seqclf._training.predict import predict_outputs, predict_states


@guarded
def predict_on_device(estimator: Any, rows: Any, what: str) -> Outputs:
    """The "outputs" or "states" of the network for validated rows."""
    device = resolve_device(estimator.device)
    predict = predict_states if what == "states" else predict_outputs
    with use_threads(estimator.n_threads, device, estimator.cell, estimator.activation):
        sequences = estimator._add_label_features(estimator._encode(rows))
        values = predict(estimator.network_, sequences, device)
    refuse_not_finite(values)
    return values
