"""The network: embed, recur, pool, classify. An ordinary torch module over ragged batches."""

import inspect
from typing import Any, Self

import numpy as np
import torch
from torch import Generator, Tensor, nn

from seqclf import _kernels
from seqclf._kernels import Inputs, LookUp, StepLayout
from seqclf._nn.convolution import Convolution, ConvolutionStack
from seqclf._nn.dropout import SequenceDropout, TokenDropout
from seqclf._nn.embedding import Embedding, OneHot
from seqclf._nn.pooling import AttentionPooling, make_pooling
from seqclf._nn.recurrent import Direction, RecurrentStack

# The mean ratio of a text is small beside its pooled states.
_MEAN_SCALE = 10.0


class Network(nn.Module):
    """Recurrent classifier over token ids (`vocab_size`) or numeric steps (`n_channels`).

    Parameters
    ----------
    n_outputs : int
        Logits per sequence: 1 for two classes, else one per class.
    vocab_size : int or None
        Number of token ids; None where the inputs are numbers.
    embedding_dim : int or None
        Width of the token vectors; None for one-hot.
    n_channels : int
        Numbers per step: all of the input, or what stands beside each token id.
    votes : bool
        Whether each sequence comes with a number for each class, which are added to the logits, in place of the means
        of the numbers beside its token ids.
    cell, units, bidirectional, pooling, activation, dropout, recurrent_dropout, token_dropout, conv_filters
        As in the estimators; `units` is a tuple with one width per layer, and so is `conv_filters`.
    """

    def __init__(
        self,
        *,
        n_outputs: int,
        vocab_size: int | None = None,
        embedding_dim: int | None = None,
        n_channels: int = 0,
        votes: bool = False,
        cell: str,
        units: tuple[int, ...],
        bidirectional: bool,
        pooling: str,
        activation: str,
        dropout: float,
        recurrent_dropout: float,
        token_dropout: float = 0.0,
        conv_filters: tuple[int, ...] = (),
    ):
        super().__init__()
        arguments = locals()
        self.config: dict[str, Any] = {name: arguments[name] for name in inspect.signature(Network).parameters}
        self.embedding: nn.Module | None = None
        if vocab_size is None:
            n_inputs = n_channels
        elif embedding_dim is None:
            self.embedding, n_inputs = OneHot(), vocab_size + n_channels
        else:
            self.embedding, n_inputs = Embedding(vocab_size, embedding_dim), embedding_dim + n_channels
        self.token_dropout = TokenDropout(token_dropout)
        self.dropout = SequenceDropout(dropout)
        self.recurrent = RecurrentStack(cell, n_inputs, units, bidirectional, activation, dropout, recurrent_dropout)
        self.pooling = make_pooling(pooling, self.recurrent.n_outputs, units[-1])
        n_pooled = self.recurrent.n_outputs
        self.convolutions = None
        if conv_filters:
            self.convolutions = ConvolutionStack(n_inputs, conv_filters)
            n_pooled += self.convolutions.n_outputs
        self.n_beside = 0 if self.embedding is None else n_channels
        self.n_means = 0 if votes else self.n_beside
        self.head = nn.utils.skip_init(nn.Linear, n_pooled + self.n_means, n_outputs)
        self.vote_weights = nn.Parameter(torch.empty(n_outputs)) if votes else None

    def reset_parameters(self, generator: Generator | None = None) -> Self:
        """Fill all weights anew from `generator` (None: torch's global one)."""
        for module in self.modules():
            if isinstance(module, Embedding | Direction | AttentionPooling | Convolution):
                module.reset_parameters(generator)
        nn.init.xavier_uniform_(self.head.weight, generator=generator)
        if self.n_means:
            # The means of the channels start as a vote, each for the class that it speaks of.
            n_outputs = self.head.out_features
            votes = torch.eye(n_outputs).repeat(1, self.n_means // n_outputs)
            with torch.no_grad():
                self.head.weight[:, self.head.in_features - self.n_means :] = votes
        if self.vote_weights is not None:
            nn.init.ones_(self.vote_weights)
        nn.init.zeros_(self.head.bias)
        return self

    def forward(
        self,
        values: Tensor,
        lengths,
        generator: Generator | None = None,
        beside: Tensor | LookUp | None = None,
        votes: Tensor | None = None,
        starts: np.ndarray | None = None,
    ) -> Tensor:
        """Logits of a batch of sequences.

        Parameters
        ----------
        values : Tensor of shape (n_steps,) of token ids, or (n_steps, n_channels) of numbers
            The steps of all sequences, end to end; or with `starts` the data that the sequences lie in.
        lengths : array-like of shape (n_sequences,)
            Number of steps of each sequence, in any order; 0 is allowed.
        generator : torch.Generator, default=None
            Source of the dropout masks in training mode (None: torch's global one).
        beside : Tensor of shape (n_steps, n_channels), or LookUp, default=None
            Numbers beside the token ids, for a network that was built with some; they lie as `values` do.
        votes : Tensor of shape (n_sequences, n_outputs), default=None
            Numbers beside the sequences, for a network that was built for them.
        starts : ndarray of shape (n_sequences,), default=None
            Where each sequence begins in `values`: in any order, and more than once if so wanted.

        Returns
        -------
        Tensor of shape (n_sequences, n_outputs)
            A sequence of length 0 has a pooled vector of zeros, so the bias of the head decides.
        """
        return self.vote(self.head(self.features(values, lengths, generator, beside, starts=starts)), votes)

    def vote(self, logits: Tensor, votes: Tensor | None) -> Tensor:
        """The logits with the votes, for a network that was built with them."""
        if (votes is None) != (self.vote_weights is None):
            given = "are missing" if votes is None else "were given"
            raise ValueError(f"votes {given}, but the network was built with votes={self.config['votes']}.")
        return logits if votes is None or self.vote_weights is None else logits + votes * self.vote_weights

    def features(
        self,
        values: Tensor,
        lengths,
        generator: Generator | None = None,
        beside: Tensor | LookUp | None = None,
        projected: list[Tensor] | None = None,
        starts: np.ndarray | None = None,
    ) -> Tensor:
        """What the head judges by, shape (n_sequences, n_features); arguments as in :meth:`forward`.

        `projected` is what the first layer made of the embedding (`RecurrentLayer.project`), for reading.
        """
        given = beside.n_channels if isinstance(beside, LookUp) else 0 if beside is None else beside.shape[1]
        if given != self.n_beside:
            raise ValueError(f"beside holds {given} numbers a step, but the network was built for {self.n_beside}.")
        layout = StepLayout(lengths, self.head.weight.device, starts)
        shape = (layout.n_sequences, self.head.in_features)
        if not layout.n_rows:
            return self.head.weight.new_zeros(shape)
        values = _kernels.arrange(values, layout)
        if beside is not None:
            beside = _kernels.arrange(beside, layout).to(self.head.weight.dtype)
        inputs = self._inputs(values, beside, layout, generator, projected)
        outputs = self.recurrent(inputs, layout, generator)
        features = self.pooling(outputs, layout)
        if self.convolutions is not None:
            features = torch.cat((features, self.convolutions(_kernels.written_out(inputs, layout), layout)), dim=1)
        features = self.dropout(features, None, layout.n_rows, generator)
        if beside is not None and self.n_means:
            features = torch.cat((features, _MEAN_SCALE * _kernels.pool("mean", beside, layout)), dim=1)
        return features if layout.is_sorted else features.new_zeros(shape).index_copy(0, layout.order, features)

    def _inputs(
        self,
        values: Tensor,
        beside: Tensor | None,
        layout: StepLayout,
        generator: Generator | None,
        projected: list[Tensor] | None,
    ) -> Inputs:
        """What the first layer reads."""
        if self.embedding is None:
            return Inputs(values.to(self.head.weight.dtype))
        ids = self.token_dropout(values, generator)
        if projected is not None:
            return Inputs(beside, ids, projected=projected)
        if not isinstance(self.embedding, Embedding):
            return Inputs(beside, ids)
        table = self.embedding.weight
        mask = self.dropout.mask((layout.n_rows, table.shape[1]), table, generator)
        return self.embedding(ids, mask, beside)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Copies of all weights as numpy arrays, whatever the device."""
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in self.state_dict().items()}

    @classmethod
    def from_arrays(cls, config: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """The network of that configuration with those weights, on the CPU, in evaluation mode."""
        network = cls(**config)
        # A copy: the arrays may be read-only memory maps.
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
        return network.eval()
