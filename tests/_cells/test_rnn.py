"""The simple recurrent network: one step against torch's own cell."""

from functools import partial

import pytest
import torch

from seqclf._cells import ACTIVATIONS
from seqclf._cells.rnn import RNN


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_rnn_step_equals_torch(activation, assert_step_equals_torch):
    make_module = partial(torch.nn.RNNCell, nonlinearity=activation)
    assert_step_equals_torch(RNN, make_module, ACTIVATIONS[activation].function)
