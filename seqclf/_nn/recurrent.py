"""Recurrent layers on ragged batches: directions, depth and the weights of the cells."""

import torch
from torch import Generator, Tensor, nn

from seqclf._kernels import CELLS, Inputs, StepLayout, Weights, bidirectional, recurrence
from seqclf._nn.dropout import SequenceDropout, WeightDropout


class Direction(nn.Module):
    """The weights of one layer in one direction."""

    def __init__(self, cell: str, n_inputs: int, units: int, recurrent_dropout: float, reverse: bool):
        super().__init__()
        self.cell, self.units, self.reverse = cell, units, reverse
        rows = CELLS[cell].n_gates * units
        self.weight_input = nn.Parameter(torch.empty(rows, n_inputs))
        self.weight_recurrent = nn.Parameter(torch.empty(rows, units))
        self.bias = nn.Parameter(torch.empty(rows))
        self.bias_recurrent = nn.Parameter(torch.empty(rows)) if CELLS[cell].has_recurrent_bias else None
        self.recurrent_dropout = WeightDropout(recurrent_dropout)

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None) -> None:
        """Per gate: Glorot uniform input weights, orthogonal recurrent weights and the cell's initial biases."""
        cell = CELLS[self.cell]
        for gate, name in enumerate(cell.gates):
            rows = slice(gate * self.units, (gate + 1) * self.units)
            nn.init.xavier_uniform_(self.weight_input[rows], generator=generator)
            nn.init.orthogonal_(self.weight_recurrent[rows], generator=generator)
            self.bias[rows] = cell.initial_biases.get(name, 0.0)
        if self.bias_recurrent is not None:
            self.bias_recurrent.zero_()

    def weights(self, generator: Generator | None) -> Weights:
        """The weights for one batch. In training, recurrent dropout is applied."""
        recurrent = self.recurrent_dropout(self.weight_recurrent, generator)
        return Weights(self.weight_input, recurrent, self.bias, self.bias_recurrent)

    def extra_repr(self) -> str:
        direction = "reverse" if self.reverse else "forward"
        return f"{self.cell}, {self.weight_input.shape[1]} -> {self.units}, {direction}"


class RecurrentLayer(nn.Module):
    """One layer: a forward direction and, if bidirectional, a reverse one."""

    def __init__(
        self, cell: str, n_inputs: int, units: int, bidirectional: bool, activation: str, recurrent_dropout: float
    ):
        super().__init__()
        self.cell, self.activation = cell, activation
        self.directions = nn.ModuleList(
            Direction(cell, n_inputs, units, recurrent_dropout, reverse)
            for reverse in ((False, True) if bidirectional else (False,))
        )
        self.n_outputs = units * len(self.directions)

    def forward(self, inputs: Inputs, layout: StepLayout, generator: Generator | None) -> Tensor:
        """The hidden states, (n_steps, n_outputs); the forward direction comes first."""
        forward, *reverse = self.weights(generator)
        if not reverse:
            return recurrence(self.cell, inputs, layout, forward, activation=self.activation)
        return bidirectional(self.cell, inputs, layout, (forward, reverse[0]), activation=self.activation)

    def weights(self, generator: Generator | None) -> list[Weights]:
        """The weights of each direction for one batch."""
        return [each.weights(generator) for each in self.directions if isinstance(each, Direction)]

    def extra_repr(self) -> str:
        return self.activation


class RecurrentStack(nn.Module):
    """Stacked layers with dropout between them."""

    def __init__(
        self,
        cell: str,
        n_inputs: int,
        units: tuple[int, ...],
        bidirectional: bool,
        activation: str,
        dropout: float,
        recurrent_dropout: float,
    ):
        super().__init__()
        self.layers = nn.ModuleList()
        for width in units:
            layer = RecurrentLayer(cell, n_inputs, width, bidirectional, activation, recurrent_dropout)
            self.layers.append(layer)
            n_inputs = layer.n_outputs
        self.dropout = SequenceDropout(dropout)
        self.n_outputs = n_inputs

    def forward(self, inputs: Inputs, layout: StepLayout, generator: Generator | None) -> Tensor:
        """The hidden states of the last layer, (n_steps, n_outputs); the forward direction comes first."""
        outputs = self.layers[0](inputs, layout, generator)
        for layer in self.layers[1:]:
            values = self.dropout(outputs, layout.row_of_step, layout.n_rows, generator)
            outputs = layer(Inputs(values), layout, generator)
        return outputs
