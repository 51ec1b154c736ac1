"""The functions of a number that equations are made of, of numpy arrays and of the tensors of torch.

Arithmetic, slices and `.T` mean the same for both; what is here does not.
"""

from typing import Any

import numpy as np


def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return np.tanh(x) if isinstance(x, np.ndarray) else x.tanh()


def relu(x: Any) -> Any:
    """The positive part; NaN stays NaN."""
    return np.maximum(x, 0) if isinstance(x, np.ndarray) else x.relu()


def sigmoid(x: Any) -> Any:
    """The logistic function."""
    # This form of 1 / (1 + exp(-x)) cannot overflow.
    return np.tanh(x * 0.5) * 0.5 + 0.5 if isinstance(x, np.ndarray) else x.sigmoid()


def blocks(values: Any, n: int) -> list[Any]:
    """The columns in `n` blocks of one width, as the gates of a cell lie side by side."""
    width = values.shape[1] // n
    return [values[:, i * width : (i + 1) * width] for i in range(n)]
