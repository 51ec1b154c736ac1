"""The three kinds of dropout. Each is inactive outside training and draws from the generator that is passed to it.

References
----------
Y. Gal, Z. Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks", NeurIPS 2016:
one mask per sequence, constant over time. S. Merity, N. S. Keskar, R. Socher, "Regularizing and optimizing LSTM
language models", ICLR 2018: recurrent weights are dropped once per batch.
"""

import torch
from torch import Generator, Tensor, nn


def _dropout_mask(shape: tuple[int, ...], p: float, like: Tensor, generator: Generator | None) -> Tensor:
    """1 / (1 - p) where a value is kept, 0 where it is dropped."""
    is_kept = torch.rand(shape, generator=generator, device=like.device) >= p
    return is_kept.to(like.dtype) / (1 - p)


class SequenceDropout(nn.Module):
    """Drops features, with one mask per sequence that is the same at all of its steps."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, inputs: Tensor, row_of_step: Tensor | None, n_rows: int, generator: Generator | None) -> Tensor:
        """Apply dropout to (n_steps, features), or to (n_rows, features) if `row_of_step` is None."""
        mask = self.mask((n_rows, *inputs.shape[1:]), inputs, generator)
        if mask is None:
            return inputs
        return inputs * (mask if row_of_step is None else mask.index_select(0, row_of_step))

    def mask(self, shape: tuple[int, ...], like: Tensor, generator: Generator | None) -> Tensor | None:
        """The factors for (n_rows, features), or None if nothing is dropped."""
        return _dropout_mask(shape, self.p, like, generator) if self.training and self.p else None

    def extra_repr(self) -> str:
        return f"p={self.p}"


class TokenDropout(nn.Module):
    """Replaces tokens by the unknown token, so that its embedding is trained."""

    def __init__(self, p: float, unknown_id: int = 1):
        super().__init__()
        self.p = p
        self.unknown_id = unknown_id

    def forward(self, ids: Tensor, generator: Generator | None) -> Tensor:
        if not self.training or self.p == 0:
            return ids
        dropped = torch.rand(ids.shape, generator=generator, device=ids.device) < self.p
        return ids.masked_fill(dropped, self.unknown_id)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class WeightDropout(nn.Module):
    """Drops individual weights once per batch (DropConnect), so that any kernel can run the recurrence."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, weight: Tensor, generator: Generator | None) -> Tensor:
        if not self.training or self.p == 0:
            return weight
        return weight * _dropout_mask(tuple(weight.shape), self.p, weight, generator)

    def extra_repr(self) -> str:
        return f"p={self.p}"
