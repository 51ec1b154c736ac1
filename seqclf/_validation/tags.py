"""Targets that are one label for each step: lists of labels, next to the sequences."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from seqclf._data.ragged import Ragged
from seqclf._validation.containers import is_missing, refuse_masked, shorten
from seqclf._validation.targets import as_array, codes_of

# The code of a step without a label.
UNLABELLED = -1


def check_tags(y: Any, n_rows: int, *, name: str, rows_name: str) -> Ragged:
    """The labels of all steps as objects: one for each step, None where there is none."""
    expected = f"expected a list of labels for each of the {n_rows} rows of {rows_name}, one label for each step"
    if y is None:
        raise ValueError(f"This tagger requires {name} to be passed, but the target {name} is None.")
    refuse_masked(y, name)
    if issparse(y):
        raise TypeError(f"{name} is a sparse matrix: {expected}.")
    if not _is_list(y):
        raise ValueError(f"{name} is {shorten(y)}: {expected}.")
    rows = list(as_array(y)) if hasattr(y, "columns") else list(y)
    if len(rows) != n_rows:
        raise ValueError(
            f"{name} has {len(rows)} rows, but {rows_name} has {n_rows}: {expected}. "
            f"Found input variables with inconsistent numbers of samples: [{n_rows}, {len(rows)}]"
        )
    labels = [_labels_of(row, position, name, expected) for position, row in enumerate(rows)]
    values = np.empty(sum(map(len, labels)), dtype=object)
    values[:] = [label for row in labels for label in row]
    tags = Ragged(values, np.array([len(row) for row in labels], dtype=np.int64))
    _refuse_mixed(tags, name)
    return tags


def _is_list(values: Any) -> bool:
    """Whether values are in an order: a list, a tuple, an array, a Series or a frame."""
    return (
        hasattr(values, "__len__")
        and not isinstance(values, str | bytes | dict | set | frozenset)
        and getattr(values, "ndim", 1) > 0
    )


def _labels_of(row: Any, position: int, name: str, expected: str) -> list[Any]:
    """The labels of one row as objects of Python."""
    refuse_masked(row, f"Row {position} of {name}")
    if not _is_list(row) or hasattr(row, "columns"):
        raise ValueError(f"Row {position} of {name} is {shorten(row)}: {expected}.")
    labels = row.tolist() if hasattr(row, "tolist") else row.to_list() if hasattr(row, "to_list") else list(row)
    for step, label in enumerate(labels):
        if isinstance(label, list | tuple | set | dict | np.ndarray):
            raise ValueError(
                f"Row {position} of {name} holds {shorten(label)} at step {step}: expected one label for each step."
            )
        if label is not None and (is_missing(label) or label in (np.inf, -np.inf)):
            raise ValueError(
                f"Row {position} of {name} holds {shorten(label)} at step {step}: expected a label, or None for a step "
                "without one."
            )
    return [label.item() if isinstance(label, np.generic) else label for label in labels]


def _refuse_mixed(tags: Ragged, name: str) -> None:
    """Labels must be of one sort, which can be sorted and told apart."""
    sorts: dict[type, int] = {}
    for step, label in enumerate(tags.values.tolist()):
        if label is not None:
            sorts.setdefault(type(label), step)
    wrong = next((one for one in sorts if one not in (str, int, bool)), None)
    if wrong is not None or len(sorts) > 1:
        step = sorts[wrong] if wrong is not None else max(sorts.values())
        row = tags.row_of(step)
        label = shorten(tags.values[step])
        raise ValueError(
            f"Row {row} of {name} holds {label}, a {type(tags.values[step]).__name__}, at step "
            f"{step - tags.offsets[row]}: expected labels that are all texts, all whole numbers or all booleans."
        )


def codes_of_tags(tags: Ragged, classes: NDArray[Any], *, name: str) -> Ragged:
    """For each label its position in `classes`, for None -1; a ValueError names the labels that are not there."""
    codes = np.full(len(tags.values), UNLABELLED, dtype=np.int64)
    known = np.flatnonzero([label is not None for label in tags.values.tolist()])
    codes[known] = codes_of(tags.values[known], classes, name=name)
    return Ragged(codes, tags.lengths)
