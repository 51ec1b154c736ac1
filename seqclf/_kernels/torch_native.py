"""The recurrences on torch's own operations: padded on the CPU, packed on a GPU.

On the CPU torch's LSTM uses oneDNN's fused kernel for padded float32 batches. A packed batch never uses that kernel: it
runs a dozen small operations per step. On a GPU cuDNN accepts packed batches directly.
"""

import torch
from torch import Tensor

from seqclf._cells import CELLS, Weights
from seqclf._kernels.inputs import Inputs
from seqclf._kernels.layout import StepLayout
from seqclf._kernels.reference import materialize, project_inputs


def supports(cell: str, activation: str) -> bool:
    """Whether torch supports this cell with this activation."""
    return activation in CELLS[cell].torch_operations


def run(
    cell: str, inputs: Tensor | Inputs, layout: StepLayout, weights: Weights, activation: str, reverse: bool
) -> Tensor:
    """Hidden states of every step, shape (n_steps, units); see :func:`seqclf._kernels.recurrence`."""
    operation = getattr(torch, CELLS[cell].torch_operations[activation])
    inputs = materialize(inputs, layout)
    values = inputs.values
    weight_input, bias = weights.input, weights.bias
    if inputs.ids is not None:
        # Project the ids by lookup in W, and make torch's own projection the identity.
        values = project_inputs(inputs, weights)
        weight_input = torch.eye(values.shape[1], dtype=values.dtype, device=values.device)
        bias = torch.zeros_like(bias)
    assert values is not None
    # torch adds a second bias to every cell, even if its equation has none.
    recurrent_bias = torch.zeros_like(bias) if weights.recurrent_bias is None else weights.recurrent_bias
    parameters = [weight_input, weights.recurrent, bias, recurrent_bias]
    zeros = values.new_zeros(1, layout.n_rows, weights.units)
    state = (zeros, zeros) if CELLS[cell].has_memory else zeros

    # Padding is at the end of every row, so each row is reversed within its own length.
    steps = values.index_select(0, layout.reversed) if reverse else values
    training = torch.is_grad_enabled()
    if values.device.type == "cuda":
        # (data, batch_sizes, state, parameters, has_biases, n_layers, dropout, train, bidirectional)
        batch_sizes = torch.from_numpy(layout.batch_sizes)  # on the CPU, whatever the device of the steps
        outputs = operation(steps, batch_sizes, state, parameters, True, 1, 0.0, training, False)[0]
    else:
        # (input, state, parameters, has_biases, n_layers, dropout, train, bidirectional, batch_first)
        outputs = layout.unpad(operation(layout.pad(steps), state, parameters, True, 1, 0.0, training, False, False)[0])
    return outputs.index_select(0, layout.reversed) if reverse else outputs
