"""What stands beside X, a value for each row: labels, sample weights, groups."""

from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.containers import as_array, is_missing, is_sparse, plain, shorten
from seqclf._validation.indicators import first_other
from seqclf._validation.numbers import as_floats, first_no_number, is_infinite
from seqclf._validation.reading import names_its_input

# The share of the largest weight below which a weight would be 0, or next to nothing, in float32.
SMALLEST_SHARE = 1e-30
_MAX_INT64 = np.iinfo(np.int64).max
_MAX_EXACT = 2**53  # the whole numbers up to here are floats too


@names_its_input
def check_labels(y: Any, n_rows: int, *, name: str = "y", rows_name: str = "X") -> NDArray[Any]:
    """The labels as an array: one for each row of `rows_name`, none of them missing, all of one sort."""
    from sklearn.utils.validation import column_or_1d

    if y is None:
        raise ValueError(f"The estimator requires {name} to be passed, but the target {name} is None.")
    y = plain(y, name)
    if getattr(getattr(y, "dtype", None), "kind", "") == "T":  # scikit-learn does not know numpy's newer texts
        y = y.tolist()
    if isinstance(y, list | tuple) and _is_changed_by_numpy(y):
        y = _objects(y)
    _refuse_several_labels(y, name)
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
            f"Found input variables with inconsistent numbers of samples: [{n_rows}, {len(labels)}]"
        )
    _refuse_missing(labels, name)
    if labels.dtype.kind == "O":
        refuse_merged(labels, name)
    _refuse_unclear(labels, name)
    return labels


def _is_changed_by_numpy(labels: Sequence[Any]) -> bool:
    """Whether some labels would be others in an array of numpy's choice.

    A number or None among texts would be a text, and a text would lose the NULs at its end. A whole number among
    floats, or next to one that needs more than 63 bits, would be a float.
    """
    types = set(map(type, labels))
    if any(issubclass(one, str) for one in types):
        return any(not isinstance(label, str) or label.endswith("\0") for label in labels)
    whole = [label for label in labels if isinstance(label, int)]
    if len(whole) == len(labels):
        return bool(whole) and max(whole) > _MAX_INT64
    return any(not -_MAX_EXACT <= label <= _MAX_EXACT for label in whole)


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def refuse_merged(labels: NDArray[Any], name: str, where: Callable[[int], str] = "row {}".format) -> None:
    """Refuse objects that numpy would change into other labels: texts that end with NUL, and too large whole numbers.

    `where` says of a position where it is.
    """
    for position, label in enumerate(labels.tolist()):
        if isinstance(label, str) and label.endswith("\0"):
            raise ValueError(
                f"{name} holds {shorten(label)} in {where(position)}, which ends with NUL: numpy drops it, so that "
                "this would be another label. Take the NULs away, or put another character in their place."
            )
        if isinstance(label, int) and not -_MAX_INT64 <= label <= _MAX_INT64:
            raise ValueError(
                f"{name} holds {shorten(label)} in {where(position)}: expected whole numbers that fit int64. Turn the "
                "labels into texts, with str()."
            )


def codes_of(labels: NDArray[Any], classes: NDArray[Any], *, name: str) -> NDArray[np.int64]:
    """For each label its position in `classes`; a ValueError names the labels that are not among them."""
    positions = {label: position for position, label in enumerate(classes.tolist())}
    unknown = [label for label in dict.fromkeys(labels.tolist()) if label not in positions]
    if unknown:
        raise ValueError(
            f"{name} holds {shorten(unknown)}, but the classes of y are {shorten(classes.tolist())}: "
            f"a label of {name} must be one of them."
        )
    return np.fromiter(map(positions.__getitem__, labels.tolist()), dtype=np.int64, count=len(labels))


@names_its_input
def read_classes(classes: Any, *, name: str = "classes") -> NDArray[Any]:
    """The classes of a stream, sorted; a ValueError where they are not two or more different labels."""
    if classes is None:
        raise ValueError(
            "The first call of partial_fit needs classes, all labels that y will ever hold, because a chunk may lack "
            "some of them: partial_fit(X, y, classes=[...])."
        )
    n_classes = len(classes) if hasattr(classes, "__len__") else 0
    labels = check_labels(classes, n_classes, name=name, rows_name=name)
    different = np.unique(labels)
    if len(different) < len(labels):
        raise ValueError(f"{name}={shorten(classes)} holds a label twice; expected each label once.")
    refuse_one_class(different, name)
    return different


def refuse_one_class(classes: NDArray[Any], name: str, among: str = "") -> None:
    """Raise a ValueError unless there are two classes at least; `among` says which rows were counted."""
    if len(classes) < 2:
        rows = f" among {among}" if among else ""
        raise ValueError(
            f"{name} holds only one class{rows}: {shorten(classes.tolist()[0])}. "
            "The estimator needs samples of at least 2 classes, and got 1 class."
        )


@names_its_input
def read_sample_weight(sample_weight: Any, n_rows: int, *, name: str = "sample_weight") -> NDArray[np.float64]:
    """Check the weights of the rows: a new float64 array, ones for None.

    Parameters
    ----------
    sample_weight : None, number or array-like of shape (n_rows,)
        Finite numbers >= 0, at least one of them above 0; one number is the weight of every row.
    n_rows : int
        The number of rows of X.
    name : str, default="sample_weight"
        How messages call the weights.

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
    if (place := first_no_number(array)) is not None:
        where = f" in row {place[0]}" if place else ""
        raise ValueError(f"{name} must be numbers, one for each row: it holds {shorten(array[place])}{where}.")
    weights = as_floats(array, name) if array.dtype.kind in "Oc" else array.astype(np.float64)
    if weights.ndim == 0:
        weights = np.full(n_rows, float(weights))
    if weights.ndim != 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar, got {weights.ndim}D array for {name}. "
            f"Expected either a scalar value or a 1D array of length {n_rows}."
        )
    if len(weights) != n_rows:
        raise ValueError(f"{name}.shape == {weights.shape}, expected ({n_rows},): one weight for each row.")
    wrong = ~np.isfinite(weights) | (weights < 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{name} is {weights[row]} in row {row}: weights must be finite and not negative.")
    if not weights.any():
        raise ValueError(f"Sample weights must contain at least one non-zero number: {name} is 0 in every row.")
    least, most = int(np.argmin(np.where(weights > 0, weights, np.inf))), int(np.argmax(weights))
    if weights[least] < weights[most] * SMALLEST_SHARE:
        raise ValueError(
            f"{name} ranges from {weights[least]!s} in row {least} to {weights[most]!s} in row {most}: the smallest "
            f"weight above 0 must be at least {SMALLEST_SHARE} times the largest. Rows of weight 0 are left out."
        )
    return weights


@names_its_input
def read_groups(groups: Any, n_rows: int, *, name: str = "groups") -> NDArray[np.int64] | None:
    """Check the groups of the rows and number them; None stays None.

    Parameters
    ----------
    groups : None or array-like of shape (n_rows,)
        Anything that can be told apart: numbers, strings, other hashable objects; at least two different ones.
    n_rows : int
        The number of rows of X.
    name : str, default="groups"
        How messages call the groups.

    Returns
    -------
    ndarray of shape (n_rows,), dtype int64, or None
        The number of each row's group, from 0 in the order in which they are first met.

    Raises
    ------
    ValueError
        For another shape, a missing group, or fewer than two groups.
    """
    if groups is None:
        return None
    groups = plain(groups, name)
    if isinstance(groups, list | tuple):  # as they are: numpy would turn a number or None among strings into a string
        groups = _objects(groups)
    array = np.asarray(groups)
    if array.shape != (n_rows,):
        raise ValueError(f"{name} has the shape {array.shape}, expected ({n_rows},): one group for each row of X.")
    labels = array.tolist()
    missing = np.isnat(array) if array.dtype.kind in "mM" else map(is_missing, labels)
    row = next((row for row, is_one in enumerate(missing) if is_one), None)
    if row is not None:
        raise ValueError(
            f"{name} holds {shorten(array[row])} in row {row}: expected a group for every row. "
            "Where a row stands alone, give it a group of its own."
        )
    try:
        numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    except TypeError as error:
        raise ValueError(f"{name} must be numbers, strings or other hashable objects: {error}.") from error
    refuse_one_group(len(numbers))
    return np.fromiter(map(numbers.__getitem__, labels), dtype=np.int64, count=n_rows)


def refuse_one_group(n_groups: int, among: str = "") -> None:
    """Raise a ValueError unless there are two groups at least; `among` says which rows were counted."""
    if n_groups < 2:
        rows = f" among {among}" if among else ""
        raise ValueError(f"groups holds only one group{rows}: at least 2 are needed, to hold some of them out.")


_SEVERAL = "Rows of several labels are read as an indicator matrix: sklearn.preprocessing.MultiLabelBinarizer makes it."


def _refuse_several_labels(y: Any, name: str) -> None:
    """Refuse rows of several labels, and frames of several columns, and say what to do with them."""
    if is_sparse(y):
        raise TypeError(
            f"{name} is a sparse matrix of shape {y.shape}: expected one label for each row, or an indicator matrix "
            f"with a column for each of several labels. Make it dense, with {name}.toarray()."
        )
    array = as_array(y, name)
    if array.ndim == 2 and array.shape[1] > 1:
        # scikit-learn's words come first: its users search for them
        expected = f"{name} should be a 1d array, got an array of shape {array.shape} instead: one label for each row"
        if len(array) == 1:
            raise ValueError(f"{expected}. Are these the labels of {array.shape[1]} rows? np.ravel({name}).")
        other = first_other(array)
        if other is None or name != "y":  # Labels of other rows are in the form of y.
            expected += "."
        else:
            row, value = other
            expected += f", or an indicator matrix of 0 and 1, but row {row} holds {shorten(value)}."
        if hasattr(y, "columns"):
            raise ValueError(
                f"{expected} Pick the column that holds the labels, e.g. {name}[{next(iter(y.columns))!r}]."
            )
        raise ValueError(f"{expected} {_SEVERAL}")
    if array.ndim == 1 and array.dtype == object:
        for position, row in enumerate(array):
            if isinstance(row, list | tuple | set | frozenset | np.ndarray) and len(row) != 1:
                raise ValueError(
                    f"Row {position} of {name} holds {len(row)} labels, {shorten(row)}: expected one label for each "
                    f"row. {_SEVERAL}"
                )


def _refuse_missing(labels: NDArray[Any], name: str) -> None:
    """Refuse None, NaN, NaT, pandas.NA and infinity."""
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
        # scikit-learn's words come first: its users search for them
        what = "NaN" if is_missing(labels[row]) else "infinity"
        raise ValueError(
            f"Input {name} contains {what}: the label of row {row} is {shorten(labels[row])}. "
            "Drop the rows without a label."
        )


def _refuse_unclear(labels: NDArray[Any], name: str) -> None:
    """Refuse labels of several types, and object arrays of numbers, as scikit-learn's classifiers do."""
    if labels.dtype.kind != "O" or all(isinstance(label, str) for label in labels):
        return
    sorts = sorted({type(label).__name__ for label in labels})
    if any(isinstance(label, str) for label in labels):
        raise ValueError(f"The labels in {name} mix {' and '.join(sorts)}: convert them to one type, e.g. str.")
    if all(isinstance(label, Number | np.bool_) for label in labels):
        raise ValueError(
            f"Unknown label type: {name} is an object array that holds {' and '.join(sorts)}. "
            f"Convert it to one type, e.g. {name}.astype(int)."
        )
