"""Convolution over the steps of each row on the compiled CPU kernels, without gradients."""

import torch
from torch import Tensor

from seqclf._inference import convolution
from seqclf._kernels.layout import StepLayout


def convolve_relu(values: Tensor, layout: StepLayout, weight: Tensor, bias: Tensor) -> Tensor:
    """Shape (n_steps, n_filters); see :func:`seqclf._kernels.convolve_relu`. It has no gradients."""
    arrays = (tensor.detach().numpy() for tensor in (weight, bias))
    return torch.from_numpy(convolution.convolve_relu(values.detach().numpy(), layout, *arrays))
