"""Token ids to vectors: learned ones, or one-hot."""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional


class Embedding(nn.Module):
    """One learned vector per token id, the padding (0) and the unknown token (1) among them."""

    def __init__(self, vocab_size: int, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, dim))

    def reset_parameters(self, generator: Generator | None) -> None:
        """Normal with a standard deviation of 0.1."""
        nn.init.normal_(self.weight, std=0.1, generator=generator)

    def forward(self, ids: Tensor) -> Tensor:
        return functional.embedding(ids, self.weight)

    def extra_repr(self) -> str:
        return "{}, {}".format(*self.weight.shape)


class OneHot(nn.Module):
    """One-hot vectors, which are never written out: the kernels read the ids themselves."""

    def forward(self, ids: Tensor) -> Tensor:
        return ids
