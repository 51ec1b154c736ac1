"""Pooling: from the hidden states of all steps to one vector per sequence. Padding never contributes."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from seqclf import _kernels
from seqclf._kernels import StepLayout


class LastPooling(nn.Module):
    """The final state of each direction: forward at the last step, reverse at the first."""

    def __init__(self, n_forward: int):
        super().__init__()
        self.n_forward = n_forward

    def forward(self, outputs: Tensor, layout: StepLayout) -> Tensor:
        last = outputs[:, : self.n_forward].index_select(0, layout.last_step)
        if self.n_forward == outputs.shape[1]:
            return last
        # In time-major order the first steps of all rows come first.
        return torch.cat((last, outputs[: layout.n_rows, self.n_forward :]), dim=1)


class MeanPooling(nn.Module):
    """The mean over the steps of each sequence."""

    def forward(self, outputs: Tensor, layout: StepLayout) -> Tensor:
        return _kernels.pool("mean", outputs, layout)


class MaxPooling(nn.Module):
    """The maximum of each feature over the steps of each sequence."""

    def forward(self, outputs: Tensor, layout: StepLayout) -> Tensor:
        return _kernels.pool("max", outputs, layout)


class AttentionPooling(nn.Module):
    """A weighted mean over the steps of each sequence; the weights come from a learned query.

    References
    ----------
    Z. Yang et al., "Hierarchical attention networks for document classification", NAACL 2016, eq. 5-7.
    """

    def __init__(self, n_features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_features, n_features))
        self.bias = nn.Parameter(torch.empty(n_features))
        self.query = nn.Parameter(torch.empty(n_features))

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None) -> None:
        nn.init.xavier_uniform_(self.weight, generator=generator)
        self.bias.zero_()
        nn.init.normal_(self.query, std=len(self.query) ** -0.5, generator=generator)

    def forward(self, outputs: Tensor, layout: StepLayout) -> Tensor:
        return _kernels.attend(outputs, layout, self.weight, self.bias, self.query)


# By the value of the `pooling` parameter: (n_features, n_forward) -> module. The first `n_forward` of the features are
# those of the forward direction.
POOLINGS: dict[str, Callable[[int, int], nn.Module]] = {
    "last": lambda n_features, n_forward: LastPooling(n_forward),
    "mean": lambda n_features, n_forward: MeanPooling(),
    "max": lambda n_features, n_forward: MaxPooling(),
    "attention": lambda n_features, n_forward: AttentionPooling(n_features),
}
