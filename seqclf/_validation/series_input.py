"""The containers that series come in, opened: frames, labelled arrays, tensors; and the calls that help with others."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.containers import is_missing, is_sparse, plain, shorten
from seqclf._validation.frames import (
    channel_names,
    column_labels,
    holds_structs,
    is_frame,
    is_nested,
    is_sequence,
    nested_columns,
)
from seqclf._validation.reading import names_its_input

_TIME = {"time", "times", "timestep", "timesteps", "time_step", "time_steps", "step", "steps"}
_CHANNEL = {"channel", "channels", "variable", "variables"}


@dataclass(frozen=True)
class NamedRow:
    """One series whose channels may have names: `values` of shape (steps, channels)."""

    values: NDArray[Any]
    names: tuple[str, ...] | None


@dataclass(frozen=True)
class SeriesInput:
    """What a user handed in, opened.

    Parameters
    ----------
    rows : list or array-like
        A list of rows, or an array; a frame of numbers as it is.
    channels_first : bool
        Whether arrays in it have their channels before their steps.
    channel_names : tuple of str or None
        The names of the channels of an array.
    """

    rows: Any
    channels_first: bool = False
    channel_names: tuple[str, ...] | None = None


@names_its_input
def open_series(X: Any, name: str, channels_first: bool) -> SeriesInput:
    """Open X where `unpack_rows` can't, and refuse what can only be meant otherwise."""
    if isinstance(X, SeriesInput):
        return X
    if holds_structs(X, name):
        raise TypeError(
            f"{name} holds structs: expected numbers. Make frames of the rows, whose columns are the channels: "
            f"[polars.DataFrame(row) for row in {name}.to_list()]."
        )
    if is_frame(X):
        _refuse_long_frame(X, name)
        if len(column_labels(X, name)) > 1 and is_nested(X, name):
            return SeriesInput(_nested_rows(X, name))
        return SeriesInput(X, channels_first)
    if getattr(getattr(X, "dtype", None), "kind", "O") in "iufb":  # a Series of numbers: each is a step
        _refuse_long_frame(X, name)
    _refuse_with_advice(X, name)
    if has_dims(X):
        values, decided, names = by_dims(X, name, n_axes=3)
        return SeriesInput(values, channels_first and not decided, names)
    return SeriesInput(plain(X, name), channels_first)


def has_dims(X: Any) -> bool:
    """Whether X is an array with named axes, as those of xarray."""
    return isinstance(getattr(X, "dims", None), tuple) and isinstance(getattr(X, "values", None), np.ndarray)


def by_dims(X: Any, name: str, n_axes: int) -> tuple[NDArray[Any], bool, tuple[str, ...] | None]:
    """An array with named axes in the order (rows, steps, channels), or, with two axes expected, (steps, channels).

    Axes called time or step and channel or variable are known by their names, the others by their positions.

    Returns
    -------
    values : ndarray
        The array, its axes in order.
    decided : bool
        Whether names have decided the order.
    channel_names : tuple of str or None
        The coordinates of the axis of the channels, where they are texts.
    """
    dims = [str(dim).lower() for dim in X.dims]
    roles = {place: "step" if dim in _TIME else "channel" for place, dim in enumerate(dims) if dim in _TIME | _CHANNEL}
    if not roles:
        return X.values, False, None
    wanted = ["row", "step", "channel"][3 - n_axes :]
    if len(dims) == n_axes - 1 and "channel" not in roles.values():
        wanted.remove("channel")
    if len(dims) != len(wanted) or len(set(roles.values())) < len(roles):
        advice = f" One series? [{name}]." if len(dims) < len(wanted) == 3 else ""
        raise ValueError(f"{name} has the axes {X.dims}: expected one for each of {', '.join(wanted)}.{advice}")
    unnamed = [role for role in wanted if role not in roles.values()]
    roles |= zip((place for place in range(len(dims)) if place not in roles), unnamed, strict=True)
    order = sorted(roles, key=lambda place: wanted.index(roles[place]))
    names = None
    if "channel" in roles.values() and X.dims[order[-1]] in getattr(X, "coords", ()):
        labels = np.asarray(X.coords[X.dims[order[-1]]]).tolist()
        names = tuple(labels) if all(isinstance(label, str) for label in labels) else None
    return X.values.transpose(order), True, names


def _nested_rows(X: Any, name: str) -> list[NamedRow]:
    """The rows of a frame whose columns are channels, and whose cells are series of one channel."""
    named, names = nested_columns(X, name), channel_names(X, name)
    rows = []
    for position, cells in enumerate(zip(*(values for _, values in named), strict=True)):
        arrays = []
        for (label, _), cell in zip(named, cells, strict=True):
            if is_missing(cell) or not is_sequence(cell):
                raise ValueError(
                    f"Row {position} of {name} holds {shorten(cell)} in column {label!r}: expected a series in every "
                    "cell. Leave the row out, or fill the cell."
                )
            arrays.append(np.asarray(cell))
            if arrays[-1].shape != arrays[0].shape or arrays[-1].ndim != 1:
                raise ValueError(
                    f"Row {position} of {name} holds a series of shape {arrays[-1].shape} in column {label!r}, and one "
                    f"of shape {arrays[0].shape} in column {named[0][0]!r}: expected (steps,), the same in all columns."
                )
        rows.append(NamedRow(np.column_stack(arrays), names))
    return rows


def _refuse_long_frame(X: Any, name: str) -> None:
    """Refuse a frame or Series whose index has several levels: each of its rows is most likely a step."""
    levels = getattr(getattr(X, "index", None), "names", None) or ()
    if len(levels) < 2:
        return
    labels = [f"level_{place}" if level is None else level for place, level in enumerate(levels)]
    raise ValueError(
        f"{name} has an index of {len(levels)} levels, {shorten(labels)}. If each row is one step of a series: "
        f"X, ids = seqclf.series_from_frame({name}.reset_index(), id={labels[0]!r}, time={labels[1]!r}). "
        f"If each row is one series: {name}.reset_index(drop=True)."
    )


def _refuse_with_advice(X: Any, name: str) -> None:
    """Name the call that makes series of a container that is none."""
    kind = type(X).__name__
    if isinstance(X, list | tuple) and X and is_pair_with_frame(X[0]):
        raise ValueError(
            f"Row 0 of {name} is a pair (key, frame), as groupby gives them: "
            "seqclf.series_from_frame(frame, id=..., time=...) makes series of the frame before it is grouped."
        )
    advice = None
    if "GroupBy" in kind:
        advice = "seqclf.series_from_frame(frame, id=..., time=...) makes series of the frame before it is grouped"
    elif isinstance(getattr(X, "dims", None), dict) or hasattr(X, "data_vars"):
        advice = f"hand in {name}.to_dataarray(), whose axis 'variable' is read as the channels"
    elif kind == "LazyFrame":
        advice = f"hand in {name}.collect()"
    elif isinstance(X, dict) and not is_sparse(X):  # scipy has a sparse matrix that is a dict
        advice = f"hand in list({name}.values())"
    elif type(X).__module__.startswith("awkward"):
        advice = f"hand in {name}.to_list()"
    if advice is not None:
        raise TypeError(f"{name} is a {kind}: expected one series in each row; {advice}.")


def is_pair_with_frame(row: Any) -> bool:
    """Whether a row is a pair (key, frame)."""
    return isinstance(row, tuple) and len(row) == 2 and is_frame(row[1]) and not is_frame(row[0])
