"""Rows of X and the values that go with them: they are matched by position, which an index may contradict."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.frames import column_labels, is_frame
from seqclf._validation.numbers import shorten
from seqclf._validation.reading import reading
from seqclf._warn import warn


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
        with reading(value_name):
            other = _index(value)
        if index is None or other is None or len(other) != len(index) or index.equals(other):
            continue
        labels, others = index.tolist(), other.tolist()
        row = next((row for row, pair in enumerate(zip(labels, others, strict=True)) if pair[0] != pair[1]), 0)
        warn(
            f"{name} and {value_name} have different indexes, but are matched by position: row {row} is "
            f"{shorten(labels[row])} in {name}, and {shorten(others[row])} in {value_name}. Bring them into one order "
            f"with {value_name}.loc[{name}.index], or, if they are in one order, hand in {value_name}.to_numpy()."
        )


def match_steps(n_targets: NDArray[np.int64], n_steps: NDArray[np.int64], name: str, target_name: str) -> None:
    """Raise a ValueError for the first row that has not one target for each step."""
    wrong = n_targets != n_steps
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    advice = ""
    if len(n_targets) > 1 and (n_targets == n_targets[0]).all() and (n_targets >= n_steps).all():
        advice = (
            f" All rows of {target_name} have {n_targets[0]}: if {target_name} is padded, as {name} may be, leave its "
            f"padding out, [labels[:n] for labels, n in zip({target_name}, lengths)]."
        )
    raise ValueError(
        f"Row {row} of {target_name} has {n_targets[row]} targets, but row {row} of {name} has {n_steps[row]} steps: "
        f"expected one target for each step.{advice}"
    )


def _index(value: Any) -> Any:
    """The index of a Series or frame of pandas; None for everything else."""
    index = getattr(value, "index", None)
    return index if hasattr(index, "equals") and hasattr(index, "tolist") else None


def _length(value: Any) -> int:
    if isinstance(value, list | tuple):  # of lists of unequal length too, of which numpy makes no array
        return len(value)
    return len(value) if hasattr(value, "__len__") and getattr(value, "ndim", 0) == 1 else 0
