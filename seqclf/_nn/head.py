"""`Head`: the last layer, from the features of a unit (a sequence or a step) to its outputs."""

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional


class Head(nn.Module):
    """A linear layer plus weighted scores, which are the estimates of the wide half of the model.

    Parameters
    ----------
    n_features : int
        Number of features of a unit. The last `n_means` of them are means of step features.
    n_outputs : int
        Number of outputs of each unit.
    n_means : int
        Number of means of step features: a multiple of `n_outputs`, with one mean per output in each group.
    scores : bool
        Whether each unit has an estimate of each output, with a learned weight that starts at 1.
    """

    def __init__(self, n_features: int, n_outputs: int, n_means: int, scores: bool):
        super().__init__()
        self.n_means = n_means
        self.weight = nn.Parameter(torch.empty(n_outputs, n_features))
        self.bias = nn.Parameter(torch.empty(n_outputs))
        self.score_weights = nn.Parameter(torch.empty(n_outputs)) if scores else None

    @property
    def n_features(self) -> int:
        """Number of features of a unit."""
        return self.weight.shape[1]

    @property
    def n_outputs(self) -> int:
        """Number of outputs of a unit."""
        return self.weight.shape[0]

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None) -> None:
        """Glorot uniform weights, a zero bias, and score weights of 1."""
        nn.init.xavier_uniform_(self.weight, generator=generator)
        if self.score_weights is not None:
            self.score_weights.fill_(1.0)
        self.bias.zero_()

    @torch.no_grad()
    def start(self, bias: np.ndarray, as_sum_of_means: bool) -> None:
        """Set the initial outputs, from what the task computes before the training.

        Parameters
        ----------
        bias : ndarray of shape (n_outputs,)
            The outputs of an empty sequence.
        as_sum_of_means : bool
            Whether each mean starts as an estimate of its output. Otherwise, if there are scores, the weights of the
            means start at 0.
        """
        self.bias.copy_(torch.from_numpy(bias))
        mean_weights = self.weight[:, self.n_features - self.n_means :]
        if self.n_means and as_sum_of_means:
            mean_weights.copy_(torch.eye(self.n_outputs).repeat(1, self.n_means // self.n_outputs))
        elif self.score_weights is not None:
            mean_weights.zero_()

    @torch.no_grad()
    def shrink(self, fraction: float) -> None:
        """Shrink the network's contribution to the outputs, relative to the scores, to this fraction (0 to 1)."""
        if self.score_weights is not None:
            self.weight.mul_(fraction)
            self.bias.mul_(fraction)
            self.score_weights.copy_(1 + fraction * (self.score_weights - 1))

    def forward(self, features: Tensor, scores: Tensor | None) -> Tensor:
        """Outputs (n_units, n_outputs)."""
        has_scores = self.score_weights is not None
        if (scores is not None) != has_scores:
            problem = "are missing" if scores is None else "were given"
            raise ValueError(f"scores {problem}, but the network was built with scores={has_scores}.")
        outputs = functional.linear(features, self.weight, self.bias)
        return outputs if scores is None or self.score_weights is None else outputs + scores * self.score_weights

    def extra_repr(self) -> str:
        return f"{self.n_features} -> {self.n_outputs}"
