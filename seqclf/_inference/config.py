"""`NetworkConfig`: the architecture of a network as plain values that can be saved, and the shapes of its weights."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Self

from seqclf._cells import ACTIVATIONS, CELLS
from seqclf._saved import Saved, State

# The largest number of recurrent layers, and of convolutional layers.
MAX_LAYERS = 1_000
# The values of the `pooling` parameter.
POOLINGS = ("last", "mean", "max", "attention")
# Factor for the means of step features, which are small compared with the pooled states.
MEAN_SCALE = 10.0
# Filter width of each layer; further layers have the last width. The published widths are 8, 5 and 3; widths of 7, 5
# and 3 were no better than these in cross-validation.
_WIDTHS = (15, 9, 5)


def filter_width(depth: int) -> int:
    """The filter width of a layer; the first layer has depth 0."""
    return _WIDTHS[min(depth, len(_WIDTHS) - 1)]


@dataclass(frozen=True)
class NetworkConfig:
    """The architecture of a network.

    Parameters
    ----------
    n_outputs : int
        Number of outputs per sequence, or per step.
    vocab_size : int or None
        Number of token ids; None for numeric inputs.
    embedding_dim : int or None
        Dimension of the token vectors; None for one-hot.
    n_channels : int
        Number of values per step for numeric inputs.
    n_step_features : int
        Number of step features per token.
    scores : bool
        Whether each sequence has estimates of the outputs, which are added to those of the network.
    pooling : str or None
        As in the estimators; None gives one output per step.
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
    def n_inputs(self) -> int:
        """Number of inputs of the first layer per step, with the vector or the one-hot encoding of an id."""
        id_width = 0 if self.vocab_size is None else self.embedding_dim or self.vocab_size
        return id_width + self.n_step_features + self.n_channels

    @property
    def n_directions(self) -> int:
        """Number of directions of each layer."""
        return 2 if self.bidirectional else 1

    @property
    def n_states(self) -> int:
        """Width of the last layer's state, with all its directions."""
        return self.n_directions * self.units[-1]

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each weight, by the names of ``Network.state_dict()``."""
        shapes = dict(self._recurrent_shapes())
        if self.vocab_size is not None and self.embedding_dim is not None:
            shapes["embedding.weight"] = (self.vocab_size, self.embedding_dim)
        n_features = self.n_states
        if self.pooling == "attention":
            shapes["pooling.weight"] = (n_features, n_features)
            shapes["pooling.bias"] = shapes["pooling.query"] = (n_features,)
        shapes |= self._convolution_shapes()
        n_features += sum(self.conv_filters[-1:]) + self.n_step_features
        shapes["head.weight"], shapes["head.bias"] = (self.n_outputs, n_features), (self.n_outputs,)
        if self.scores:
            shapes["head.score_weights"] = (self.n_outputs,)
        return shapes

    def _recurrent_shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        cell, n_inputs = CELLS[self.cell], self.n_inputs
        for layer, units in enumerate(self.units):
            rows = cell.n_gates * units
            for direction in range(self.n_directions):
                prefix = f"recurrent.layers.{layer}.directions.{direction}"
                yield f"{prefix}.weight_input", (rows, n_inputs)
                yield f"{prefix}.weight_recurrent", (rows, units)
                yield f"{prefix}.bias", (rows,)
                if cell.has_recurrent_bias:
                    yield f"{prefix}.bias_recurrent", (rows,)
            n_inputs = self.n_directions * units

    def _convolution_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        n_before = self.n_inputs
        for depth, n in enumerate(self.conv_filters):
            prefix = f"convolutions.layers.{depth}"
            shapes[f"{prefix}.weight"] = (n, n_before, filter_width(depth))
            shapes |= {f"{prefix}.{name}": (n,) for name in ("bias", "mean", "variance")}
            shapes[f"{prefix}.n_batches"] = ()
            n_before = n
        return shapes

    def to_state(self) -> State:
        """The values as a dict, for `from_state`."""
        return asdict(self)

    @classmethod
    def from_state(cls, saved: Saved) -> Self:
        """Restore a configuration from saved values."""
        config = cls(
            n_outputs=saved.integer("n_outputs", low=1),
            cell=saved.option("cell", tuple(CELLS)),
            units=saved.integers("units", low=1),
            bidirectional=saved.boolean("bidirectional"),
            pooling=saved.optional("pooling", saved.option, POOLINGS),
            activation=saved.option("activation", tuple(ACTIVATIONS)),
            dropout=saved.number("dropout", 0, 1),
            recurrent_dropout=saved.number("recurrent_dropout", 0, 1),
            vocab_size=saved.optional("vocab_size", saved.integer, low=1),
            embedding_dim=saved.optional("embedding_dim", saved.integer, low=1),
            n_channels=saved.integer("n_channels"),
            n_step_features=saved.integer("n_step_features"),
            scores=saved.boolean("scores"),
            token_dropout=saved.number("token_dropout", 0, 1),
            conv_filters=saved.integers("conv_filters", low=1),
        )
        for name, layers in (("units", config.units), ("conv_filters", config.conv_filters)):
            saved.require(len(layers) <= MAX_LAYERS, f"{name} has {len(layers)} layers; expected {MAX_LAYERS} or fewer")
        saved.require(len(config.units) > 0, "units has no layer")
        if config.vocab_size is None:
            has_id_settings = config.embedding_dim is not None or config.n_step_features > 0
            saved.require(not has_id_settings, "embedding_dim or n_step_features without a vocab_size")
            saved.require(config.n_channels > 0, "a network without a vocab_size needs n_channels")
        else:
            saved.require(config.n_channels == 0, "both vocab_size and n_channels are given")
            one_hot = config.embedding_dim is None
            saved.require(not (one_hot and config.conv_filters), "conv_filters are not possible with one-hot ids")
        return config

    @property
    def n_weights(self) -> int:
        """A lower bound on the number of weights: filters are counted with a width of 1."""
        n_inputs, n_weights = self.n_inputs, (self.vocab_size or 0) * (self.embedding_dim or 0)
        directions = self.n_directions
        for before, width in zip((n_inputs, *self.conv_filters), self.conv_filters, strict=False):
            n_weights += before * width
        for width in self.units:
            n_weights += directions * CELLS[self.cell].n_gates * width * (n_inputs + width + 1)
            n_inputs = directions * width
        return n_weights + self.n_outputs * (n_inputs + sum(self.conv_filters[-1:]))
