"""The simple recurrent network. J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990)."""

from seqclf._cells.cell import Cell


def _step(projected, state, weights, activation):
    (hidden,) = state
    # h' = a(x W + h U + b)
    return (activation(projected + hidden @ weights.recurrent.T),)


RNN = Cell(
    name="rnn",
    gates=("h",),
    step=_step,
    code=0,
    torch_operations={"tanh": "rnn_tanh", "relu": "rnn_relu"},
)
