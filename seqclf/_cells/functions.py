"""The functions used in the equations of cells, for numpy arrays and torch tensors.

Arithmetic, slicing and `.T` need no function here: they are the same for both.
"""

from typing import Any

import numpy as np


def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return np.tanh(x) if isinstance(x, np.ndarray) else x.tanh()


def relu(x: Any) -> Any:
    """The positive part; NaN is propagated."""
    return np.maximum(x, 0) if isinstance(x, np.ndarray) else x.relu()


def sigmoid(x: Any) -> Any:
    """The logistic function."""
    # This form of 1 / (1 + exp(-x)) cannot overflow.
    return np.tanh(x * 0.5) * 0.5 + 0.5 if isinstance(x, np.ndarray) else x.sigmoid()


def blocks(values: Any, n: int) -> list[Any]:
    """Split the columns into `n` blocks of equal width, one per gate."""
    width = values.shape[1] // n
    return [values[:, i * width : (i + 1) * width] for i in range(n)]
