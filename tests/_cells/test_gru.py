"""The gated recurrent unit: one step against torch's own cell, which applies the reset gate after the product too."""

import torch

from seqclf._cells.gru import GRU


def test_gru_step_equals_torch(assert_step_equals_torch):
    assert_step_equals_torch(GRU, torch.nn.GRUCell)
