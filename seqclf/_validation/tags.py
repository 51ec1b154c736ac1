"""Validation of tags: targets with one label for each step."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._validation.argument_errors import argument_errors, names_argument
from seqclf._validation.containers import is_missing, is_sparse, shorten, to_plain_container
from seqclf._validation.frames import columns, is_frame
from seqclf._validation.numbers import is_infinite, type_of
from seqclf._validation.targets import check_lossless, class_indices

# The class index of a step without a label.
UNLABELLED = -1


@names_argument
def validate_tags(y: Any, n_rows: int, *, name: str, rows_name: str) -> Ragged:
    """Validate the labels of all steps and return them as objects, with None for a step without a label."""
    expected = f"expected a list of labels for each of the {n_rows} rows of {rows_name}, one label for each step"
    if y is None:
        raise ValueError(f"The estimator requires {name} to be passed, but the target {name} is None.")
    if is_sparse(y):
        raise TypeError(f"{name} is a sparse matrix: {expected}.")
    y = to_plain_container(y, name)
    if not _is_list(y):
        raise ValueError(f"{name} is {shorten(y)}: {expected}.")
    rows = _rows(y, name)
    if len(rows) != n_rows:
        raise ValueError(
            f"{name} has {len(rows)} rows, but {rows_name} has {n_rows}: {expected}. "
            f"Found input variables with inconsistent numbers of samples: [{n_rows}, {len(rows)}]."
        )
    labels = [_validate_row(row, position, name, expected) for position, row in enumerate(rows)]
    values = np.empty(sum(map(len, labels)), dtype=object)
    values[:] = [label for row in labels for label in row]
    tags = Ragged(values, np.array([len(row) for row in labels], dtype=np.int64))
    _check_one_type(tags, name)
    check_lossless(values, name, lambda step: f"row {(row := tags.row_of(step))}, step {step - tags.offsets[row]}")
    return tags


def _rows(y: Any, name: str) -> list[Any]:
    """The labels of each row: the cells of a frame with a single column, else the rows of the frame."""
    if is_frame(y):
        cells = [values for _, values in columns(y, name)]
        return list(cells[0]) if len(cells) == 1 else list(map(list, zip(*cells, strict=True)))
    return y.to_pylist() if hasattr(y, "to_pylist") else list(y)  # to_pylist: arrays of arrow


def _is_list(values: Any) -> bool:
    """Whether values are an ordered container: a list, a tuple, an array, a Series or a frame."""
    return (
        hasattr(values, "__len__")
        and not isinstance(values, str | bytes | dict | set | frozenset)
        and getattr(values, "ndim", 1) > 0
    )


def _validate_row(row: Any, position: int, name: str, expected: str) -> list[Any]:
    """Validate the labels of one row and return them as Python objects."""
    where = f"Row {position} of {name}"
    with argument_errors(where):
        row = to_plain_container(row, where)
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
    return [_to_python(label) for label in labels]


def _to_list(values: Any) -> list[Any]:
    """Values as a list, of Python objects if the container can convert them."""
    if getattr(getattr(values, "dtype", None), "kind", "O") in "mM":
        return list(values)  # tolist() would return integers, the numbers of nanoseconds
    method = next((method for method in ("tolist", "to_list", "to_pylist") if hasattr(values, method)), None)
    return list(values) if method is None else list(getattr(values, method)())


def _to_python(label: Any) -> Any:
    """A label as a Python object; None if it is missing."""
    if is_missing(label):
        return None
    return label.item() if isinstance(label, np.generic) and label.dtype.kind not in "mM" else label


def _check_one_type(tags: Ragged, name: str) -> None:
    """Raise an error unless all labels are texts, all integers or all booleans, which can be sorted and compared."""
    first_steps: dict[type, int] = {}
    for step, label in enumerate(tags.values.tolist()):
        if label is not None:
            first_steps.setdefault(type(label), step)
    wrong = next((kind for kind in first_steps if kind not in (str, int, bool)), None)
    if wrong is not None or len(first_steps) > 1:
        step = first_steps[wrong] if wrong is not None else max(first_steps.values())
        row = tags.row_of(step)
        label = shorten(tags.values[step])
        raise ValueError(
            f"Row {row} of {name} holds {label}, {type_of(tags.values[step])}, at step "
            f"{step - tags.offsets[row]}: expected labels that are all texts, all whole numbers or all booleans."
        )


def check_tag_type(tags: Ragged, classes: NDArray[Any], name: str) -> None:
    """Raise an error for labels of another type than the classes: no prediction could ever equal them."""
    class_type = type(classes.tolist()[0])
    for step, label in enumerate(tags.values.tolist()):
        if label is not None and type(label) is not class_type:
            row = tags.row_of(step)
            raise ValueError(
                f"Row {row} of {name} holds {shorten(label)}, {type_of(label)}, at step "
                f"{step - tags.offsets[row]}, but the classes of fit have the type "
                f"{class_type.__name__}, {shorten(classes.tolist())}: pass labels of the same type."
            )


def tag_class_indices(tags: Ragged, classes: NDArray[Any], *, name: str) -> Ragged:
    """The index of each label in `classes`, -1 for None; a ValueError names labels that are not in `classes`."""
    indices = np.full(len(tags.values), UNLABELLED, dtype=np.int64)
    labelled = np.flatnonzero([label is not None for label in tags.values.tolist()])
    indices[labelled] = class_indices(tags.values[labelled], classes, name=name)
    return Ragged(indices, tags.lengths)
