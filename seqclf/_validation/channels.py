"""The channels of series: how many, in which order, and whether an array has them before its steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._saved import Saved, State
from seqclf._validation.numbers import shorten
from seqclf._warn import warn

_MAX_CHANNELS = 2**31 - 1  # so that no product of sizes is beyond 64 bits
ONE_SERIES = "a series of numbers, of shape (steps,) or (steps, channels)"


@dataclass(frozen=True)
class SeriesForm:
    """What fit learns of the form of series. Later series must have the same.

    Parameters
    ----------
    n_channels : int
        How many numbers a step has.
    n_axes : int or None
        1 where each row is (steps,), 2 where it is (steps, channels); None if that is not known.
    channel_names : sequence of str or None
        The names of the channels, in their order.
    """

    n_channels: int
    n_axes: int | None = None
    channel_names: tuple[str, ...] | None = None

    def to_state(self) -> State:
        """The form as a saved state has it."""
        names = None if self.channel_names is None else [str.__str__(name) for name in self.channel_names]
        return {"n_channels": self.n_channels, "n_axes": self.n_axes, "channel_names": names}

    @classmethod
    def from_state(cls, saved: Saved) -> Self:
        """The form of a saved state."""
        form = cls(
            saved.integer("n_channels", low=1, high=_MAX_CHANNELS),
            saved.optional("n_axes", saved.integer, low=1, high=2),
            saved.optional("channel_names", lambda name: tuple(saved.texts(name))),
        )
        names = form.channel_names
        saved.require(names is None or len(names) == form.n_channels, "channel_names are not one for each channel")
        return form


@dataclass(slots=True)
class Row:
    """One series of shape (steps, channels), the names of its channels, and how many axes it was given with."""

    values: NDArray[Any]
    names: tuple[str, ...] | None = None
    n_axes: int = 2

    @property
    def says_nothing(self) -> bool:
        """Whether it has neither steps nor names: how many channels it has is then of no consequence."""
        return not len(self.values) and self.names is None


@dataclass(frozen=True)
class ChannelMatcher:
    """Bring rows into one order of channels, by their names where they have some.

    Parameters
    ----------
    seen : SeriesForm or None
        What fit has learned; None in fit.
    channels_first : bool
        The axis order that arrays were read with, for messages.
    name : str
        How messages call the input.
    """

    seen: SeriesForm | None
    channels_first: bool
    name: str

    def match_rows(self, rows: Sequence[Row]) -> tuple[list[NDArray[Any]], SeriesForm]:
        """The values of the rows, all with the same channels, and their form."""
        n_channels = None if self.seen is None else self.seen.n_channels
        names = None if self.seen is None else self.seen.channel_names
        counted, named = "in fit it was", "in fit"
        matched = []
        for position, row in enumerate(rows):
            values = row.values
            if not row.says_nothing:
                where = f"Row {position} of {self.name}"
                if names is None and row.names is not None and self.seen is None:
                    names, named = row.names, f"in row {position}"
                values = row.values[:, _order(row.names, names, where, named)]
                self._check_count(values.shape[1], n_channels, where, counted, rows)
                if n_channels is None:
                    n_channels, counted = values.shape[1], f"in row {position} it is"
            matched.append(values)
        self._refuse_steps_as_rows(rows)
        self._warn_of_names(rows, names, named)
        n_axes = max((row.n_axes for row in rows if not row.says_nothing), default=1)
        return matched, SeriesForm(n_channels or 1, n_axes, names)

    def match_array(self, array: NDArray[Any], n_axes: int, names: tuple[str, ...] | None) -> tuple[Any, SeriesForm]:
        """An array (n, steps, channels) with the channels of fit, and its form."""
        if not array.shape[1] and names is None:
            form = SeriesForm(1 if self.seen is None else self.seen.n_channels)
            return np.empty((len(array), 0, form.n_channels)), form
        expected = names if self.seen is None else self.seen.channel_names
        array = array[:, :, _order(names, expected, self.name, "in fit")]
        first = Row(array[0], names)
        n_channels = None if self.seen is None else self.seen.n_channels
        self._check_count(array.shape[2], n_channels, f"Row 0 of {self.name}", "in fit it was", [first])
        self._warn_of_names([first], expected, "in fit")
        # As an array of two dimensions it does not say whether it was meant as a list of (steps,) or as a table.
        return array, SeriesForm(array.shape[2], n_axes if n_axes == 2 else None, expected)

    def warn_of_few_steps(self, longest: int, n_channels: int) -> None:
        """Warn, in fit, where no series has as many steps as channels: the axes are most likely the other way round.

        Where channels_first=True says that they are, only series of one step are suspicious.
        """
        if self.seen is not None or not 0 < longest < n_channels or (self.channels_first and longest > 1):
            return
        order = "last" if self.channels_first else "first, as aeon, sktime and tsai have them"
        warn(
            f"Every row of {self.name} has fewer steps than channels: read as {longest} step{'s' * (longest > 1)} of "
            f"{n_channels} channels{' at most' * (longest > 1)}. If channels come {order}: "
            f"channels_first={not self.channels_first}, or {self.name}.transpose(0, 2, 1) "
            f"(of a list: [row.T for row in {self.name}])."
        )

    def refuse_one_series(self, shape: tuple[int, ...], is_frame: bool) -> None:
        """Refuse an array of two dimensions that is most likely a single series: it would be read as many."""
        if self.seen is None or self.seen.n_axes is None:
            return
        if self.seen.n_axes == 1:
            if shape[0] > 1 and shape[1] == 1:
                raise ValueError(
                    f"{self.name} has the shape {shape}, in fit it was a list of series of shape (steps,). "
                    f"One series? {self.name}.T. Series of one step each? A list of their rows."
                )
            return
        axes = "(n, channels, steps)" if self.channels_first else "(n, steps, channels)"
        advice = f"One series? {f'[{self.name}]' if is_frame else f'{self.name}[None]'}."
        if self.seen.n_channels == 1 and not is_frame:
            place = ":, None" if self.channels_first else ":, :, None"
            advice += f" Several series of one channel? {self.name}[{place}]."
        raise ValueError(f"{self.name} has 2 dimensions, {shape}, in fit it had 3, {axes}, or was a list. {advice}")

    def _refuse_steps_as_rows(self, rows: Sequence[Row]) -> None:
        """Refuse a list of steps of one number where fit has read rows of two axes: it is one series as a list."""
        if self.seen is None or self.seen.n_axes != 2 or len(rows) < 2:
            return
        if all(row.n_axes == 1 and len(row.values) == 1 for row in rows):
            raise ValueError(
                f"Each row of {self.name} is a single number, but in fit rows had 2 axes, (steps, channels). "
                f"One series? [{self.name}]."
            )

    def _check_count(self, found: int, expected: int | None, where: str, counted: str, rows: Sequence[Row]) -> None:
        if found == 0:
            raise ValueError(f"{where} has 0 channels: expected {ONE_SERIES}, at least one channel.")
        if expected is not None and found != expected:
            raise ValueError(
                f"{where} has {found} channel(s), but {counted} {expected}: all series must have the same "
                f"channels.{self._axes_hint(rows)}"
            )

    def _axes_hint(self, rows: Sequence[Row]) -> str:
        """What to say where the axis that was read as the steps has the same length in all rows."""
        arrays = [row for row in rows if not row.says_nothing]
        if self.seen is not None and all(row.n_axes == 1 and len(row.values) == self.seen.n_channels for row in rows):
            return f" One series? [{self.name}]."
        if self.seen is not None and all(row.n_axes == 1 for row in rows) and len(rows) == self.seen.n_channels:
            return f" One series, a row for each channel? [numpy.column_stack({self.name})]."
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

    def _warn_of_names(self, rows: Sequence[Row], names: tuple[str, ...] | None, named: str) -> None:
        """Warn, once, where rows are read by position because one side has no names."""
        differ = [place for place, row in enumerate(rows) if (row.names is None) != (names is None) and len(row.values)]
        if not differ:
            return
        if names is None:
            difference = "has names of channels, but in fit there were none"
        else:
            difference = f"has no names of channels, but {named} they are {shorten(list(names))}"
        warn(f"Row {differ[0]} of {self.name} {difference}: channels are read by position.")


def _order(found: tuple[str, ...] | None, expected: tuple[str, ...] | None, where: str, named: str) -> Any:
    """The index that brings columns of these names into the order of `expected`."""
    if found is None or expected is None or found == expected:
        return slice(None)
    differences = [
        f"{what} {', '.join(map(repr, some))}"
        for what, some in (
            ("missing", [name for name in expected if name not in found]),
            ("unexpected", [name for name in found if name not in expected]),
        )
        if some
    ]
    if differences:
        raise ValueError(
            f"{where} has other columns than {named}: {'; '.join(differences)}. "
            f"Expected {shorten(list(expected), 200)}, in any order."
        )
    return [found.index(name) for name in expected]


def as_names(names: Any) -> tuple[str, ...] | None:
    """The names that an estimator keeps, as a SeriesForm has them."""
    return None if names is None else tuple(np.asarray(names).tolist())
