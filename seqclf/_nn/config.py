"""What a network is built from: the arguments of `Network`, as plain values that a file can hold."""

from dataclasses import dataclass


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
