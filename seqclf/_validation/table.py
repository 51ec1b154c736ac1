"""What scikit-learn's messages about a table do not say: which column or row holds text, dates or something else."""

from typing import Any

import numpy as np

from seqclf._validation.containers import is_sparse
from seqclf._validation.frames import column_labels, columns, is_frame, refuse_column
from seqclf._validation.numbers import first_no_number, refuse_no_number


def refuse_no_table(X: Any, name: str) -> None:
    """Raise an error for a table that holds anything but numbers, for one series, and for masked values."""
    if isinstance(X, np.ma.MaskedArray):
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
