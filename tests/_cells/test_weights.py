"""`Weights`: the sizes that follow from the arrays."""

import numpy as np

from seqclf._cells import Weights


def test_units_is_the_width_of_the_recurrent_weights():
    assert Weights(np.zeros((6, 4)), np.zeros((6, 2)), np.zeros(6)).units == 2


def test_recurrent_bias_is_optional():
    assert Weights(np.zeros((6, 4)), np.zeros((6, 2)), np.zeros(6)).recurrent_bias is None
