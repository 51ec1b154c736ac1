"""Predictions of an estimator with torch, on a device other than the CPU."""

from collections.abc import Callable
from typing import Any

from seqclf._data.encoded import EncodedSequences
from seqclf._prediction import Outputs, check_outputs
from seqclf._training.device import resolve_device, use_threads
from seqclf._training.guard import guarded
from seqclf._training.predict import predict_outputs, predict_states


@guarded
def predict_on_device(estimator: Any, encode: Callable[[], EncodedSequences], what: str) -> Outputs:
    """The "outputs" or "states" of the network for the encoded rows that `encode` returns."""
    device = resolve_device(estimator.device)
    predict = predict_states if what == "states" else predict_outputs
    with use_threads(estimator.n_threads, device, estimator.cell, estimator.activation):
        sequences = estimator._add_label_features(encode())
        values = predict(estimator.network_, sequences, device)
    check_outputs(values)
    return values
