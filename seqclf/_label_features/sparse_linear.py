"""A linear function of sparse features, row by row."""

import ctypes

import numpy as np
from numpy.typing import NDArray

from seqclf._label_features.sparse_rows import SparseRows
from seqclf._native import abi, library
from seqclf._native.threads import chosen_threads


def sparse_linear(
    features: SparseRows, coef: NDArray[np.float32], intercept: NDArray[np.float32]
) -> NDArray[np.float32]:
    """``features @ coef + intercept`` in float32, (n_rows, n_outputs): compiled, or in numpy.

    The products of a row are added up in the order of its entries, then the intercept. The result for a row is
    therefore the same to the bit in any batch, and in both implementations.

    Parameters
    ----------
    features : SparseRows of shape (n_rows, n_features)
    coef : ndarray of shape (n_features, n_outputs), float32
    intercept : ndarray of shape (n_outputs,), float32
    """
    if features.n_columns != len(coef) or intercept.shape != coef.shape[1:]:
        raise ValueError(f"There are {features.n_columns} features for coefficients of shape {coef.shape}.")
    return (sparse_linear_compiled if library.is_wanted() else sparse_linear_plain)(features, coef, intercept)


def sparse_linear_compiled(
    features: SparseRows, coef: NDArray[np.float32], intercept: NDArray[np.float32]
) -> NDArray[np.float32]:
    """`sparse_linear` by the compiled library."""
    loaded, text = library.load()
    if loaded is None:
        raise RuntimeError(f"There are no compiled kernels: {text}.")
    coef, outputs = np.ascontiguousarray(coef), np.empty((len(features), coef.shape[1]), dtype=np.float32)
    inputs = (features.offsets, features.columns, features.values, coef, intercept)
    arrays = [*(np.ascontiguousarray(each) for each in inputs), outputs]
    addresses = [abi.address(each) for each in arrays]
    call = abi.SparseLinear(*features.shape, coef.shape[1], *addresses, chosen_threads() or 1)
    loaded.seqclf_sparse_linear(ctypes.byref(call))
    return outputs


def sparse_linear_plain(
    features: SparseRows, coef: NDArray[np.float32], intercept: NDArray[np.float32]
) -> NDArray[np.float32]:
    """`sparse_linear` in numpy."""
    outputs = np.zeros((coef.shape[1], len(features)), dtype=np.float32)
    rows = features.row_of_entry()
    for sums, weights in zip(outputs, coef.T, strict=True):
        np.add.at(sums, rows, features.values * weights[features.columns])  # add.at keeps the order of the entries
    return outputs.T + intercept
