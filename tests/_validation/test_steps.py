"""`holds_series`: distinguishes series from tokens and ids."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.sparse import csr_array

from seqclf._validation.steps import holds_series

SERIES = {
    "floats": [[0.5, 1.0], [2.0]],
    "whole floats": [[1.0, 2.0]],
    "a float after integers": [[1, 0.5]],
    "several numbers a step": [[[1, 2], [3, 4]]],
    "tuples of numbers": [[(1, 2), (3, 4)]],
    "rows are arrays of floats": [np.zeros(3), np.zeros(2)],
    "rows are arrays of steps by channels": [np.zeros((3, 2), dtype=int)],
    "steps are arrays": [[np.zeros(2, dtype=int)]],
    "empty rows first": [[], [0.5]],
    "an array of floats": np.zeros((2, 3)),
    "an array with channels": np.zeros((2, 3, 1), dtype=int),
    "an object array of arrays": pd.Series([np.zeros(2), np.zeros(3)]).to_numpy(),
    "a Series of arrays": pd.Series([np.zeros(2), np.zeros(3)]),
    "a Series of polars of lists": pl.Series([[0.5, 1.0], [2.0]]),
    "rows are Series": [pd.Series([0.5, 1.0])],
    "rows are frames": [pd.DataFrame({"x": [1, 2], "y": [3, 4]})],
    "rows are tensors": [torch.zeros(3, 2)],
    "a tensor": torch.zeros(2, 3, 1),
    "a frame of floats": pd.DataFrame(np.zeros((2, 3))),
    "a frame of polars": pl.DataFrame(np.zeros((2, 3))),
    "a frame of integers and floats": pd.DataFrame({"x": [1, 2], "y": [0.5, 4]}),
    "a frame with a column of series": pd.DataFrame({"x": [np.zeros(2), np.zeros(3)]}),
    "a frame with a column of lists": pl.DataFrame({"x": [[0.5, 1.0], [2.0]]}),
    "a frame with two columns of series": pd.DataFrame({"x": [np.zeros(2)], "y": [np.zeros(2)]}),
}
OTHERS = {
    "tokens": [["a", "b"], ["c"]],
    "ids": [[1, 2], [3]],
    "tuples of tokens": [("a", "b")],
    "rows are arrays of ids": [np.array([1, 2]), np.array([3])],
    "rows are arrays of tokens": [np.array(["a", "b"]), np.array(["c"], dtype=object)],
    "an array of ids": np.ones((2, 3), dtype=int),
    "a Series of token lists": pd.Series([["a"], ["b", "c"]]),
    "a Series of polars of tokens": pl.Series([["a"], ["b", "c"]]),
    "rows are tensors of ids": [torch.ones(3, dtype=torch.int64)],
    "a frame with a column of tokens": pd.DataFrame({"x": [["a", "b"], ["c"]]}),
    "a frame of polars with a column of tokens": pl.DataFrame({"x": [["a", "b"], ["c"]]}),
    "a frame with a column of ids": pd.DataFrame({"x": [[1, 2], [3]]}),
    "a frame of ids": pd.DataFrame(np.ones((2, 3), dtype=int)),
    "a frame of texts": pd.DataFrame({"x": ["a b", "c"]}),
    "texts": ["a b", "c"],
    "one text": "a b",
    "only empty rows": [[], []],
    "no rows": [],
    "a number": 3,
    "None": None,
    "a sparse matrix": csr_array(np.eye(3)),
}


@pytest.mark.parametrize("form", SERIES)
def test_holds_series_is_true_for_series(form):
    assert holds_series(SERIES[form])


@pytest.mark.parametrize("form", OTHERS)
def test_holds_series_is_false_for_other_input(form):
    assert not holds_series(OTHERS[form])
