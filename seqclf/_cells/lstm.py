"""Long short-term memory. S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997).

With the forget gate of F. A. Gers, J. Schmidhuber, F. Cummins, "Learning to forget", Neural Computation 12 (2000).
"""

from seqclf._cells.cell import Cell
from seqclf._cells.functions import blocks, sigmoid


def _step(projected, state, weights, activation):
    hidden, memory = state
    i, f, g, o = blocks(projected + hidden @ weights.recurrent.T, 4)
    # c' = s(f) c + s(i) a(g),  h' = s(o) a(c')
    memory = sigmoid(f) * memory + sigmoid(i) * activation(g)
    return sigmoid(o) * activation(memory), memory


LSTM = Cell(
    name="lstm",
    gates=("i", "f", "g", "o"),
    step=_step,
    has_memory=True,
    initial_biases={"f": 1.0},  # an open forget gate gives long sequences a gradient from the start
    code=1,
    torch_operations={"tanh": "lstm"},
)
