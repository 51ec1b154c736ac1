"""Filters over the steps of each row, with the batch normalisation of a trained network in their weights."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._cells import Weights
from seqclf._inference.inputs import LayerInputs
from seqclf._inference.layout import BatchLayout
from seqclf._inference.recurrence import Recurrence

Array = NDArray[Any]
# Keeps the normalisation from dividing by 0.
EPSILON = 1e-5


def normalised(weight: Array, bias: Array, mean: Array, variance: Array) -> tuple[Array, Array]:
    """The weight and the bias with which a filter gives what it gives after normalisation by mean and variance."""
    scale = 1 / np.sqrt(variance + EPSILON)
    return weight * scale[:, None, None], bias - mean * scale


def convolve_relu(values: Array, layout: BatchLayout, weight: Array, bias: Array) -> Array:
    """The positive part of filters moved over the steps of each row, plus a bias; shape (n_steps, n_filters).

    The filters are of shape (n_filters, features, width). Step t of a row sees the steps from ``t - (width - 1) // 2``
    to ``t + width // 2``; beyond the ends of the row are zeros.
    """
    n_filters, n_inputs, width = weight.shape
    steps = np.concatenate((values, np.zeros((1, n_inputs), dtype=values.dtype)))  # what lies beyond the ends of a row
    windows = np.take(steps, layout.window_positions(width).reshape(-1), axis=0)
    windows = windows.reshape(layout.n_steps, width * n_inputs)
    flat = weight.transpose(0, 2, 1).reshape(n_filters, width * n_inputs)
    if values.dtype != np.float32:
        return np.maximum(windows @ flat.T + bias, 0)
    # relu(W x + b), each row by itself, is a simple RNN whose recurrent weights are zero.
    weights = Weights(flat, np.zeros((n_filters, n_filters), dtype=np.float32), bias)
    return Recurrence("rnn", "relu", [weights]).run(LayerInputs(windows), layout)
