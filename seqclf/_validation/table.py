"""Validation of tables: scikit-learn's 2-D input, whose rows are series of one channel and equal length."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.argument_errors import names_argument
from seqclf._validation.containers import is_masked, is_sparse, shorten
from seqclf._validation.frames import check_numeric_column, column_labels, columns, frame_to_array, is_frame
from seqclf._validation.numbers import as_floats, counted, first_non_number, raise_not_a_number
from seqclf._validation.series import is_table
from seqclf._validation.series_input import open_series
from seqclf._warn import warn


@names_argument
def validate_table(
    X: Any, n_features: int, feature_names: Sequence[str] | None = None, name: str = "X"
) -> NDArray[np.float64]:
    """Validate a table for a model that was fitted on one, as scikit-learn's `validate_data` does, without its import.

    Parameters
    ----------
    X : array, frame or list of lists
        Numbers of shape (n_rows, n_features); missing values become NaN. The result of `open_series` is accepted too.
    n_features : int
        The number of columns in fit.
    feature_names : sequence of str, default=None
        The column names in fit; None if there were none.
    name : str, default="X"
        The name of the table in messages.

    Returns
    -------
    ndarray of shape (n_rows, n_features), float64
    """
    X = open_series(X, name, False).rows
    if is_sparse(X):
        raise TypeError(f"Sparse data was passed for {name}, but dense data is required: pass {name}.toarray().")
    if not is_table(X, name):
        raise ValueError(
            f"{name} must be a table of {n_features} steps (2-D), as in fit; got ragged or 3-D series. To allow series "
            "of any length, fit on ragged or 3-D series."
        )
    check_table_contents(X, name)
    array = frame_to_array(X, name) if is_frame(X) else np.asarray(X)
    if array.ndim != 2:
        raise ValueError(f"{name} has {array.ndim} dimensions: expected a table of shape (n, {n_features}).")
    names = _feature_names(X, name)
    if names is not None and feature_names is not None:
        _check_names(names, list(feature_names), name)
    if array.shape[1] != n_features:
        raise ValueError(
            f"{name} has {counted(array.shape[1], 'column')}, but in fit it had {n_features}: pass the columns of fit."
        )
    if not len(array):
        raise ValueError(
            f"Found array with 0 sample(s) (shape={array.shape}) while a minimum of 1 is required: {name}."
        )
    if names is not None and feature_names is None:
        warn(f"{name} has feature names, but the model was fitted without them: columns are matched by position.")
    if names is None and feature_names is not None:
        warn(f"{name} has no feature names, but the model was fitted with them: columns are matched by position.")
    return as_floats(array, name) if array.dtype.kind == "O" else array.astype(np.float64)


def _feature_names(X: Any, name: str) -> list[str] | None:
    """The column names of a frame; None if not all of them are texts."""
    labels = column_labels(X, name) if is_frame(X) else []
    return labels if labels and all(isinstance(label, str) for label in labels) else None


def _check_names(found: list[str], expected: list[str], name: str) -> None:
    """Raise an error for different column names, or a different order."""
    if found == expected:
        return
    names = shorten(expected, 200)
    problem = "in a different order" if sorted(found) == sorted(expected) else f"not those of fit, {names}"
    raise ValueError(
        f"The feature names should match those that were passed during fit: the columns of {name} are {problem}. "
        f"Pass {name}[{names}]."
    )


def check_table_contents(X: Any, name: str) -> None:
    """Raise an error for a table that holds anything but numbers, for a single series, and for masked values."""
    if isinstance(X, np.matrix):
        raise TypeError(f"{name} is an np.matrix, which numpy advises against: pass np.asarray({name}).")
    if is_masked(type(X)):
        raise TypeError(f"{name} is a masked array: fill its masked values first, e.g. with {name}.filled().")
    if is_sparse(X):
        return
    if is_frame(X):
        for label, values in columns(X, name):
            check_numeric_column(label, values, name)
        if (n_levels := getattr(X.columns, "nlevels", 1)) > 1:
            raise ValueError(
                f"{name} has columns of {n_levels} levels: expected one series per row and one step per column. "
                f"For series of several channels, pass {name}.to_numpy().reshape(n, channels, steps) with "
                "channels_first=True, or convert the long frame with seqclf.series_from_frame."
            )
        if not column_labels(X, name):
            shape = (len(X), 0)
            raise ValueError(f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is required: {name}.")
        return
    array = np.asarray(X)
    if array.dtype.kind in "US" and isinstance(X, list | tuple):
        array = np.array(X, dtype=object)  # numpy has converted numbers to texts
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name}. Pass real numbers.")
    if array.ndim == 1:
        raise ValueError(
            f"Expected 2D array, got 1D array instead: {name} has the shape {array.shape}, expected (n, steps). "
            f"If it is one series, pass {name}[None]. Reshape your data: array.reshape(1, -1) is one series, "
            "array.reshape(-1, 1) is several series of one step."
        )
    index = first_non_number(array)
    if index is not None and array.ndim == 2:
        raise_not_a_number(array[index], name, f"in row {index[0]}, column {index[1]}", "Drop the column")
