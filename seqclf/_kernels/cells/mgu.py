"""The minimal gated unit. G.-B. Zhou et al., "Minimal gated unit for recurrent neural networks", IJAC 13 (2016).

In the form that applies the gate after the matrix product, as the gru here does: a second bias, and no other change. It
is a gru with one gate in the place of two: the reset gate is f, and the update gate 1 - f.
"""

import torch

from seqclf._kernels.cells.cell import Cell


def _step(projected, state, weights, activation):
    (hidden,) = state
    f_x, n_x = projected.chunk(2, dim=1)
    f_h, n_h = (hidden @ weights.recurrent.t() + weights.recurrent_bias).chunk(2, dim=1)
    f = torch.sigmoid(f_x + f_h)
    # n = a(x W_n + b_n + f (h U_n + c_n)),  h' = (1 - f) h + f n
    n = activation(n_x + f * n_h)
    return ((1 - f) * hidden + f * n,)


MGU = Cell(name="mgu", gates=("f", "n"), step=_step, has_recurrent_bias=True, code=3)
