"""The minimal gated unit. G.-B. Zhou et al., "Minimal gated unit for recurrent neural networks", IJAC 13 (2016).

In the variant that applies the gate after the matrix product, as in `gru.py`. The only other change is a second bias.
It is a GRU with a single gate f: its reset gate is f and its update gate is 1 - f.
"""

from seqclf._cells.cell import Cell
from seqclf._cells.functions import blocks, sigmoid


def _step(projected, state, weights, activation):
    (hidden,) = state
    f_x, n_x = blocks(projected, 2)
    f_h, n_h = blocks(hidden @ weights.recurrent.T + weights.recurrent_bias, 2)
    f = sigmoid(f_x + f_h)
    # n = a(x W_n + b_n + f (h U_n + c_n)),  h' = (1 - f) h + f n
    n = activation(n_x + f * n_h)
    return ((1 - f) * hidden + f * n,)


MGU = Cell(name="mgu", gates=("f", "n"), step=_step, has_recurrent_bias=True, code=3)
