"""Convolution over the steps of each row, with the batch normalisation folded into the weights."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._cells import Weights
from seqclf._inference.inputs import LayerInputs
from seqclf._inference.layout import BatchLayout
from seqclf._inference.recurrence import Recurrence

Array = NDArray[Any]
# Added to the variance to avoid division by 0.
EPSILON = 1e-5


def fold_normalisation(weight: Array, bias: Array, mean: Array, variance: Array) -> tuple[Array, Array]:
    """The weight and bias of filters that include the normalisation by mean and variance."""
    scale = 1 / np.sqrt(variance + EPSILON)
    return weight * scale[:, None, None], bias - mean * scale


def convolve_relu(values: Array, layout: BatchLayout, weight: Array, bias: Array) -> Array:
    """Convolve the steps of each row, add a bias and take the positive part; shape (n_steps, n_filters).

    `weight` has the shape (n_filters, features, width). Output step t depends on the input steps from
    ``t - (width - 1) // 2`` to ``t + width // 2``; rows are zero-padded.
    """
    n_filters, n_inputs, width = weight.shape
    steps = np.concatenate((values, np.zeros((1, n_inputs), dtype=values.dtype)))  # the zero padding
    windows = np.take(steps, layout.window_positions(width).reshape(-1), axis=0)
    windows = windows.reshape(layout.n_steps, width * n_inputs)
    flat = weight.transpose(0, 2, 1).reshape(n_filters, width * n_inputs)
    if values.dtype != np.float32:
        return np.maximum(windows @ flat.T + bias, 0)
    # relu(W x + b), with the same bits in any batch, is a simple RNN with recurrent weights of zero.
    weights = Weights(flat, np.zeros((n_filters, n_filters), dtype=np.float32), bias)
    return Recurrence("rnn", "relu", [weights]).run(LayerInputs(windows), layout)
