"""Filters beside the recurrent layers: what a series looks like from near, wherever in it that is.

A stack of convolutions over the steps of each row, and the mean of every filter over the row. It sees no step but the
row's own: beyond the ends stand zeros, and padding does not exist.

References
----------
Z. Wang, W. Yan, T. Oates, "Time series classification from scratch with deep neural networks: a strong baseline",
IJCNN 2017: three such layers, and global pooling. F. Karim, S. Majumdar, H. Darabi, S. Chen, "LSTM fully convolutional
networks for time series classification", IEEE Access 6 (2018): the same beside a recurrent layer.
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from seqclf import _kernels
from seqclf._inference.config import filter_width
from seqclf._inference.convolution import EPSILON
from seqclf._kernels import StepLayout

# Share of the newest batch in the running mean and variance, once there have been enough batches to average over.
_MOMENTUM = 0.1


class Convolution(nn.Module):
    """One layer: filters, batch normalisation without a gain (the next layer's weights hold it), positive part.

    In training every filter is normalised over all steps of the batch; afterwards by running statistics, so that a
    row's answer does not depend on the rows beside it.

    Parameters
    ----------
    n_inputs, n_filters : int
        Features of a step before and after.
    width : int
        How many steps a filter sees.

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
        # A single step has no variance.
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
            share = (1 / self.n_batches).clamp(min=_MOMENTUM)  # The first batches count alike.
            self.mean.lerp_(mean, share)
            self.variance.lerp_(variance, share)
        return normalised

    def extra_repr(self) -> str:
        n_filters, n_inputs, width = self.weight.shape
        return f"{n_inputs} -> {n_filters}, width {width}"


class ConvolutionStack(nn.Module):
    """Layers on top of one another.

    Parameters
    ----------
    n_inputs : int
        Features of a step.
    n_filters : tuple of int
        Filters of each layer.
    """

    def __init__(self, n_inputs: int, n_filters: tuple[int, ...]):
        super().__init__()
        self.layers = nn.ModuleList()
        for depth, n in enumerate(n_filters):
            self.layers.append(Convolution(n_inputs, n, filter_width(depth)))
            n_inputs = n
        self.n_outputs = n_inputs

    def forward(self, values: Tensor, layout: StepLayout) -> Tensor:
        """Every filter at every step, (n_steps, n_outputs)."""
        for layer in self.layers:
            values = layer(values, layout)
        return values
