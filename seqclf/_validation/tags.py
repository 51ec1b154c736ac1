"""Targets that are one label for each step: lists of labels, next to the sequences."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._validation.containers import is_missing, is_sparse, plain, shorten
from seqclf._validation.frames import columns, is_frame
from seqclf._validation.numbers import is_infinite
from seqclf._validation.reading import names_its_input, reading
from seqclf._validation.targets import codes_of, refuse_merged

# The code of a step without a label.
UNLABELLED = -1


@names_its_input
def check_tags(y: Any, n_rows: int, *, name: str, rows_name: str) -> Ragged:
    """The labels of all steps as objects: one for each step, None where there is none, or where it is missing."""
    expected = f"expected a list of labels for each of the {n_rows} rows of {rows_name}, one label for each step"
    if y is None:
        raise ValueError(f"The estimator requires {name} to be passed, but the target {name} is None.")
    if is_sparse(y):
        raise TypeError(f"{name} is a sparse matrix: {expected}.")
    y = plain(y, name)
    if not _is_list(y):
        raise ValueError(f"{name} is {shorten(y)}: {expected}.")
    rows = _rows(y, name)
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
    refuse_merged(values, name, lambda step: f"row {(row := tags.row_of(step))}, step {step - tags.offsets[row]}")
    return tags


def _rows(y: Any, name: str) -> list[Any]:
    """The labels of each row; those of a frame are the cells of its column, or, of several columns, of its rows."""
    if is_frame(y):
        cells = [values for _, values in columns(y, name)]
        return list(cells[0]) if len(cells) == 1 else list(map(list, zip(*cells, strict=True)))
    return y.to_pylist() if hasattr(y, "to_pylist") else list(y)  # the former: arrays of arrow


def _is_list(values: Any) -> bool:
    """Whether values are in an order: a list, a tuple, an array, a Series or a frame."""
    return (
        hasattr(values, "__len__")
        and not isinstance(values, str | bytes | dict | set | frozenset)
        and getattr(values, "ndim", 1) > 0
    )


def _labels_of(row: Any, position: int, name: str, expected: str) -> list[Any]:
    """The labels of one row as objects of Python."""
    where = f"Row {position} of {name}"
    with reading(where):
        row = plain(row, where)
        if not _is_list(row) or is_frame(row):
            raise ValueError(f"{where} is {shorten(row)}: {expected}.")
        labels = _to_list(row)
    for step, label in enumerate(labels):
        if isinstance(label, list | tuple | set | dict | np.ndarray):
            raise ValueError(f"{where} holds {shorten(label)} at step {step}: expected one label for each step.")
        if is_infinite(label):
            raise ValueError(
                f"{where} holds {shorten(label)} at step {step}: expected a label, or None for a step without one."
            )
    return [_plain_label(label) for label in labels]


def _to_list(values: Any) -> list[Any]:
    """A list, and objects of Python in it where the container can make them."""
    if getattr(getattr(values, "dtype", None), "kind", "O") in "mM":
        return list(values)  # tolist() makes whole numbers of nanoseconds
    way = next((way for way in ("tolist", "to_list", "to_pylist") if hasattr(values, way)), None)
    return list(values) if way is None else list(getattr(values, way)())


def _plain_label(label: Any) -> Any:
    """A label as an object of Python; None for what is missing."""
    if is_missing(label):
        return None
    return label.item() if isinstance(label, np.generic) and label.dtype.kind not in "mM" else label


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


def refuse_other_sort(tags: Ragged, classes: NDArray[Any], name: str) -> None:
    """Refuse labels that are texts where the classes are numbers, and the like: no prediction would ever equal them."""
    sort = type(classes.tolist()[0])
    for step, label in enumerate(tags.values.tolist()):
        if label is not None and type(label) is not sort:
            row = tags.row_of(step)
            raise ValueError(
                f"Row {row} of {name} holds {shorten(label)}, a {type(label).__name__}, at step "
                f"{step - tags.offsets[row]}, but the classes of fit are of {sort.__name__}, "
                f"{shorten(classes.tolist())}: expected such labels."
            )


def codes_of_tags(tags: Ragged, classes: NDArray[Any], *, name: str) -> Ragged:
    """For each label its position in `classes`, for None -1; a ValueError names the labels that are not there."""
    codes = np.full(len(tags.values), UNLABELLED, dtype=np.int64)
    known = np.flatnonzero([label is not None for label in tags.values.tolist()])
    codes[known] = codes_of(tags.values[known], classes, name=name)
    return Ragged(codes, tags.lengths)
