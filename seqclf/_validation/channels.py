"""The channels of series: their number, names and order, and the axis that they are on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._saved import Saved, State
from seqclf._validation.numbers import counted, shorten
from seqclf._warn import warn

_MAX_CHANNELS = 2**31 - 1  # products of sizes then fit in 64 bits
ONE_SERIES = "a series of numbers, of shape (steps,) or (steps, channels)"


@dataclass(frozen=True)
class SeriesForm:
    """The form of the series of fit. Later series must have the same form.

    Parameters
    ----------
    n_channels : int
        The number of values of a step.
    n_axes : int or None
        1 if each row is (steps,), 2 if it is (steps, channels); None if that is ambiguous.
    channel_names : sequence of str or None
        The names of the channels, in order.
    """

    n_channels: int
    n_axes: int | None = None
    channel_names: tuple[str, ...] | None = None

    def to_state(self) -> State:
        """The form as a saved state."""
        names = None if self.channel_names is None else [str.__str__(name) for name in self.channel_names]
        return {"n_channels": self.n_channels, "n_axes": self.n_axes, "channel_names": names}

    @classmethod
    def from_state(cls, saved: Saved) -> Self:
        """Restore the form from a saved state."""
        form = cls(
            saved.integer("n_channels", low=1, high=_MAX_CHANNELS),
            saved.optional("n_axes", saved.integer, low=1, high=2),
            saved.optional("channel_names", lambda name: tuple(saved.texts(name))),
        )
        names = form.channel_names
        saved.require(
            names is None or len(names) == form.n_channels,
            f"channel_names must have {form.n_channels} names, one for each channel",
        )
        return form


@dataclass(slots=True)
class Row:
    """One series of shape (steps, channels), the names of its channels, and the number of axes in the input."""

    values: NDArray[Any]
    names: tuple[str, ...] | None = None
    n_axes: int = 2

    @property
    def is_blank(self) -> bool:
        """Whether it has neither steps nor names; its number of channels is then meaningless."""
        return not len(self.values) and self.names is None


@dataclass(frozen=True)
class ChannelMatcher:
    """Bring the channels of all rows into the same order, by name if they have names.

    Parameters
    ----------
    seen : SeriesForm or None
        The form of the series of fit; None in fit.
    channels_first : bool
        The parameter `channels_first`, for messages.
    name : str
        The name of the input in messages.
    """

    seen: SeriesForm | None
    channels_first: bool
    name: str

    def match_rows(self, rows: Sequence[Row]) -> tuple[list[NDArray[Any]], SeriesForm]:
        """The values of the rows, all with the same channels, and their form."""
        n_channels = None if self.seen is None else self.seen.n_channels
        names = None if self.seen is None else self.seen.channel_names
        count_source, name_source = "X of fit had", "fit"
        matched = []
        for position, row in enumerate(rows):
            values = row.values
            if not row.is_blank:
                where = f"Row {position} of {self.name}"
                if names is None and row.names is not None and self.seen is None:
                    names, name_source = row.names, f"row {position}"
                values = row.values[:, _order(row.names, names, where, name_source)]
                self._check_count(values.shape[1], n_channels, where, count_source, rows)
                if n_channels is None:
                    n_channels, count_source = values.shape[1], f"row {position} has"
            matched.append(values)
        self._check_not_steps(rows)
        self._warn_of_names(rows, names, name_source)
        n_axes = max((row.n_axes for row in rows if not row.is_blank), default=1)
        return matched, SeriesForm(n_channels or 1, n_axes, names)

    def match_array(self, array: NDArray[Any], n_axes: int, names: tuple[str, ...] | None) -> tuple[Any, SeriesForm]:
        """An array (n, steps, channels) with its channels in the order of fit, and its form."""
        if not array.shape[1] and names is None:
            form = SeriesForm(1 if self.seen is None else self.seen.n_channels)
            return np.empty((len(array), 0, form.n_channels)), form
        expected = names if self.seen is None else self.seen.channel_names
        array = array[:, :, _order(names, expected, self.name, "fit")]
        first = Row(array[0], names)
        n_channels = None if self.seen is None else self.seen.n_channels
        self._check_count(array.shape[2], n_channels, f"Row 0 of {self.name}", "X of fit had", [first])
        self._warn_of_names([first], expected, "fit")
        # A 2-D array is ambiguous: it can be a list of (steps,), or a table.
        return array, SeriesForm(array.shape[2], n_axes if n_axes == 2 else None, expected)

    def warn_of_swapped_axes(self, longest: int, n_channels: int) -> None:
        """Warn, in fit, if all series have fewer steps than channels: the axes are probably swapped.

        With channels_first=True the user has chosen the order, and only series of a single step are suspicious.
        """
        if self.seen is not None or not 0 < longest < n_channels or (self.channels_first and longest > 1):
            return
        order = "last" if self.channels_first else "first, as in aeon, sktime and tsai"
        warn(
            f"Every row of {self.name} has fewer steps than channels: "
            f"{'at most ' * (longest > 1)}{counted(longest, 'step')} of {n_channels} channels. If channels come "
            f"{order}, set channels_first={not self.channels_first}, or pass {self.name}.transpose(0, 2, 1) "
            f"(for a list, [row.T for row in {self.name}])."
        )

    def check_not_one_series(self, shape: tuple[int, ...], is_frame: bool) -> None:
        """Raise an error for a 2-D array that is probably a single series and would be taken for many."""
        if self.seen is None or self.seen.n_axes is None:
            return
        if self.seen.n_axes == 1:
            if shape[0] > 1 and shape[1] == 1:
                raise ValueError(
                    f"{self.name} has the shape {shape}, but in fit it was a list of series of shape (steps,). "
                    f"If it is one series, pass {self.name}.T. If it is several series of one step, pass a list of "
                    "their rows."
                )
            return
        axes = "(n, channels, steps)" if self.channels_first else "(n, steps, channels)"
        advice = f"If it is one series, pass {f'[{self.name}]' if is_frame else f'{self.name}[None]'}."
        if self.seen.n_channels == 1 and not is_frame:
            axes_index = ":, None" if self.channels_first else ":, :, None"
            advice += f" If it is several series of one channel, pass {self.name}[{axes_index}]."
        raise ValueError(f"{self.name} has 2 dimensions, {shape}, but in fit it had 3, {axes}, or was a list. {advice}")

    def _check_not_steps(self, rows: Sequence[Row]) -> None:
        """Raise an error for a list of single numbers if the rows of fit had two axes: it is a single series."""
        if self.seen is None or self.seen.n_axes != 2 or len(rows) < 2:
            return
        if all(row.n_axes == 1 and len(row.values) == 1 for row in rows):
            raise ValueError(
                f"Each row of {self.name} is a single number, but in fit rows had 2 axes, (steps, channels). "
                f"If it is one series, pass [{self.name}]."
            )

    def _check_count(
        self, found: int, expected: int | None, where: str, count_source: str, rows: Sequence[Row]
    ) -> None:
        if found == 0:
            raise ValueError(f"{where} has 0 channels: expected {ONE_SERIES}, with at least one channel.")
        if expected is not None and found != expected:
            raise ValueError(
                f"{where} has {counted(found, 'channel')}, but {count_source} {expected}: all series must have the "
                f"same channels.{self._axes_hint(rows)}"
            )

    def _axes_hint(self, rows: Sequence[Row]) -> str:
        """Advice for the likely mistakes: a single series, or swapped axes (all rows have the same number of steps)."""
        arrays = [row for row in rows if not row.is_blank]
        if self.seen is not None and all(row.n_axes == 1 and len(row.values) == self.seen.n_channels for row in rows):
            return f" If it is one series, pass [{self.name}]."
        if self.seen is not None and all(row.n_axes == 1 for row in rows) and len(rows) == self.seen.n_channels:
            return f" If it is one series with a row for each channel, pass [numpy.column_stack({self.name})]."
        lengths = {len(row.values) for row in arrays}
        if len(lengths) != 1 or any(row.names is not None or row.n_axes != 2 for row in arrays):
            return ""
        if self.seen is not None and lengths != {self.seen.n_channels}:
            return ""
        axis, order = ("last", "(steps, channels)") if self.channels_first else ("first", "(channels, steps)")
        return (
            f" The {axis} axis has the length {lengths.pop()} in all rows: if they are {order}, "
            f"set channels_first={not self.channels_first}."
        )

    def _warn_of_names(self, rows: Sequence[Row], names: tuple[str, ...] | None, name_source: str) -> None:
        """Warn, once, if channels are matched by position because names are missing on one side."""
        differ = [index for index, row in enumerate(rows) if (row.names is None) != (names is None) and len(row.values)]
        if not differ:
            return
        if names is None:
            difference = "has channel names, but in fit there were none"
        else:
            source = f"those of {name_source} are" if name_source != "fit" else "in fit they were"
            difference = f"has no channel names, but {source} {shorten(list(names))}"
        warn(f"Row {differ[0]} of {self.name} {difference}: channels are matched by position.")


def _order(found: tuple[str, ...] | None, expected: tuple[str, ...] | None, where: str, name_source: str) -> Any:
    """The index that brings columns with the names `found` into the order of `expected`."""
    if found is None or expected is None or found == expected:
        return slice(None)
    differences = [
        f"{problem} {', '.join(map(repr, names))}"
        for problem, names in (
            ("missing", [name for name in expected if name not in found]),
            ("unexpected", [name for name in found if name not in expected]),
        )
        if names
    ]
    if differences:
        raise ValueError(
            f"{where} does not have the columns of {name_source}: {'; '.join(differences)}. "
            f"Expected {shorten(list(expected), 200)}, in any order."
        )
    return [found.index(name) for name in expected]


def as_name_tuple(names: Any) -> tuple[str, ...] | None:
    """The names in the attribute of an estimator as a tuple, for a SeriesForm."""
    return None if names is None else tuple(np.asarray(names).tolist())
