"""Token ids to vectors: learned embeddings, or one-hot."""

import torch
from torch import Generator, Tensor, nn

from seqclf._kernels import Inputs


class Embedding(nn.Module):
    """One learned vector per token id, including padding (0) and the unknown token (1)."""

    # Whether the gradient is a sparse tensor, with vectors for the ids in the batch only.
    sparse = False

    def __init__(self, vocab_size: int, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, dim))

    def reset_parameters(self, generator: Generator | None) -> None:
        """Draw from a normal distribution with a standard deviation of 0.1."""
        nn.init.normal_(self.weight, std=0.1, generator=generator)

    def forward(self, ids: Tensor, mask: Tensor | None, step_features: Tensor | None) -> Inputs:
        """The inputs of the first layer: vectors of ids (n_steps,), and step features (n_steps, n).

        The vectors are multiplied by the mask of their row, (n_rows, dim). They are not materialized: the kernels look
        them up.
        """
        return Inputs(step_features, ids, self.weight, mask, self.sparse)

    def extra_repr(self) -> str:
        return "{}, {}".format(*self.weight.shape)


class OneHot(nn.Module):
    """One-hot vectors. They are not materialized: the kernels use the ids directly."""

    def forward(self, ids: Tensor) -> Tensor:
        return ids
