"""Token ids to vectors: learned ones, or one-hot."""

import torch
from torch import Generator, Tensor, nn

from seqclf._kernels import Inputs


class Embedding(nn.Module):
    """One learned vector per token id, the padding (0) and the unknown token (1) among them."""

    # Whether the gradient holds the rows of the ids of the batch alone, as torch's sparse tensor.
    sparse = False

    def __init__(self, vocab_size: int, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, dim))

    def reset_parameters(self, generator: Generator | None) -> None:
        """Normal with a standard deviation of 0.1."""
        nn.init.normal_(self.weight, std=0.1, generator=generator)

    def forward(self, ids: Tensor, mask: Tensor | None, channels: Tensor | None) -> Inputs:
        """Vectors of ids (n_steps,), times the mask of each row (n_rows, dim), the channels (n_steps, n) beside them.

        They are never written out: the kernels read the table themselves.
        """
        return Inputs(channels, ids, self.weight, mask, self.sparse)

    def extra_repr(self) -> str:
        return "{}, {}".format(*self.weight.shape)


class OneHot(nn.Module):
    """One-hot vectors, which are never written out: the kernels read the ids themselves."""

    def forward(self, ids: Tensor) -> Tensor:
        return ids
