"""The layers of a network with their output shapes and numbers of weights, from its configuration alone."""

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from seqclf._inference.config import NetworkConfig, filter_width

# Not trained: the normalisation of a convolution, and the number of batches that it was computed from.
_NOT_TRAINED = ("mean", "variance", "n_batches")


class Layer(NamedTuple):
    """A layer of a network.

    Parameters
    ----------
    name : str
    settings : str
        What distinguishes this layer from others of its kind.
    output_shape : tuple of str and int
        The shape of the output for one sequence; "steps" is the number of its steps.
    n_weights : int
        The number of trained weights.
    """

    name: str
    settings: str
    output_shape: tuple[str | int, ...]
    n_weights: int


def layers_of(config: NetworkConfig, step_features: str) -> list[Layer]:
    """The layers in the order of the computation; `step_features` describes the step features, if there are any."""
    return [*_inputs(config, step_features), *_recurrent(config), *_convolutions(config), *_outputs(config)]


def _n_weights(config: NetworkConfig, *prefixes: str) -> int:
    """The number of trained weights whose names begin with one of these."""
    shapes = config.weight_shapes().items()
    return sum(
        prod(shape)
        for name, shape in shapes
        if name.startswith(prefixes) and name.rpartition(".")[2] not in _NOT_TRAINED
    )


def _inputs(config: NetworkConfig, step_features: str) -> Iterator[Layer]:
    if config.vocab_size is None:
        channels = "channel" if config.n_channels == 1 else "channels"
        yield Layer("input", f"{config.n_channels:,} {channels}", ("steps", config.n_channels), 0)
    elif config.embedding_dim is None:
        yield Layer("one-hot", f"{config.vocab_size:,} token ids", ("steps", config.vocab_size), 0)
    else:
        n_weights = _n_weights(config, "embedding.")
        yield Layer("embedding", f"{config.vocab_size:,} token ids", ("steps", config.embedding_dim), n_weights)
    if config.n_step_features:
        yield Layer("step features", step_features, ("steps", config.n_step_features), 0)


def _recurrent(config: NetworkConfig) -> Iterator[Layer]:
    for number, units in enumerate(config.units):
        directions = f"2 directions of {units:,} units" if config.bidirectional else f"{units:,} units"
        activation = "" if config.activation == "tanh" else f", {config.activation}"
        shape = ("steps", config.n_directions * units)
        weights = _n_weights(config, f"recurrent.layers.{number}.")
        yield Layer(f"recurrent {number + 1}", f"{config.cell}, {directions}{activation}", shape, weights)
    if config.pooling is not None:
        yield Layer("pooling", config.pooling, (config.n_states,), _n_weights(config, "pooling."))


def _convolutions(config: NetworkConfig) -> Iterator[Layer]:
    for number, filters in enumerate(config.conv_filters):
        settings = f"{filters:,} filters of {filter_width(number)} steps, next to the recurrent layers"
        weights = _n_weights(config, f"convolutions.layers.{number}.")
        yield Layer(f"convolution {number + 1}", settings, ("steps", filters), weights)
    if config.pooling is not None and config.conv_filters:
        yield Layer("pooling", "mean of the convolutions", (config.conv_filters[-1],), 0)


def _outputs(config: NetworkConfig) -> Iterator[Layer]:
    if config.pooling is not None and config.n_step_features:
        yield Layer("pooling", "mean of the step features", (config.n_step_features,), 0)
    shape = (config.n_outputs,) if config.pooling is not None else ("steps", config.n_outputs)
    n_features = config.weight_shapes()["head.weight"][1]
    yield Layer("head", f"linear, {n_features:,} inputs", shape, _n_weights(config, "head.weight", "head.bias"))
    if config.scores:
        n_weights = _n_weights(config, "head.score_weights")
        yield Layer("linear model", "its scores, weighted and added", shape, n_weights)
