"""Validation of inputs with one value for each row of X: labels, sample weights, groups."""

from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.argument_errors import names_argument
from seqclf._validation.containers import as_array, is_missing, is_sparse, shorten, to_plain_container
from seqclf._validation.indicators import first_non_binary
from seqclf._validation.numbers import as_floats, first_non_number, is_infinite

# Minimum ratio of the smallest positive weight to the largest: smaller weights would vanish in float32.
MIN_WEIGHT_RATIO = 1e-30
_MAX_INT64 = np.iinfo(np.int64).max
_MAX_EXACT = 2**53  # integers up to here are exact in float64


@names_argument
def validate_labels(y: Any, n_rows: int, *, name: str = "y", rows_name: str = "X") -> NDArray[Any]:
    """Validate the labels and return them as an array: one for each row, none missing, all of one type."""
    from sklearn.utils.validation import column_or_1d

    if y is None:
        raise ValueError(f"The estimator requires {name} to be passed, but the target {name} is None.")
    y = to_plain_container(y, name)
    if getattr(getattr(y, "dtype", None), "kind", "") == "T":  # scikit-learn does not support numpy's StringDType
        y = y.tolist()
    if isinstance(y, list | tuple) and _is_changed_by_numpy(y):
        y = _object_array(y)
    _check_one_label_per_row(y, name)
    try:
        labels = column_or_1d(y, input_name=name, warn=True)
    except (TypeError, ValueError) as error:
        first_line = str(error).partition("\n")[0].rstrip(".")
        raise ValueError(
            f"{name} must be one label for each row of {rows_name}, got {shorten(y)}: {first_line}."
        ) from error
    if len(labels) != n_rows:
        raise ValueError(
            f"{name} has {len(labels)} labels, but {rows_name} has {n_rows} rows: "
            f"Found input variables with inconsistent numbers of samples: [{n_rows}, {len(labels)}]."
        )
    _check_no_missing_labels(labels, name)
    if labels.dtype.kind == "O":
        check_lossless(labels, name)
    _check_one_type(labels, name)
    return labels


def _is_changed_by_numpy(labels: Sequence[Any]) -> bool:
    """Whether `np.asarray` would change some labels.

    It would convert a number or None among texts to a text, strip trailing NULs from texts, and convert an integer
    among floats, or next to an integer of more than 63 bits, to a float.
    """
    types = set(map(type, labels))
    if any(issubclass(kind, str) for kind in types):
        return any(not isinstance(label, str) or label.endswith("\0") for label in labels)
    integers = [label for label in labels if isinstance(label, int)]
    if len(integers) == len(labels):
        return bool(integers) and max(integers) > _MAX_INT64
    return any(not -_MAX_EXACT <= label <= _MAX_EXACT for label in integers)


def _object_array(values: Sequence[Any]) -> NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def check_lossless(labels: NDArray[Any], name: str, where: Callable[[int], str] = "row {}".format) -> None:
    """Raise an error for labels that numpy would change: texts that end with NUL, and integers beyond int64.

    `where` describes a position in messages.
    """
    for position, label in enumerate(labels.tolist()):
        if isinstance(label, str) and label.endswith("\0"):
            raise ValueError(
                f"{name} holds {shorten(label)} in {where(position)}, which ends with NUL: numpy drops it, which "
                "would change the label. Remove the NULs, or replace them with another character."
            )
        if isinstance(label, int) and not -_MAX_INT64 <= label <= _MAX_INT64:
            raise ValueError(
                f"{name} holds {shorten(label)} in {where(position)}: expected whole numbers that fit in int64. "
                "Convert the labels to texts with str()."
            )


def class_indices(labels: NDArray[Any], classes: NDArray[Any], *, name: str) -> NDArray[np.int64]:
    """The index of each label in `classes`; a ValueError names labels that are not in `classes`."""
    positions = {label: position for position, label in enumerate(classes.tolist())}
    unknown = [label for label in dict.fromkeys(labels.tolist()) if label not in positions]
    if unknown:
        raise ValueError(
            f"{name} holds {shorten(unknown)}, but the classes of y are {shorten(classes.tolist())}: "
            f"each label of {name} must be one of them."
        )
    return np.fromiter(map(positions.__getitem__, labels.tolist()), dtype=np.int64, count=len(labels))


@names_argument
def validate_classes(classes: Any, *, name: str = "classes") -> NDArray[Any]:
    """Validate the argument `classes` of partial_fit: two or more different labels, which are returned sorted."""
    if classes is None:
        raise ValueError(
            "The first call of partial_fit needs classes, all labels that y can hold, because a chunk can lack some of "
            "them: partial_fit(X, y, classes=[...])."
        )
    n_classes = len(classes) if hasattr(classes, "__len__") else 0
    labels = validate_labels(classes, n_classes, name=name, rows_name=name)
    different = np.unique(labels)
    if len(different) < len(labels):
        raise ValueError(f"{name}={shorten(classes)} holds a label twice: pass each label once.")
    check_two_classes(different, name)
    return different


def check_two_classes(classes: NDArray[Any], name: str, among: str = "") -> None:
    """Raise a ValueError if there are fewer than two classes; `among` describes the rows that were counted."""
    if len(classes) < 2:
        rows = f" among {among}" if among else ""
        raise ValueError(
            f"{name} holds only one class{rows}: {shorten(classes.tolist()[0])}. "
            "The estimator needs samples of at least 2 classes, and got 1 class."
        )


@names_argument
def validate_sample_weight(sample_weight: Any, n_rows: int, *, name: str = "sample_weight") -> NDArray[np.float64]:
    """Validate the weights of the rows and return a new float64 array; None means ones.

    Parameters
    ----------
    sample_weight : None, number or array-like of shape (n_rows,)
        Finite numbers >= 0, at least one of them above 0; one number is the weight of every row.
    n_rows : int
        The number of rows of X.
    name : str, default="sample_weight"
        The name of the weights in messages.

    Returns
    -------
    ndarray of shape (n_rows,), dtype float64

    Raises
    ------
    ValueError
        For another shape, NaN, infinity, a negative weight, or weights that are all zero.
    """
    if sample_weight is None:
        return np.ones(n_rows)
    array = as_array(sample_weight, name)
    if (index := first_non_number(array)) is not None:
        where = f" in row {index[0]}" if index else ""
        raise ValueError(f"{name} must be numbers, one for each row: it holds {shorten(array[index])}{where}.")
    weights = as_floats(array, name) if array.dtype.kind in "Oc" else array.astype(np.float64)
    if weights.ndim == 0:
        weights = np.full(n_rows, float(weights))
    if weights.ndim != 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar, got {weights.ndim}D array for {name}. "
            f"Expected either a scalar value or a 1D array of length {n_rows}."
        )
    if len(weights) != n_rows:
        raise ValueError(f"{name}.shape == {weights.shape}, expected ({n_rows},): pass one weight for each row.")
    wrong = ~np.isfinite(weights) | (weights < 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{name} is {weights[row]} in row {row}: weights must be finite and not negative.")
    if not weights.any():
        raise ValueError(f"Sample weights must contain at least one non-zero number: {name} is 0 in every row.")
    low, high = int(np.argmin(np.where(weights > 0, weights, np.inf))), int(np.argmax(weights))
    if weights[low] < weights[high] * MIN_WEIGHT_RATIO:
        raise ValueError(
            f"{name} ranges from {weights[low]!s} in row {low} to {weights[high]!s} in row {high}: the smallest "
            f"weight above 0 must be at least {MIN_WEIGHT_RATIO} times the largest. Use weight 0 to ignore a row."
        )
    return weights


@names_argument
def validate_groups(groups: Any, n_rows: int, *, name: str = "groups") -> NDArray[np.int64] | None:
    """Validate the groups of the rows and return their indices; None returns None.

    Parameters
    ----------
    groups : None or array-like of shape (n_rows,)
        Numbers, strings or other hashable objects, of at least two different values.
    n_rows : int
        The number of rows of X.
    name : str, default="groups"
        The name of the groups in messages.

    Returns
    -------
    ndarray of shape (n_rows,), dtype int64, or None
        The index of the group of each row, from 0 in order of first occurrence.

    Raises
    ------
    ValueError
        For another shape, a missing group, or fewer than two groups.
    """
    if groups is None:
        return None
    groups = to_plain_container(groups, name)
    if isinstance(groups, list | tuple):  # numpy would convert a number or None among strings to a string
        groups = _object_array(groups)
    array = np.asarray(groups)
    if array.shape != (n_rows,):
        raise ValueError(f"{name} has the shape {array.shape}: expected ({n_rows},). Pass one group for each row of X.")
    labels = array.tolist()
    missing = np.isnat(array) if array.dtype.kind in "mM" else map(is_missing, labels)
    row = next((row for row, is_one in enumerate(missing) if is_one), None)
    if row is not None:
        raise ValueError(
            f"{name} holds {shorten(array[row])} in row {row}: expected a group for every row. "
            "If a row belongs to no group, give it a unique one."
        )
    try:
        indices = {label: index for index, label in enumerate(dict.fromkeys(labels))}
    except TypeError as error:
        raise ValueError(f"{name} must be numbers, strings or other hashable objects: {error}.") from error
    check_two_groups(len(indices))
    return np.fromiter(map(indices.__getitem__, labels), dtype=np.int64, count=n_rows)


def check_two_groups(n_groups: int, among: str = "") -> None:
    """Raise a ValueError if there are fewer than two groups; `among` describes the rows that were counted."""
    if n_groups < 2:
        rows = f" among {among}" if among else ""
        raise ValueError(
            f"groups holds only one group{rows}: at least 2 are needed, because whole groups are held out."
        )


_MULTILABEL_ADVICE = (
    "For several labels per row, pass an indicator matrix: sklearn.preprocessing.MultiLabelBinarizer makes it."
)


def _check_one_label_per_row(y: Any, name: str) -> None:
    """Raise an error for rows of several labels and frames of several columns, with advice."""
    if is_sparse(y):
        raise TypeError(
            f"{name} is a sparse matrix of shape {y.shape}: expected one label for each row, or an indicator matrix "
            f"with a column for each of several labels. Convert it with {name}.toarray()."
        )
    array = as_array(y, name)
    if array.ndim == 2 and array.shape[1] > 1:
        # The message starts with scikit-learn's words, which users search for.
        expected = f"{name} should be a 1d array, got an array of shape {array.shape} instead: one label for each row"
        if len(array) == 1:
            raise ValueError(f"{expected}. If these are the labels of {array.shape[1]} rows, pass np.ravel({name}).")
        wrong = first_non_binary(array)
        if wrong is None or name != "y":  # other labels, such as y_val, must have the form of y
            expected += "."
        else:
            row, value = wrong
            expected += f", or an indicator matrix of 0 and 1, but row {row} holds {shorten(value)}."
        if hasattr(y, "columns"):
            raise ValueError(
                f"{expected} Pick the column that holds the labels, e.g. {name}[{next(iter(y.columns))!r}]."
            )
        raise ValueError(f"{expected} {_MULTILABEL_ADVICE}")
    if array.ndim == 1 and array.dtype == object:
        for position, row in enumerate(array):
            if isinstance(row, list | tuple | set | frozenset | np.ndarray) and len(row) != 1:
                raise ValueError(
                    f"Row {position} of {name} holds {len(row)} labels, {shorten(row)}: expected one label for each "
                    f"row. {_MULTILABEL_ADVICE}"
                )


def _check_no_missing_labels(labels: NDArray[Any], name: str) -> None:
    """Raise an error for None, NaN, NaT, pandas.NA and infinity."""
    if labels.dtype.kind == "f":
        missing = ~np.isfinite(labels)
    elif labels.dtype.kind in "mM":
        missing = np.isnat(labels)
    elif labels.dtype.kind == "O":
        missing = np.array([is_missing(label) or is_infinite(label) for label in labels], dtype=bool)
    else:
        return
    if missing.any():
        row = int(np.argmax(missing))
        # The message starts with scikit-learn's words, which users search for.
        problem = "NaN" if is_missing(labels[row]) else "infinity"
        raise ValueError(
            f"Input {name} contains {problem}: the label of row {row} is {shorten(labels[row])}. "
            "Drop the rows without a label."
        )


def _check_one_type(labels: NDArray[Any], name: str) -> None:
    """Raise an error for labels of several types and for object arrays of numbers, as scikit-learn does."""
    if labels.dtype.kind != "O" or all(isinstance(label, str) for label in labels):
        return
    types = sorted({type(label).__name__ for label in labels})
    if any(isinstance(label, str) for label in labels):
        raise ValueError(f"The labels in {name} mix {' and '.join(types)}: convert them to one type, e.g. str.")
    if all(isinstance(label, Number | np.bool_) for label in labels):
        raise ValueError(
            f"Unknown label type: {name} is an object array that holds {' and '.join(types)}. "
            f"Convert it to one type, e.g. {name}.astype(int)."
        )
