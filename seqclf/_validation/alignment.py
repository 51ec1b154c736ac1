"""Rows of X and the values that go with them: they are matched by position, which an index may contradict."""

import warnings
from typing import Any

import numpy as np

from seqclf._validation.frames import column_labels, is_frame
from seqclf._validation.numbers import shorten


def match_rows(X: Any, n_rows: int, name: str = "X", **values: Any) -> None:
    """Warn where X and one of `values` both have an index of pandas, and these differ.

    Where X is a frame with more rows than labels, the error names the call for frames with a row for each step.
    """
    index = _index(X)
    for value_name, value in values.items():
        if is_frame(X) and len(column_labels(X, name)) > 1 and 0 < _length(value) < n_rows:
            raise ValueError(
                f"{value_name} has {_length(value)} values, but {name} has {n_rows} rows: Found input variables with "
                f"inconsistent numbers of samples: [{n_rows}, {_length(value)}]. If each row of {name} is one step of "
                f"a series: X, ids = seqclf.series_from_frame({name}, id=..., time=...)."
            )
        other = _index(value)
        if index is None or other is None or len(other) != len(index) or index.equals(other):
            continue
        labels, others = index.tolist(), other.tolist()
        row = next((row for row, pair in enumerate(zip(labels, others, strict=True)) if pair[0] != pair[1]), 0)
        warnings.warn(
            f"{name} and {value_name} have different indexes, but are matched by position: row {row} is "
            f"{shorten(labels[row])} in {name}, and {shorten(others[row])} in {value_name}. Bring them into one order "
            f"with {value_name}.loc[{name}.index], or, if they are in one order, hand in {value_name}.to_numpy().",
            UserWarning,
            stacklevel=2,
        )


def _index(value: Any) -> Any:
    """The index of a Series or frame of pandas; None for everything else."""
    index = getattr(value, "index", None)
    return index if hasattr(index, "equals") and hasattr(index, "tolist") else None


def _length(value: Any) -> int:
    if isinstance(value, list | tuple):  # of lists of unequal length too, of which numpy makes no array
        return len(value)
    return len(value) if hasattr(value, "__len__") and np.ndim(value) == 1 else 0
