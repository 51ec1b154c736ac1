"""The functions of equations: equal results for arrays and tensors, also at the ends of the range."""

import numpy as np
import pytest
import torch

from seqclf._cells.functions import blocks, relu, sigmoid, tanh

X = np.array([-np.inf, -1e300, -800.0, -3.0, -1e-9, 0.0, 0.25, 2.0, 700.0, np.inf, np.nan])


@pytest.mark.parametrize("function", [tanh, relu, sigmoid])
def test_function_of_arrays_equals_function_of_tensors(function):
    with np.errstate(all="raise", under="ignore"):
        found = function(X)
    np.testing.assert_allclose(found, function(torch.from_numpy(X)).numpy(), rtol=1e-15, atol=2e-16)
    assert isinstance(found, np.ndarray) and np.isnan(found[-1])


def test_sigmoid_equals_the_logistic_function():
    x = np.linspace(-30, 30, 601)
    np.testing.assert_allclose(sigmoid(x), 1 / (1 + np.exp(-x)), rtol=0, atol=1e-15)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_blocks_splits_columns(make):
    values = make([[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]])
    assert [block.tolist() for block in blocks(values, 3)] == [
        [[0, 1], [6, 7]],
        [[2, 3], [8, 9]],
        [[4, 5], [10, 11]],
    ]
