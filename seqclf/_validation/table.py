"""Tables, whose rows are series of one channel and length: what they must not hold, how prediction reads them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.containers import is_masked, is_sparse, shorten
from seqclf._validation.frames import column_labels, columns, is_frame, numbers_of, refuse_column
from seqclf._validation.numbers import as_floats, first_no_number, refuse_no_number
from seqclf._validation.reading import names_its_input
from seqclf._validation.series import is_table
from seqclf._validation.series_input import open_series
from seqclf._warn import warn


@names_its_input
def read_table(
    X: Any, n_features: int, feature_names: Sequence[str] | None = None, name: str = "X"
) -> NDArray[np.float64]:
    """Read a table for a model that was fitted on one: what scikit-learn's `validate_data` does, without scikit-learn.

    Parameters
    ----------
    X : array, frame or list of lists
        Numbers of shape (n_rows, n_features); missing ones become NaN. What was opened as series is taken too.
    n_features : int
        How many columns the table of fit had.
    feature_names : sequence of str, default=None
        The names of its columns; None where they had none.
    name : str, default="X"
        How messages call the table.

    Returns
    -------
    ndarray of shape (n_rows, n_features), float64
    """
    X = open_series(X, name, False).rows
    if is_sparse(X):
        raise TypeError(f"Sparse data was passed for {name}, but dense data is required: {name}.toarray().")
    if not is_table(X, name):
        raise ValueError(
            f"{name} must be a table of {n_features} steps (2-D), as in fit; got ragged or 3-D series. Fit on those to "
            "allow series of any length."
        )
    refuse_no_table(X, name)
    array = numbers_of(X, name) if is_frame(X) else np.asarray(X)
    if array.ndim != 2:
        raise ValueError(f"{name} has {array.ndim} dimensions: expected a table, (n, {n_features}).")
    names = _feature_names(X, name)
    if names is not None and feature_names is not None:
        _refuse_other_names(names, list(feature_names), name)
    if array.shape[1] != n_features:
        raise ValueError(f"{name} has {array.shape[1]} columns, but in fit there were {n_features}: expected as many.")
    if not len(array):
        raise ValueError(
            f"Found array with 0 sample(s) (shape={array.shape}) while a minimum of 1 is required: {name}."
        )
    if names is not None and feature_names is None:
        warn(f"{name} has feature names, but the model was fitted without: columns are read by position.")
    if names is None and feature_names is not None:
        warn(f"{name} has no feature names, but the model was fitted with them: columns are read by position.")
    return as_floats(array, name) if array.dtype.kind == "O" else array.astype(np.float64)


def _feature_names(X: Any, name: str) -> list[str] | None:
    """The names of the columns of a frame; None where they are not all texts."""
    labels = column_labels(X, name) if is_frame(X) else []
    return labels if labels and all(isinstance(label, str) for label in labels) else None


def _refuse_other_names(found: list[str], expected: list[str], name: str) -> None:
    """Refuse columns of other names, or in another order."""
    if found == expected:
        return
    names = shorten(expected, 200)
    fault = "in another order" if sorted(found) == sorted(expected) else f"others than in fit, {names}"
    raise ValueError(
        f"The feature names should match those that were passed during fit: the columns of {name} are {fault}. "
        f"Hand in {name}[{names}]."
    )


def refuse_no_table(X: Any, name: str) -> None:
    """Raise an error for a table that holds anything but numbers, for one series, and for masked values."""
    if isinstance(X, np.matrix):
        raise TypeError(f"{name} is an np.matrix, which numpy advises against: hand in np.asarray({name}).")
    if is_masked(type(X)):
        raise TypeError(f"{name} is a masked array: fill its masked values first, e.g. with {name}.filled().")
    if is_sparse(X):
        return
    if is_frame(X):
        for label, values in columns(X, name):
            refuse_column(label, values, name)
        if (n_levels := getattr(X.columns, "nlevels", 1)) > 1:
            raise ValueError(
                f"{name} has columns of {n_levels} levels: a table has one series a row and one step a column. For "
                f"series of several channels, hand in {name}.to_numpy().reshape(n, channels, steps) with "
                "channels_first=True, or make them with seqclf.series_from_frame of the long frame."
            )
        if not column_labels(X, name):
            shape = (len(X), 0)
            raise ValueError(f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is required: {name}.")
        return
    array = np.asarray(X)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name}.")
    if array.ndim == 1:
        raise ValueError(
            f"Expected 2D array, got 1D array instead: {name} has the shape {array.shape}, expected (n, steps). "
            f"One series? {name}[None]. Reshape your data: array.reshape(1, -1) is one series, array.reshape(-1, 1) "
            "are series of one step each."
        )
    wrong = first_no_number(array)
    if wrong is not None and array.ndim == 2:
        refuse_no_number(array[wrong], name, f"in row {wrong[0]}, column {wrong[1]}", "Leave the column out")
