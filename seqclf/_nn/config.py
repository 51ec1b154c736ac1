"""What a network is built from: the arguments of `Network`, as plain values that a file can hold."""

from dataclasses import dataclass

from seqclf._kernels import CELLS


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of a network.

    Parameters
    ----------
    n_outputs : int
        Numbers for each sequence, or for each step.
    vocab_size : int or None
        Number of token ids; None where the inputs are numbers.
    embedding_dim : int or None
        Width of the token vectors; None for one-hot.
    n_channels : int
        Numbers of a step, where the inputs are numbers.
    n_step_features : int
        Numbers next to each token id.
    scores : bool
        Whether each sequence comes with estimates of the outputs, to which those of the network are added.
    pooling : str or None
        As in the estimators; None gives outputs for each step.
    cell, units, bidirectional, activation, dropout, recurrent_dropout, token_dropout, conv_filters
        As in the estimators; `units` is a tuple with one width per layer, and so is `conv_filters`.
    """

    n_outputs: int
    cell: str
    units: tuple[int, ...]
    bidirectional: bool
    pooling: str | None
    activation: str
    dropout: float
    recurrent_dropout: float
    vocab_size: int | None = None
    embedding_dim: int | None = None
    n_channels: int = 0
    n_step_features: int = 0
    scores: bool = False
    token_dropout: float = 0.0
    conv_filters: tuple[int, ...] = ()

    @property
    def n_weights(self) -> int:
        """How many weights the network has at least; filters count as if they saw one step."""
        n_inputs, n_weights = self.n_channels, 0
        if self.vocab_size is not None:
            n_inputs = (self.vocab_size if self.embedding_dim is None else self.embedding_dim) + self.n_step_features
            n_weights += self.vocab_size * (self.embedding_dim or 0)
        directions = 2 if self.bidirectional else 1
        for before, width in zip((n_inputs, *self.conv_filters), self.conv_filters, strict=False):
            n_weights += before * width
        for width in self.units:
            n_weights += directions * CELLS[self.cell].n_gates * width * (n_inputs + width + 1)
            n_inputs = directions * width
        return n_weights + self.n_outputs * (n_inputs + sum(self.conv_filters[-1:]))
