"""Unpacking of series from frames, labelled arrays and tensors, and advice for containers that are not supported."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.argument_errors import names_argument
from seqclf._validation.containers import is_missing, is_sparse, shorten, to_plain_container
from seqclf._validation.frames import (
    channel_names,
    column_labels,
    holds_structs,
    is_frame,
    is_nested,
    is_sequence,
    nested_columns,
)
from seqclf._validation.numbers import type_of

_TIME = {"time", "times", "timestep", "timesteps", "time_step", "time_steps", "step", "steps"}
_CHANNEL = {"channel", "channels", "variable", "variables"}


@dataclass(frozen=True)
class NamedRow:
    """One series with optional channel names; `values` has the shape (steps, channels)."""

    values: NDArray[Any]
    names: tuple[str, ...] | None


@dataclass(frozen=True)
class SeriesInput:
    """The input of a user, unpacked from its container.

    Parameters
    ----------
    rows : list or array-like
        A list of rows, or an array; a frame of numbers is not converted.
    channels_first : bool
        Whether arrays have their channels before their steps.
    channel_names : tuple of str or None
        The names of the channels of an array.
    """

    rows: Any
    channels_first: bool = False
    channel_names: tuple[str, ...] | None = None


@names_argument
def open_series(X: Any, name: str, channels_first: bool) -> SeriesInput:
    """Unpack the containers that `unpack_rows` can't, and raise an error for input that is certainly a mistake."""
    if isinstance(X, SeriesInput):
        return X
    if holds_structs(X, name):
        raise TypeError(
            f"{name} holds structs: expected numbers. Convert the rows to frames, whose columns are the channels: "
            f"[polars.DataFrame(row) for row in {name}.to_list()]."
        )
    if is_frame(X):
        _check_not_long_frame(X, name)
        if len(column_labels(X, name)) > 1 and is_nested(X, name):
            return SeriesInput(_nested_rows(X, name))
        return SeriesInput(X, channels_first)
    if getattr(getattr(X, "dtype", None), "kind", "O") in "iufb":  # a Series of numbers, each of them a step
        _check_not_long_frame(X, name)
    _check_container(X, name)
    if has_dims(X):
        values, is_ordered, names = transpose_by_dims(X, name, n_axes=3)
        return SeriesInput(values, channels_first and not is_ordered, names)
    return SeriesInput(to_plain_container(X, name), channels_first)


def has_dims(X: Any) -> bool:
    """Whether X is an array with named axes, like those of xarray."""
    return isinstance(getattr(X, "dims", None), tuple) and isinstance(getattr(X, "values", None), np.ndarray)


def transpose_by_dims(X: Any, name: str, n_axes: int) -> tuple[NDArray[Any], bool, tuple[str, ...] | None]:
    """Bring named axes into the order (rows, steps, channels), or (steps, channels) if two axes are expected.

    Axes named time or step, and channel or variable, are identified by name, all others by position.

    Returns
    -------
    values : ndarray
        The array with its axes in order.
    is_ordered : bool
        Whether names determined the order.
    channel_names : tuple of str or None
        The coordinates of the channel axis if they are texts, else None.
    """
    dims = [str(dim).lower() for dim in X.dims]
    roles = {axis: "step" if dim in _TIME else "channel" for axis, dim in enumerate(dims) if dim in _TIME | _CHANNEL}
    if not roles:
        return X.values, False, None
    wanted = ["row", "step", "channel"][3 - n_axes :]
    if len(dims) == n_axes - 1 and "channel" not in roles.values():
        wanted.remove("channel")
    if len(dims) != len(wanted) or len(set(roles.values())) < len(roles):
        advice = f" If it is one series, pass [{name}]." if len(dims) < len(wanted) == 3 else ""
        raise ValueError(f"{name} has the axes {X.dims}: expected one axis for each of {', '.join(wanted)}.{advice}")
    unnamed = [role for role in wanted if role not in roles.values()]
    roles |= zip((axis for axis in range(len(dims)) if axis not in roles), unnamed, strict=True)
    order = sorted(roles, key=lambda axis: wanted.index(roles[axis]))
    names = None
    if "channel" in roles.values() and X.dims[order[-1]] in getattr(X, "coords", ()):
        labels = np.asarray(X.coords[X.dims[order[-1]]]).tolist()
        names = tuple(labels) if all(isinstance(label, str) for label in labels) else None
    return X.values.transpose(order), True, names


def _nested_rows(X: Any, name: str) -> list[NamedRow]:
    """The rows of a nested frame: its columns are channels, its cells series of one channel."""
    all_columns, names = nested_columns(X, name), channel_names(X, name)
    rows = []
    for position, cells in enumerate(zip(*(values for _, values in all_columns), strict=True)):
        arrays = []
        for (label, _), cell in zip(all_columns, cells, strict=True):
            if is_missing(cell) or not is_sequence(cell):
                raise ValueError(
                    f"Row {position} of {name} holds {shorten(cell)} in column {label!r}: expected a series in every "
                    "cell. Drop the row, or fill the cell."
                )
            arrays.append(np.asarray(cell))
            if arrays[-1].shape != arrays[0].shape or arrays[-1].ndim != 1:
                raise ValueError(
                    f"Row {position} of {name} holds a series of shape {arrays[-1].shape} in column {label!r}, and one "
                    f"of shape {arrays[0].shape} in column {all_columns[0][0]!r}: expected (steps,), the same in all "
                    "columns of a row."
                )
        rows.append(NamedRow(np.column_stack(arrays), names))
    return rows


def _check_not_long_frame(X: Any, name: str) -> None:
    """Raise an error for a frame or Series with a multi-level index: each of its rows is probably a step."""
    levels = getattr(getattr(X, "index", None), "names", None) or ()
    if len(levels) < 2:
        return
    labels = [f"level_{depth}" if level is None else level for depth, level in enumerate(levels)]
    raise ValueError(
        f"{name} has an index of {len(levels)} levels, {shorten(labels)}. If each row is one step of a series, convert "
        f"it: X, ids = seqclf.series_from_frame({name}.reset_index(), id={labels[0]!r}, time={labels[1]!r}). "
        f"If each row is one series, pass {name}.reset_index(drop=True)."
    )


def _check_container(X: Any, name: str) -> None:
    """Raise an error for an unsupported container, with the call that converts it."""
    kind = type(X).__name__
    if isinstance(X, list | tuple) and X and _is_pair_with_frame(X[0]):
        raise ValueError(
            f"Row 0 of {name} is a pair (key, frame), as from groupby: expected a series. Convert the frame before "
            "it is grouped: seqclf.series_from_frame(frame, id=..., time=...)."
        )
    advice = None
    if "GroupBy" in kind:
        advice = "convert the frame before it is grouped: seqclf.series_from_frame(frame, id=..., time=...)"
    elif isinstance(getattr(X, "dims", None), dict) or hasattr(X, "data_vars"):
        advice = f"pass {name}.to_dataarray(), whose axis 'variable' becomes the channels"
    elif kind == "LazyFrame":
        advice = f"pass {name}.collect()"
    elif isinstance(X, dict) and not is_sparse(X):  # a sparse matrix of scipy can be a dict
        advice = f"pass list({name}.values())"
    elif type(X).__module__.startswith("awkward"):
        advice = f"pass {name}.to_list()"
    if advice is not None:
        raise TypeError(f"{name} is {type_of(X)}: expected one series in each row; {advice}.")


def _is_pair_with_frame(row: Any) -> bool:
    """Whether a row is a pair (key, frame)."""
    return isinstance(row, tuple) and len(row) == 2 and is_frame(row[1]) and not is_frame(row[0])
