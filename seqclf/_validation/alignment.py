"""Checks that X and its targets or weights belong together. They are matched by position, not by an index."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.argument_errors import argument_errors
from seqclf._validation.frames import column_labels, is_frame
from seqclf._validation.numbers import counted, shorten
from seqclf._warn import warn


def warn_if_indexes_differ(X: Any, n_rows: int, name: str = "X", **values: Any) -> None:
    """Warn if X and one of `values` both have a pandas index and these differ.

    A frame X with more rows than a value has entries is an error, with the advice to call `series_from_frame`.
    """
    index = _index(X)
    for value_name, value in values.items():
        if is_frame(X) and len(column_labels(X, name)) > 1 and 0 < _length(value) < n_rows:
            raise ValueError(
                f"{value_name} has {_length(value)} values, but {name} has {n_rows} rows: Found input variables with "
                f"inconsistent numbers of samples: [{n_rows}, {_length(value)}]. If each row of {name} is one step of "
                f"a series, convert it first: X, ids = seqclf.series_from_frame({name}, id=..., time=...)."
            )
        with argument_errors(value_name):
            value_index = _index(value)
        if index is None or value_index is None or len(value_index) != len(index) or index.equals(value_index):
            continue
        labels, value_labels = index.tolist(), value_index.tolist()
        row = next((row for row, pair in enumerate(zip(labels, value_labels, strict=True)) if pair[0] != pair[1]), 0)
        warn(
            f"{name} and {value_name} have different indexes, but are matched by position: the index of row {row} is "
            f"{shorten(labels[row])} in {name}, and {shorten(value_labels[row])} in {value_name}. To reorder, pass "
            f"{value_name}.loc[{name}.index]. If the order is right already, pass {value_name}.to_numpy()."
        )


def check_one_target_per_step(
    n_targets: NDArray[np.int64], n_steps: NDArray[np.int64], name: str, target_name: str
) -> None:
    """Raise a ValueError for the first row without exactly one target for each step."""
    wrong = n_targets != n_steps
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    advice = ""
    if len(n_targets) > 1 and (n_targets == n_targets[0]).all() and (n_targets >= n_steps).all():
        advice = (
            f" All rows of {target_name} have {n_targets[0]} targets: if they are padded, remove the padding, "
            f"[labels[:n] for labels, n in zip({target_name}, lengths)]."
        )
    raise ValueError(
        f"Row {row} of {target_name} has {counted(int(n_targets[row]), 'target')}, but row {row} of {name} has "
        f"{counted(int(n_steps[row]), 'step')}: expected one target for each step.{advice}"
    )


def _index(value: Any) -> Any:
    """The index of a pandas Series or frame; None for everything else."""
    index = getattr(value, "index", None)
    return index if hasattr(index, "equals") and hasattr(index, "tolist") else None


def _length(value: Any) -> int:
    # The length of a list is known even if its items are of unequal length, from which numpy can't make an array.
    if isinstance(value, list | tuple):
        return len(value)
    return len(value) if hasattr(value, "__len__") and getattr(value, "ndim", 0) == 1 else 0
