"""The gated recurrent unit. K. Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014.

Equations 5 to 8, in cuDNN's variant, which applies the reset gate after the matrix product. The only other change is a
second bias.
"""

from seqclf._cells.cell import Cell
from seqclf._cells.functions import blocks, sigmoid


def _step(projected, state, weights, activation):
    (hidden,) = state
    r_x, z_x, n_x = blocks(projected, 3)
    r_h, z_h, n_h = blocks(hidden @ weights.recurrent.T + weights.recurrent_bias, 3)
    r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
    # n = a(x W_n + b_n + r (h U_n + c_n)),  h' = (1 - z) n + z h
    n = activation(n_x + r * n_h)
    return ((1 - z) * n + z * hidden,)


GRU = Cell(
    name="gru",
    gates=("r", "z", "n"),
    step=_step,
    has_recurrent_bias=True,
    code=2,
    torch_operations={"tanh": "gru"},
)
