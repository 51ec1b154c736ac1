"""Long short-term memory: one step against torch's own cell."""

import torch

from seqclf._cells.lstm import LSTM


def test_lstm_step_equals_torch(assert_step_equals_torch):
    assert_step_equals_torch(LSTM, torch.nn.LSTMCell)


def test_lstm_initial_bias_opens_gate_f():
    assert LSTM.initial_biases.keys() <= set(LSTM.gates)
    assert LSTM.initial_biases["f"] > 0
