"""From the hidden states of every step to one vector per sequence, by length: padding has no say."""

import torch
from torch import Generator, Tensor, nn

from seqclf._kernels import StepLayout


class LastPooling(nn.Module):
    """The state after everything was read: the forward half's at the last step, the reverse half's at the first."""

    def __init__(self, n_features: int, bidirectional: bool):
        super().__init__()
        self.n_forward = n_features // 2 if bidirectional else n_features

    def forward(self, outputs: Tensor, layout: StepLayout) -> Tensor:
        last = outputs[:, : self.n_forward].index_select(0, layout.last_step)
        # In time-major order the first steps of all rows come first.
        first = outputs[: layout.n_rows, self.n_forward :]
        return torch.cat((last, first), dim=1)


class MeanPooling(nn.Module):
    """The mean over the steps of each sequence."""

    def forward(self, outputs: Tensor, layout: StepLayout) -> Tensor:
        return layout.pad(outputs).sum(dim=0) / layout.row_lengths[:, None]


class MaxPooling(nn.Module):
    """The largest value of each feature over the steps of each sequence."""

    def forward(self, outputs: Tensor, layout: StepLayout) -> Tensor:
        return layout.pad(outputs, fill=-torch.inf).max(dim=0).values


class AttentionPooling(nn.Module):
    """A weighted mean; the weights come from a learned query.

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
        # u = tanh(W h + b),  a = softmax(u q),  v = sum a h
        scores = torch.tanh(nn.functional.linear(outputs, self.weight, self.bias)) @ self.query
        attention = layout.pad(scores[:, None], fill=-torch.inf).softmax(dim=0)
        return (layout.pad(outputs) * attention).sum(dim=0)


POOLINGS = ("last", "mean", "max", "attention")


def make_pooling(name: str, n_features: int, bidirectional: bool) -> nn.Module:
    """The pooling of that name over `n_features` features."""
    if name == "last":
        return LastPooling(n_features, bidirectional)
    if name == "attention":
        return AttentionPooling(n_features)
    return {"mean": MeanPooling, "max": MaxPooling}[name]()
