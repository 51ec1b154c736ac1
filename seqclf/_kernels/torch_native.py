"""The recurrences on torch's own operations: padded on the CPU, packed on a GPU.

Padded and in float32, torch's LSTM takes oneDNN's fused path on the CPU; a packed batch never does, and walks a dozen
small operations a step instead. On a GPU cuDNN takes packed batches as they are.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from seqclf._kernels.layout import StepLayout
from seqclf._kernels.weights import Weights

_OPERATION: dict[tuple[str, str], Callable[..., tuple[Tensor, ...]]] = {
    ("rnn", "tanh"): torch.rnn_tanh,
    ("rnn", "relu"): torch.rnn_relu,
    ("lstm", "tanh"): torch.lstm,
    ("gru", "tanh"): torch.gru,
}


def supports(cell: str, activation: str) -> bool:
    """Whether torch has this cell with this activation."""
    return (cell, activation) in _OPERATION


def run(cell: str, inputs: Tensor, layout: StepLayout, weights: Weights, activation: str, reverse: bool) -> Tensor:
    """Hidden states of every step, shape (n_steps, units); see :func:`seqclf._kernels.recurrence`."""
    operation = _OPERATION[cell, activation]
    weight_input = weights.input
    if not inputs.is_floating_point():
        # A one-hot vector picks a row of W: look it up, and let torch's own projection be the identity.
        inputs = functional.embedding(inputs, weights.input.t())
        weight_input = torch.eye(inputs.shape[1], dtype=inputs.dtype, device=inputs.device)
    # torch adds a second bias to every cell; only the gru's equation has one.
    recurrent_bias = torch.zeros_like(weights.bias) if weights.recurrent_bias is None else weights.recurrent_bias
    parameters = [weight_input, weights.recurrent, weights.bias, recurrent_bias]
    zeros = inputs.new_zeros(1, layout.n_rows, weights.units)
    state = (zeros, zeros) if cell == "lstm" else zeros

    # Padding stands at the end of every row, so a row read backwards is turned within its own length.
    steps = inputs.index_select(0, layout.reversed) if reverse else inputs
    training = torch.is_grad_enabled()
    if inputs.device.type == "cuda":
        # (data, batch_sizes, state, parameters, has_biases, n_layers, dropout, train, bidirectional)
        outputs = operation(steps, layout.batch_sizes, state, parameters, True, 1, 0.0, training, False)[0]
    else:
        # (input, state, parameters, has_biases, n_layers, dropout, train, bidirectional, batch_first)
        outputs = layout.unpad(operation(layout.pad(steps), state, parameters, True, 1, 0.0, training, False, False)[0])
    return outputs.index_select(0, layout.reversed) if reverse else outputs
