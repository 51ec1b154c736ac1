"""Long short-term memory. S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997).

It has the forget gate of F. A. Gers, J. Schmidhuber, F. Cummins, "Learning to forget", Neural Computation 12 (2000).
"""

import torch

from seqclf._kernels.cells.cell import Cell


def _step(projected, state, weights, activation):
    hidden, memory = state
    i, f, g, o = (projected + hidden @ weights.recurrent.t()).chunk(4, dim=1)
    # c' = s(f) c + s(i) a(g),  h' = s(o) a(c')
    memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * activation(g)
    return torch.sigmoid(o) * activation(memory), memory


LSTM = Cell(
    name="lstm",
    gates=("i", "f", "g", "o"),
    step=_step,
    has_memory=True,
    initial_biases={"f": 1.0},  # the forget gate is open, so that long sequences have a gradient from the beginning
    code=1,
    torch_operations={"tanh": torch.lstm},
)
