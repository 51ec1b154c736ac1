"""Convolutional branch, parallel to the recurrent layers: local patterns, wherever they occur in a sequence.

It is a stack of convolutions over the steps of each row, followed by the mean of every filter over the row. Each row is
zero-padded at its ends, so no output depends on other rows or on the padding of the batch.

References
----------
Z. Wang, W. Yan, T. Oates, "Time series classification from scratch with deep neural networks: a strong baseline",
IJCNN 2017: three such layers, and global pooling. F. Karim, S. Majumdar, H. Darabi, S. Chen, "LSTM fully convolutional
networks for time series classification", IEEE Access 6 (2018): the same in parallel with a recurrent layer.
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from seqclf import _kernels
from seqclf._inference.config import filter_width
from seqclf._inference.convolution import EPSILON
from seqclf._kernels import StepLayout

# Minimum weight of the newest batch in the running mean and variance. The first ten batches have equal weights.
_MOMENTUM = 0.1


class Convolution(nn.Module):
    """One layer: convolution, batch normalisation, ReLU.

    The normalisation has no gain, because the next layer's weights can absorb it. In training every filter is
    normalised over all steps of the batch. In evaluation mode running statistics are used, so that the output of a row
    does not depend on the other rows of the batch.

    Parameters
    ----------
    n_inputs, n_filters : int
        Features of a step before and after the layer.
    width : int
        Number of steps that a filter covers.

    References
    ----------
    S. Ioffe, C. Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
    shift", ICML 2015.
    """

    mean: Tensor
    variance: Tensor
    n_batches: Tensor

    def __init__(self, n_inputs: int, n_filters: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_filters, n_inputs, width))
        self.bias = nn.Parameter(torch.empty(n_filters))
        self.register_buffer("mean", torch.empty(n_filters))
        self.register_buffer("variance", torch.empty(n_filters))
        self.register_buffer("n_batches", torch.empty(()))

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None) -> None:
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu", generator=generator)
        self.bias.zero_()
        self.mean.zero_()
        self.variance.fill_(1.0)
        self.n_batches.zero_()

    def forward(self, values: Tensor, layout: StepLayout) -> Tensor:
        # The variance of a single step is undefined, so a batch of one step is normalised by the running statistics.
        if self.training and layout.n_steps > 1:
            return torch.relu(self._normalise(_kernels.convolve(values, layout, self.weight)) + self.bias)
        scale = torch.rsqrt(self.variance + EPSILON)
        weight = self.weight * scale[:, None, None]
        return _kernels.convolve_relu(values, layout, weight, self.bias - self.mean * scale)

    def _normalise(self, filtered: Tensor) -> Tensor:
        mean, variance = torch.zeros_like(self.mean), torch.ones_like(self.variance)
        normalised = functional.batch_norm(filtered, mean, variance, training=True, momentum=1.0, eps=EPSILON)
        with torch.no_grad():
            self.n_batches += 1
            fraction = (1 / self.n_batches).clamp(min=_MOMENTUM)
            self.mean.lerp_(mean, fraction)
            self.variance.lerp_(variance, fraction)
        return normalised

    def extra_repr(self) -> str:
        n_filters, n_inputs, width = self.weight.shape
        return f"{n_inputs} -> {n_filters}, width {width}"


class ConvolutionStack(nn.Module):
    """Stacked layers.

    Parameters
    ----------
    n_inputs : int
        Number of features of a step.
    n_filters : tuple of int
        Number of filters of each layer.
    """

    def __init__(self, n_inputs: int, n_filters: tuple[int, ...]):
        super().__init__()
        self.layers = nn.ModuleList()
        for depth, n in enumerate(n_filters):
            self.layers.append(Convolution(n_inputs, n, filter_width(depth)))
            n_inputs = n
        self.n_outputs = n_inputs

    def forward(self, values: Tensor, layout: StepLayout) -> Tensor:
        """The output of every filter at every step, (n_steps, n_outputs)."""
        for layer in self.layers:
            values = layer(values, layout)
        return values
