"""`InferenceNetwork`: a trained network without gradients and without torch, each row by itself."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._cells import CELLS, Weights
from seqclf._data.encoded import EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._inference.batches import PredictionBatch, prediction_batches
from seqclf._inference.config import MEAN_SCALE, NetworkConfig
from seqclf._inference.convolution import convolve_relu, normalised
from seqclf._inference.dispatch import is_compiled, supports
from seqclf._inference.gather import arrange, look_up
from seqclf._inference.head import linear
from seqclf._inference.inputs import LayerInputs, written_out
from seqclf._inference.layout import BatchLayout
from seqclf._inference.memory import check_prediction
from seqclf._inference.pooling import attend, last, pool
from seqclf._inference.recurrence import Recurrence
from seqclf._saved import Saved, State

Array = NDArray[Any]
# A projected table pays while it fits the cache, or where the vectors are wide.
_MAX_CACHED_BYTES, _MIN_WIDE = 2**24, 64
_DIRECTION = ("weight_input", "weight_recurrent", "bias", "bias_recurrent")


class InferenceNetwork:
    """Gives outputs and states that don't depend on the rows that are predicted together.

    It computes in float32 where the compiled library does, which gives a row the same bits in any batch, and elsewhere
    in plain numpy in float64.

    Parameters
    ----------
    config : NetworkConfig
        The network.
    weights : mapping of str to ndarray
        All of `config.weight_shapes()`, in float32. They are not copied unless they must be, and must not change while
        this object is in use.
    """

    def __init__(self, config: NetworkConfig, weights: Mapping[str, NDArray[np.float32]]):
        _check(config, weights)
        self.config, self.weights = config, weights
        self._compiled = is_compiled(config.cell, config.activation)
        if self._compiled and not supports(config.cell, config.activation):
            raise ValueError(f"The kernel 'cpu' has no {config.cell} with activation {config.activation!r}.")
        self._dtype = np.float32 if self._compiled else np.float64

    def outputs(self, sequences: EncodedSequences) -> NDArray[np.float64] | Ragged:
        """The outputs for each sequence, (n_sequences, n_outputs) in float64 and in the order given.

        A network without pooling gives a Ragged, with the outputs for each step. A sequence of length 0 is pooled to
        zeros, so the bias of the head decides.
        """
        steps, per_step, n_outputs = sequences.steps, self.config.pooling is None, self.config.n_outputs
        self._refuse_too_much(sequences, 8 * n_outputs if per_step else 0)
        outputs = np.empty((steps.n_steps if per_step else len(sequences), n_outputs))
        projected = self._projected(steps.n_steps)
        for batch in prediction_batches(sequences):
            units = steps.positions(batch.rows) if per_step else batch.rows
            outputs[units] = self._head(self._features(batch, projected), batch.scores)
        return Ragged(outputs, sequences.lengths) if per_step else outputs

    def states(self, sequences: EncodedSequences) -> Ragged:
        """The states of the last recurrent layer after every step, in float32; the forward direction comes first."""
        self._refuse_too_much(sequences, 4 * self.config.n_states)
        states = np.empty((sequences.steps.n_steps, self.config.n_states), dtype=np.float32)
        projected = self._projected(sequences.steps.n_steps)
        for batch in prediction_batches(sequences):
            layout = batch.layout
            if layout.n_rows:
                found = self._recur(self._inputs(batch, projected), layout)
                states[sequences.steps.positions(batch.rows)] = found[layout.positions_end_to_end]
        return Ragged(states, sequences.lengths)

    def __getstate__(self) -> State:
        return {"config": self.config, "weights": self.weights}  # without what has pointers for the library

    def __setstate__(self, state: State) -> None:
        self.__init__(state["config"], state["weights"])  # type: ignore[misc]

    def to_state(self) -> State:
        """The configuration and the weights."""
        weights = {name: self.weights[name] for name in self.config.weight_shapes()}
        return {"config": self.config.to_state(), "weights": weights}

    @classmethod
    def from_state(cls, saved: Saved) -> Self:
        """The network of a saved state."""
        config = saved.part("config", NetworkConfig.from_state)
        shapes = config.weight_shapes()

        def read(weights: Saved) -> dict[str, NDArray[np.float32]]:
            weights.refuse_others(shapes)
            return {name: weights.array(name, np.float32, shape) for name, shape in shapes.items()}

        return cls(config, saved.part("weights", read))

    def _refuse_too_much(self, sequences: EncodedSequences, kept: int) -> None:
        check_prediction(self.config, sequences, kept, exact=self._compiled)

    def _weight(self, name: str) -> Array:
        """A weight in the dtype of the computation, contiguous."""
        return np.require(self.weights[name], self._dtype, ["C", "A"])

    @cached_property
    def _table(self) -> NDArray[np.float32] | None:
        """The vector of each token id; it is read a step at a time, so it has no copy in float64."""
        given = self.weights.get("embedding.weight")
        return None if given is None else np.require(given, requirements=["C", "A"])

    @cached_property
    def _layers(self) -> list[Recurrence]:
        config, n_looked_up = self.config, 0
        if config.vocab_size is not None:
            n_looked_up = config.embedding_dim or config.vocab_size
        layers = []
        names = _DIRECTION if CELLS[config.cell].has_recurrent_bias else _DIRECTION[:3]
        for layer in range(len(config.units)):
            prefixes = [f"recurrent.layers.{layer}.directions.{i}." for i in range(config.n_directions)]
            weights = [Weights(*(self._weight(prefix + name) for name in names)) for prefix in prefixes]
            layers.append(Recurrence(config.cell, config.activation, weights, 0 if layer else n_looked_up))
        return layers

    @cached_property
    def _filters(self) -> list[tuple[Array, Array]]:
        """Weight and bias of each layer of convolution."""
        prefixes = [f"convolutions.layers.{depth}." for depth in range(len(self.config.conv_filters))]
        names = ("weight", "bias", "mean", "variance")
        return [normalised(*(self._weight(prefix + name) for name in names)) for prefix in prefixes]

    @cached_property
    def _attention(self) -> tuple[Array, Array, Array]:
        weight, bias, query = (self._weight(f"pooling.{name}") for name in ("weight", "bias", "query"))
        return weight, bias, query

    @cached_property
    def _head_weights(self) -> tuple[Array, Array]:
        return self._weight("head.weight"), self._weight("head.bias")

    def _projected(self, n_steps: int) -> Sequence[NDArray[np.float32]] | None:
        """What the first layer makes of each token id, if there are more steps than ids and if it pays."""
        table = self._table
        # The convolutions read the vectors themselves.
        if table is None or not self._compiled or self.config.conv_filters:
            return None
        n_bytes = len(table) * 4 * len(self._layers[0].directions[0].input)
        pays = n_bytes <= _MAX_CACHED_BYTES or table.shape[1] >= _MIN_WIDE
        return self._layers[0].project(table) if n_steps > len(table) and pays else None

    def _inputs(self, batch: PredictionBatch, projected: Sequence[NDArray[np.float32]] | None) -> LayerInputs:
        """What the first layer reads. Next to ids the numbers are the step features."""
        features, layout = batch.features, batch.layout
        width = 0 if features is None else features.width
        if width != self.config.n_step_features:
            raise ValueError(
                f"step_features holds {width} numbers a step, but the network was built for "
                f"{self.config.n_step_features}."
            )
        values = arrange(batch.values, layout)
        if self.config.vocab_size is None:
            return LayerInputs(values.astype(self._dtype, copy=False))
        numbers = None
        if features is not None:
            found = look_up(features.entries, features.tables, features.version, layout)
            numbers = found.astype(self._dtype, copy=False)
        table = self._table if projected is None else None
        return LayerInputs(numbers, values, table, projected)

    def _recur(self, inputs: LayerInputs, layout: BatchLayout) -> Array:
        """The states of the last layer, (n_steps, n_states)."""
        first, *others = self._layers
        states = first.run(inputs, layout)
        for layer in others:
            states = layer.run(LayerInputs(states), layout)
        return states

    def _features(self, batch: PredictionBatch, projected: Sequence[NDArray[np.float32]] | None) -> Array:
        """What the head decides by, (n_sequences or n_steps, n_features) in the order of the batch."""
        layout, per_step = batch.layout, self.config.pooling is None
        if not layout.n_rows:
            n_features = self._head_weights[0].shape[1]
            return np.zeros((0 if per_step else layout.n_sequences, n_features), dtype=self._dtype)
        inputs = self._inputs(batch, projected)
        parts = list(self._parts(inputs, layout))
        features = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        if per_step:
            return features[layout.positions_end_to_end]
        if layout.is_sorted:
            return features
        in_order = np.zeros((layout.n_sequences, features.shape[1]), dtype=self._dtype)
        in_order[layout.sequence_of_row] = features
        return in_order

    def _parts(self, inputs: LayerInputs, layout: BatchLayout) -> Iterator[Array]:
        """The features in the order of the layout: of each row, or without pooling of each step."""
        per_step = self.config.pooling is None
        states = self._recur(inputs, layout)
        yield states if per_step else self._pool(states, layout)
        del states
        if self.config.conv_filters:
            filtered = written_out(inputs, self._dtype)
            for weight, bias in self._filters:
                filtered = convolve_relu(filtered, layout, weight, bias)
            yield filtered if per_step else pool("mean", filtered, layout)
        if self.config.n_step_features and inputs.numbers is not None:
            numbers = inputs.numbers
            yield numbers if per_step else MEAN_SCALE * pool("mean", numbers, layout)

    def _pool(self, states: Array, layout: BatchLayout) -> Array:
        kind = self.config.pooling
        if kind == "last":
            return last(states, layout, self.config.units[-1])
        if kind == "attention":
            return attend(states, layout, *self._attention)
        assert kind is not None
        return pool(kind, states, layout)

    def _head(self, features: Array, scores: NDArray[np.float32] | None) -> NDArray[np.float64]:
        """The outputs of each unit; to those of the network its estimates are added."""
        if (scores is None) == self.config.scores:
            given = "are missing" if scores is None else "were given"
            raise ValueError(f"scores {given}, but the network was built with scores={self.config.scores}.")
        outputs = linear(features, *self._head_weights)
        return outputs if scores is None else outputs + scores * self._weight("head.score_weights")


def _check(config: NetworkConfig, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Refuse other weights than those of the network."""
    shapes = config.weight_shapes()
    if shapes.keys() != weights.keys():
        raise ValueError(f"Weights are missing or not of this network: {sorted(shapes.keys() ^ weights.keys())}.")
    for name, shape in shapes.items():
        weight = weights[name]
        if not isinstance(weight, np.ndarray) or weight.dtype != np.float32 or weight.shape != shape:
            found = f"{weight.dtype} of shape {weight.shape}" if isinstance(weight, np.ndarray) else type(weight)
            raise ValueError(f"The weight {name!r} is {found}; expected float32 of shape {shape}.")
