"""The network: embedding, recurrent layers, pooling and head, as a torch module on ragged batches."""

from collections.abc import Mapping
from typing import Self

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from seqclf import _kernels
from seqclf._inference.config import MEAN_SCALE, NetworkConfig
from seqclf._kernels import Inputs, StepLayout
from seqclf._nn.convolution import Convolution, ConvolutionStack
from seqclf._nn.dropout import SequenceDropout, TokenDropout
from seqclf._nn.embedding import Embedding, OneHot
from seqclf._nn.head import Head
from seqclf._nn.pooling import POOLINGS, AttentionPooling
from seqclf._nn.recurrent import Direction, RecurrentStack
from seqclf._nn.sequence_batch import SequenceBatch


class Network(nn.Module):
    """Recurrent network over token ids or numeric steps.

    Parameters
    ----------
    config : NetworkConfig
        The architecture.
    """

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        self.embedding: nn.Module | None = None
        if config.vocab_size is None:
            n_inputs = config.n_channels
        elif config.embedding_dim is None:
            self.embedding, n_inputs = OneHot(), config.vocab_size + config.n_step_features
        else:
            self.embedding = Embedding(config.vocab_size, config.embedding_dim)
            n_inputs = config.embedding_dim + config.n_step_features
        self.token_dropout = TokenDropout(config.token_dropout)
        self.dropout = SequenceDropout(config.dropout)
        self.recurrent = RecurrentStack(
            config.cell,
            n_inputs,
            config.units,
            config.bidirectional,
            config.activation,
            config.dropout,
            config.recurrent_dropout,
        )
        n_features = self.recurrent.n_outputs
        self.pooling = None if config.pooling is None else POOLINGS[config.pooling](n_features, config.units[-1])
        self.convolutions = None
        if config.conv_filters:
            self.convolutions = ConvolutionStack(n_inputs, config.conv_filters)
            n_features += self.convolutions.n_outputs
        n_means = config.n_step_features
        self.head = Head(n_features + n_means, config.n_outputs, n_means, config.scores)

    def reset_parameters(self, generator: Generator | None = None) -> Self:
        """Initialise all weights from `generator` (None: torch's global one)."""
        for module in self.modules():
            if isinstance(module, Embedding | Direction | AttentionPooling | Convolution):
                module.reset_parameters(generator)
        self.head.reset_parameters(generator)
        return self

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.head.weight.device

    def forward(self, batch: SequenceBatch, generator: Generator | None = None) -> Tensor:
        """Outputs of a batch of sequences.

        Parameters
        ----------
        batch : SequenceBatch
            The sequences.
        generator : torch.Generator, default=None
            Source of the dropout masks in training mode (None: torch's global one).

        Returns
        -------
        Tensor of shape (n_sequences, n_outputs), or without pooling (n_steps, n_outputs)
            In the order of the batch. A sequence of length 0 is pooled to zeros, so its output is the bias of the head,
            plus its weighted scores if there are any.
        """
        return self.head(self.features(batch, generator), batch.scores)

    def features(self, batch: SequenceBatch, generator: Generator | None = None) -> Tensor:
        """The input of the head, (n_sequences or n_steps, n_features); the arguments are those of :meth:`forward`."""
        layout = self._layout(batch)
        if not layout.n_rows:
            n_units = 0 if self.pooling is None else layout.n_sequences
            return self.head.weight.new_zeros(n_units, self.head.n_features)
        inputs = self._inputs(batch, layout, generator)
        states = self.recurrent(inputs, layout, generator)
        features = self._features(states, inputs, inputs.values, layout, generator)
        if self.pooling is None:
            return features[layout.steps_in_order]
        if layout.is_sorted:
            return features
        return features.new_zeros(layout.n_sequences, features.shape[1]).index_copy(0, layout.order, features)

    def states(self, batch: SequenceBatch) -> Tensor:
        """The states of the last recurrent layer, (n_steps, n_outputs of the layer), in the order of the batch.

        The forward direction comes first.
        """
        layout = self._layout(batch)
        if not layout.n_rows:
            return self.head.weight.new_zeros(0, self.recurrent.n_outputs)
        states = self.recurrent(self._inputs(batch, layout, None), layout, None)
        return states[layout.steps_in_order]

    def outputs_of_values(self, values: Tensor, n_looked_up: int, layout: StepLayout) -> Tensor:
        """Outputs without scores, for inputs of the first layer that can require gradients.

        Parameters
        ----------
        values : Tensor of shape (n_steps, n_inputs)
            In the order of the layout: the channels of a series; or the vector of each token, and its step features.
        n_looked_up : int
            The width of the vectors of tokens; 0 for a series.
        layout : StepLayout
            The layout of the batch.

        Returns
        -------
        Tensor of shape (n_rows, n_outputs), or without pooling (n_steps, n_outputs)
            In the order of the layout.
        """
        inputs = Inputs(values)
        states = self.recurrent(inputs, layout, None)
        features = self._features(states, inputs, values[:, n_looked_up:], layout, None)
        return functional.linear(features, self.head.weight, self.head.bias)

    def _layout(self, batch: SequenceBatch) -> StepLayout:
        """The layout of a batch, after a check that its step features match the configuration."""
        width = batch.step_features_width
        if width != self.config.n_step_features:
            raise ValueError(
                f"step_features has {width} values per step, but the network was built for "
                f"{self.config.n_step_features}."
            )
        return StepLayout(batch.lengths, self.device, batch.starts)

    def _inputs(self, batch: SequenceBatch, layout: StepLayout, generator: Generator | None) -> Inputs:
        """The inputs of the first layer. With ids, the values are the step features."""
        dtype = self.head.weight.dtype
        values = _kernels.gather_steps(batch.values, layout)
        if self.embedding is None:
            return Inputs(values.to(dtype))
        step_features = None
        if batch.step_features is not None:
            step_features = _kernels.gather_steps(batch.step_features, layout).to(dtype)
        ids = self.token_dropout(values, generator)
        if not isinstance(self.embedding, Embedding):
            return Inputs(step_features, ids)
        weight = self.embedding.weight
        mask = self.dropout.mask((layout.n_rows, weight.shape[1]), weight, generator)
        return self.embedding(ids, mask, step_features)

    def _features(
        self,
        states: Tensor,
        inputs: Inputs,
        step_features: Tensor | None,
        layout: StepLayout,
        generator: Generator | None,
    ) -> Tensor:
        """The input of the head in the order of the layout: per row, or without pooling per step."""
        pooled = self.pooling is not None
        features = states if self.pooling is None else self.pooling(states, layout)
        if self.convolutions is not None:
            filtered = self.convolutions(_kernels.materialize(inputs, layout), layout)
            features = torch.cat((features, _kernels.pool("mean", filtered, layout) if pooled else filtered), dim=1)
        features = self.dropout(features, None if pooled else layout.row_of_step, layout.n_rows, generator)
        if self.head.n_means and step_features is not None:
            means = MEAN_SCALE * _kernels.pool("mean", step_features, layout) if pooled else step_features
            features = torch.cat((features, means), dim=1)
        return features

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Copies of all weights as numpy arrays, from any device."""
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in self.state_dict().items()}

    @classmethod
    def from_arrays(cls, config: NetworkConfig, arrays: Mapping[str, np.ndarray]) -> Self:
        """Build the network from a configuration and weights, on the CPU and in evaluation mode."""
        network = cls(config)
        # The arrays are copied because they may be read-only memory maps.
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
        return network.eval()
