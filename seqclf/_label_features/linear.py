"""A linear function of dense features whose result for a row does not depend on the batch, unlike that of BLAS."""

import ctypes
import os

import numpy as np
from numpy.typing import NDArray

from seqclf._native import abi, library


def linear(
    features: NDArray[np.float32], coef: NDArray[np.float32], intercept: NDArray[np.float32]
) -> NDArray[np.float64]:
    """``features @ coef + intercept`` in float64, row by row: compiled, or in numpy.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features), float32
    coef : ndarray of shape (n_features, n_outputs), float32
    intercept : ndarray of shape (n_outputs,), float32
    """
    is_compiled = os.environ.get("SEQCLF_KERNELS") in (None, "", "cpu") and library.available()[0]
    return (linear_compiled if is_compiled else linear_plain)(features, coef, intercept)


def linear_compiled(
    features: NDArray[np.float32], coef: NDArray[np.float32], intercept: NDArray[np.float32]
) -> NDArray[np.float64]:
    """`linear` by the compiled library."""
    loaded, text = library.load()
    if loaded is None:
        raise RuntimeError(f"There are no compiled kernels: {text}.")
    features, weight = np.ascontiguousarray(features), np.ascontiguousarray(coef.T)
    outputs = np.empty((len(features), len(weight)))
    addresses = [abi.address(values) for values in (features, weight, intercept, outputs)]
    call = abi.Linear(*features.shape, len(weight), *addresses)
    loaded.seqclf_linear(ctypes.byref(call))
    return outputs


def linear_plain(
    features: NDArray[np.float32], coef: NDArray[np.float32], intercept: NDArray[np.float32]
) -> NDArray[np.float64]:
    """`linear` in numpy, without BLAS."""
    weight = np.ascontiguousarray(coef.T, dtype=np.float64)
    outputs = np.empty((len(features), len(weight)))
    for row, values in enumerate(features):
        outputs[row] = (weight * values).sum(axis=1) + intercept
    return outputs
