"""`Head`: the last layer, which turns the features of a unit into its outputs."""

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional


class Head(nn.Module):
    """A linear layer, to whose outputs the estimates of the wide half are added.

    Parameters
    ----------
    n_features : int
        What a unit is described by. The last `n_means` of them are the means of step features.
    n_outputs : int
        Numbers for each unit.
    n_means : int
        Means of step features, one for each output, several times over.
    scores : bool
        Whether each unit comes with an estimate of each output; it starts with a weight of 1.
    """

    def __init__(self, n_features: int, n_outputs: int, n_means: int, scores: bool):
        super().__init__()
        self.n_means = n_means
        self.weight = nn.Parameter(torch.empty(n_outputs, n_features))
        self.bias = nn.Parameter(torch.empty(n_outputs))
        self.score_weights = nn.Parameter(torch.empty(n_outputs)) if scores else None

    @property
    def n_features(self) -> int:
        """What a unit is described by."""
        return self.weight.shape[1]

    @property
    def n_outputs(self) -> int:
        """Numbers for each unit."""
        return self.weight.shape[0]

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None) -> None:
        """Glorot uniform weights, no bias; scores count in full."""
        nn.init.xavier_uniform_(self.weight, generator=generator)
        if self.score_weights is not None:
            self.score_weights.fill_(1.0)
        self.bias.zero_()

    @torch.no_grad()
    def start(self, bias: np.ndarray, as_sum_of_means: bool) -> None:
        """Set what a task knows of the outputs before training.

        Parameters
        ----------
        bias : ndarray of shape (n_outputs,)
            The outputs of an empty sequence.
        as_sum_of_means : bool
            Whether each mean starts as an estimate of its own output; with scores means start without influence.
        """
        self.bias.copy_(torch.from_numpy(bias))
        of_means = self.weight[:, self.n_features - self.n_means :]
        if self.n_means and as_sum_of_means:
            of_means.copy_(torch.eye(self.n_outputs).repeat(1, self.n_means // self.n_outputs))
        elif self.score_weights is not None:
            of_means.zero_()

    @torch.no_grad()
    def keep(self, share: float) -> None:
        """Keep so much, from 0 to 1, of what the outputs are besides the scores."""
        if self.score_weights is not None:
            self.weight.mul_(share)
            self.bias.mul_(share)
            self.score_weights.copy_(1 + share * (self.score_weights - 1))

    def forward(self, features: Tensor, scores: Tensor | None) -> Tensor:
        """Outputs (n_units, n_outputs)."""
        if (scores is None) != (self.score_weights is None):
            given = "are missing" if scores is None else "were given"
            raise ValueError(f"scores {given}, but the network was built with scores={self.score_weights is not None}.")
        outputs = functional.linear(features, self.weight, self.bias)
        return outputs if scores is None or self.score_weights is None else outputs + scores * self.score_weights

    def extra_repr(self) -> str:
        return f"{self.n_features} -> {self.n_outputs}"
