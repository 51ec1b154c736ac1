"""The recurrences on torch's own operations: padded on the CPU, packed on a GPU.

Padded and in float32, torch's LSTM takes oneDNN's fused path on the CPU; a packed batch never does, and walks a dozen
small operations a step instead. On a GPU cuDNN takes packed batches as they are.
"""

import torch
from torch import Tensor

from seqclf._cells import CELLS, Weights
from seqclf._kernels.inputs import Inputs
from seqclf._kernels.layout import StepLayout
from seqclf._kernels.reference import project_inputs, written_out


def supports(cell: str, activation: str) -> bool:
    """Whether torch has this cell with this activation."""
    return activation in CELLS[cell].torch_operations


def run(
    cell: str, inputs: Tensor | Inputs, layout: StepLayout, weights: Weights, activation: str, reverse: bool
) -> Tensor:
    """Hidden states of every step, shape (n_steps, units); see :func:`seqclf._kernels.recurrence`."""
    operation = getattr(torch, CELLS[cell].torch_operations[activation])
    inputs = written_out(inputs, layout)
    numbers = inputs.numbers
    weight_input, bias = weights.input, weights.bias
    if inputs.ids is not None:
        # Look the ids' rows of W up, and let torch's own projection be the identity.
        numbers = project_inputs(inputs, weights)
        weight_input = torch.eye(numbers.shape[1], dtype=numbers.dtype, device=numbers.device)
        bias = torch.zeros_like(bias)
    assert numbers is not None
    # torch adds a second bias to every cell, whether its equation has one or not.
    recurrent_bias = torch.zeros_like(bias) if weights.recurrent_bias is None else weights.recurrent_bias
    parameters = [weight_input, weights.recurrent, bias, recurrent_bias]
    zeros = numbers.new_zeros(1, layout.n_rows, weights.units)
    state = (zeros, zeros) if CELLS[cell].has_memory else zeros

    # Padding stands at the end of every row, so a row read backwards is turned within its own length.
    steps = numbers.index_select(0, layout.reversed) if reverse else numbers
    training = torch.is_grad_enabled()
    if numbers.device.type == "cuda":
        # (data, batch_sizes, state, parameters, has_biases, n_layers, dropout, train, bidirectional)
        batch_sizes = torch.from_numpy(layout.batch_sizes)  # on the CPU, whatever the device
        outputs = operation(steps, batch_sizes, state, parameters, True, 1, 0.0, training, False)[0]
    else:
        # (input, state, parameters, has_biases, n_layers, dropout, train, bidirectional, batch_first)
        outputs = layout.unpad(operation(layout.pad(steps), state, parameters, True, 1, 0.0, training, False, False)[0])
    return outputs.index_select(0, layout.reversed) if reverse else outputs
