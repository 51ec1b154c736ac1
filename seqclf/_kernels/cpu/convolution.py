"""Filters over the steps of each row on our own CPU kernels, without gradients."""

import torch
from torch import Tensor

from seqclf._kernels.cpu import recurrence
from seqclf._kernels.layout import StepLayout
from seqclf._kernels.weights import Weights


def convolve_relu(values: Tensor, layout: StepLayout, weight: Tensor, bias: Tensor) -> Tensor:
    """Shape (n_steps, n_filters); see :func:`seqclf._kernels.convolve_relu`. It has no gradients."""
    n_filters, n_inputs, width = weight.shape
    steps = torch.cat((values, values.new_zeros(1, n_inputs)))  # what lies beyond the ends of a row
    windows = steps.index_select(0, layout.windows(width).reshape(-1)).reshape(layout.n_steps, width * n_inputs)
    # relu(W x + b), each row by itself, is a simple RNN whose recurrent weights are zero.
    flat = weight.transpose(1, 2).reshape(n_filters, width * n_inputs)
    return recurrence.run(
        "rnn", windows, layout, Weights(flat, weight.new_zeros(n_filters, n_filters), bias), "relu", False
    )
