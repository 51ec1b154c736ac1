"""`InferenceNetwork`: prediction with a trained network, without torch and without gradients."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._cells import CELLS, Weights
from seqclf._data.encoded import AddFeatures, EncodedSequences
from seqclf._data.ragged import Ragged
from seqclf._inference.batches import PredictionBatch, prediction_batches
from seqclf._inference.config import MEAN_SCALE, NetworkConfig
from seqclf._inference.convolution import convolve_relu, fold_normalisation
from seqclf._inference.dispatch import is_compiled, supports
from seqclf._inference.gather import gather_steps, look_up
from seqclf._inference.head import linear
from seqclf._inference.inputs import LayerInputs, materialize
from seqclf._inference.layout import BatchLayout
from seqclf._inference.memory import check_prediction
from seqclf._inference.pooling import attend, last_states, pool
from seqclf._inference.recurrence import Recurrence
from seqclf._saved import Saved, State

Array = NDArray[Any]

# The largest numbers of steps, of sequences and of scores for which label features are computed at once. Those of texts
# take about 150 bytes per step.
_MAX_BLOCK_STEPS, _MAX_BLOCK_ROWS, _MAX_BLOCK_SCORES = 2**19, 2**16, 2**22
# Projecting the embedding is faster only if the result fits the cache, or if the vectors are wide.
_MAX_CACHED_BYTES, _MIN_WIDE_DIM = 2**24, 64
_DIRECTION = ("weight_input", "weight_recurrent", "bias", "bias_recurrent")


class InferenceNetwork:
    """Computes outputs and states that do not depend on the other rows of a batch.

    If the compiled library supports the network, it runs in float32, and a row has the same bits in any batch.
    Otherwise plain numpy runs in float64.

    Parameters
    ----------
    config : NetworkConfig
        The network.
    weights : mapping of str to ndarray
        All weights of `config.weight_shapes()`, in float32. They are copied only if necessary, and must not be changed
        while this object is in use.
    """

    def __init__(self, config: NetworkConfig, weights: Mapping[str, NDArray[np.float32]]):
        _check_weights(config, weights)
        self.config, self.weights = config, weights
        self._compiled = is_compiled(config.cell, config.activation)
        if self._compiled and not supports(config.cell, config.activation):
            raise ValueError(f"The kernel 'cpu' does not support {config.cell} with activation {config.activation!r}.")
        self._dtype = np.float32 if self._compiled else np.float64

    def outputs(
        self, sequences: EncodedSequences, add_features: AddFeatures | None = None
    ) -> NDArray[np.float64] | Ragged:
        """The outputs for each sequence, (n_sequences, n_outputs), in float64 and in the given order.

        A network without pooling returns a Ragged with the outputs for each step. A sequence of length 0 is pooled to
        zeros, so its output is the bias of the head, plus its weighted scores if there are any.

        With `add_features`, which adds the label features to sequences, only a block of the sequences has them at a
        time: they take many times the memory of token ids.
        """
        steps, per_step, n_outputs = sequences.steps, self.config.pooling is None, self.config.n_outputs
        self._check_memory(sequences, 8 * n_outputs if per_step else 0)
        outputs = np.empty((steps.n_steps if per_step else len(sequences), n_outputs))
        projected = self._projected_embedding(steps.n_steps)
        for first, block in self._blocks(sequences, add_features):
            for batch in prediction_batches(block):
                rows = first + batch.rows
                units = steps.positions(rows) if per_step else rows
                outputs[units] = self._head(self._features(batch, projected), batch.scores)
        return Ragged(outputs, sequences.lengths) if per_step else outputs

    def states(self, sequences: EncodedSequences, add_features: AddFeatures | None = None) -> Ragged:
        """The float32 states of the last recurrent layer after every step; the forward direction comes first."""
        self._check_memory(sequences, 4 * self.config.n_states)
        states = np.empty((sequences.steps.n_steps, self.config.n_states), dtype=np.float32)
        projected = self._projected_embedding(sequences.steps.n_steps)
        for first, block in self._blocks(sequences, add_features):
            for batch in prediction_batches(block):
                layout = batch.layout
                if layout.n_rows:
                    found = self._recur(self._inputs(batch, projected), layout)
                    states[sequences.steps.positions(first + batch.rows)] = found[layout.positions_end_to_end]
        return Ragged(states, sequences.lengths)

    def _blocks(
        self, sequences: EncodedSequences, add_features: AddFeatures | None
    ) -> Iterator[tuple[int, EncodedSequences]]:
        """Split the sequences into blocks, and yield each with the index of its first sequence."""
        if add_features is None:
            yield 0, sequences
            return
        max_rows = min(_MAX_BLOCK_ROWS, max(_MAX_BLOCK_SCORES // self.config.n_outputs, 1))
        for start, stop in sequences.steps.block_limits(_MAX_BLOCK_STEPS, max_rows):
            yield start, add_features(sequences.part(start, stop))

    def __getstate__(self) -> State:
        return {"config": self.config, "weights": self.weights}  # without the caches, which contain pointers

    def __setstate__(self, state: State) -> None:
        self.__init__(state["config"], state["weights"])  # type: ignore[misc]

    def to_state(self) -> State:
        """The configuration and the weights as a dict, for `from_state`."""
        weights = {name: self.weights[name] for name in self.config.weight_shapes()}
        return {"config": self.config.to_state(), "weights": weights}

    @classmethod
    def from_state(cls, saved: Saved) -> Self:
        """Restore a network from a saved state."""
        config = saved.part("config", NetworkConfig.from_state)
        shapes = config.weight_shapes()

        def load_weights(weights: Saved) -> dict[str, NDArray[np.float32]]:
            weights.check_names(shapes)
            return {name: weights.array(name, np.float32, shape) for name, shape in shapes.items()}

        return cls(config, saved.part("weights", load_weights))

    def _check_memory(self, sequences: EncodedSequences, result_bytes_per_step: int) -> None:
        check_prediction(self.config, sequences, result_bytes_per_step, compiled=self._compiled)

    def _weight(self, name: str) -> Array:
        """A weight as a contiguous array in the dtype of the computation."""
        return np.require(self.weights[name], self._dtype, ["C", "A"])

    @cached_property
    def _embedding(self) -> NDArray[np.float32] | None:
        """The vector of each token id. It is always float32: numpy converts the vectors after the lookup."""
        weight = self.weights.get("embedding.weight")
        return None if weight is None else np.require(weight, requirements=["C", "A"])

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
        """Weight and bias of each convolutional layer, with the normalisation folded in."""
        prefixes = [f"convolutions.layers.{depth}." for depth in range(len(self.config.conv_filters))]
        names = ("weight", "bias", "mean", "variance")
        return [fold_normalisation(*(self._weight(prefix + name) for name in names)) for prefix in prefixes]

    @cached_property
    def _attention(self) -> tuple[Array, Array, Array]:
        weight, bias, query = (self._weight(f"pooling.{name}") for name in ("weight", "bias", "query"))
        return weight, bias, query

    @cached_property
    def _head_weights(self) -> tuple[Array, Array]:
        return self._weight("head.weight"), self._weight("head.bias")

    def _projected_embedding(self, n_steps: int) -> Sequence[NDArray[np.float32]] | None:
        """The projected embedding of the first layer, if there are more steps than ids and projecting is worthwhile."""
        embedding = self._embedding
        # The convolutions need the vectors themselves.
        if embedding is None or not self._compiled or self.config.conv_filters:
            return None
        n_bytes = len(embedding) * 4 * len(self._layers[0].directions[0].input)
        is_worthwhile = n_bytes <= _MAX_CACHED_BYTES or embedding.shape[1] >= _MIN_WIDE_DIM
        return self._layers[0].project(embedding) if n_steps > len(embedding) and is_worthwhile else None

    def _inputs(self, batch: PredictionBatch, projected: Sequence[NDArray[np.float32]] | None) -> LayerInputs:
        """The inputs of the first layer. With ids, the values are the step features."""
        features, layout = batch.features, batch.layout
        width = 0 if features is None else features.width
        if width != self.config.n_step_features:
            raise ValueError(
                f"step_features has {width} values per step, but the network was built for "
                f"{self.config.n_step_features}."
            )
        values = gather_steps(batch.values, layout)
        if self.config.vocab_size is None:
            return LayerInputs(values.astype(self._dtype, copy=False))
        step_features = None
        if features is not None:
            found = look_up(features.entries, features.tables, features.version, layout)
            step_features = found.astype(self._dtype, copy=False)
        embedding = self._embedding if projected is None else None
        return LayerInputs(step_features, values, embedding, projected)

    def _recur(self, inputs: LayerInputs, layout: BatchLayout) -> Array:
        """The states of the last layer, (n_steps, n_states)."""
        first, *upper_layers = self._layers
        states = first.run(inputs, layout)
        for layer in upper_layers:
            states = layer.run(LayerInputs(states), layout)
        return states

    def _features(self, batch: PredictionBatch, projected: Sequence[NDArray[np.float32]] | None) -> Array:
        """The input of the head, (n_sequences or n_steps, n_features), in the order of the batch."""
        layout, per_step = batch.layout, self.config.pooling is None
        if not layout.n_rows:
            n_features = self._head_weights[0].shape[1]
            return np.zeros((0 if per_step else layout.n_sequences, n_features), dtype=self._dtype)
        inputs = self._inputs(batch, projected)
        blocks = list(self._feature_blocks(inputs, layout))
        features = blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)
        if per_step:
            return features[layout.positions_end_to_end]
        if layout.is_sorted:
            return features
        in_order = np.zeros((layout.n_sequences, features.shape[1]), dtype=self._dtype)
        in_order[layout.sequence_of_row] = features
        return in_order

    def _feature_blocks(self, inputs: LayerInputs, layout: BatchLayout) -> Iterator[Array]:
        """Yield the features in the order of the layout: per row, or without pooling per step."""
        per_step = self.config.pooling is None
        states = self._recur(inputs, layout)
        yield states if per_step else self._pool(states, layout)
        del states
        if self.config.conv_filters:
            filtered = materialize(inputs, self._dtype)
            for weight, bias in self._filters:
                filtered = convolve_relu(filtered, layout, weight, bias)
            yield filtered if per_step else pool("mean", filtered, layout)
        if self.config.n_step_features and inputs.values is not None:
            yield inputs.values if per_step else MEAN_SCALE * pool("mean", inputs.values, layout)

    def _pool(self, states: Array, layout: BatchLayout) -> Array:
        kind = self.config.pooling
        if kind == "last":
            return last_states(states, layout, self.config.units[-1])
        if kind == "attention":
            return attend(states, layout, *self._attention)
        assert kind is not None
        return pool(kind, states, layout)

    def _head(self, features: Array, scores: NDArray[np.float32] | None) -> NDArray[np.float64]:
        """The outputs of each unit, with its weighted scores added if there are any."""
        if (scores is None) == self.config.scores:
            problem = "are missing" if scores is None else "were given"
            raise ValueError(f"scores {problem}, but the network was built with scores={self.config.scores}.")
        outputs = linear(features, *self._head_weights)
        return outputs if scores is None else outputs + scores * self._weight("head.score_weights")


def _check_weights(config: NetworkConfig, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Raise ValueError unless the weights are those of the network."""
    shapes = config.weight_shapes()
    if shapes.keys() != weights.keys():
        raise ValueError(f"Weights are missing or unexpected: {sorted(shapes.keys() ^ weights.keys())}.")
    for name, shape in shapes.items():
        weight = weights[name]
        if not isinstance(weight, np.ndarray) or weight.dtype != np.float32 or weight.shape != shape:
            found = f"{weight.dtype} of shape {weight.shape}" if isinstance(weight, np.ndarray) else type(weight)
            raise ValueError(f"The weight {name!r} is {found}; expected float32 of shape {shape}.")
