"""Axes for displays with one panel or several."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def panel_axes(ax: Any, ratios: Sequence[float], size: tuple[float, float], *, stacked: bool, caller: str) -> list[Any]:
    """One axes for each panel.

    Parameters
    ----------
    ax : None, Axes or sequence of Axes
        None creates a figure. One axes is divided if there are several panels. A sequence has one axes for each panel.
    ratios : sequence of float
        The relative size of each panel.
    size : (float, float)
        Width and height of a new figure, in inches.
    stacked : bool
        Whether panels are below one another, with a common x axis, instead of side by side.
    caller : str
        The display, for messages.
    """
    plt = import_pyplot(caller)
    from matplotlib.axes import Axes

    n = len(ratios)
    shape, spaces = ((n, 1), {"height_ratios": ratios}) if stacked else ((1, n), {"width_ratios": ratios})
    if ax is None:
        figure = plt.figure(figsize=size, layout="constrained")
        return _add_panels(figure, figure.add_gridspec(*shape, **spaces), stacked)
    if isinstance(ax, Axes):
        if n == 1:
            return [ax]
        spec: Any = ax.get_subplotspec()
        if spec is None:
            raise ValueError(
                f"{caller} needs {n} panels, and an axes that is not part of a grid can't be divided: pass ax=None, an "
                f"axes of plt.subplots, or a list of {n} axes."
            )
        ax.set_axis_off()
        return _add_panels(ax.get_figure(), spec.subgridspec(*shape, **spaces), stacked)
    found = list(ax.flat) if hasattr(ax, "flat") else list(ax) if isinstance(ax, Sequence) else [None]
    if not all(isinstance(each, Axes) for each in found):
        raise TypeError(f"ax must be None, a matplotlib Axes or a sequence of Axes; got {type(ax).__name__}.")
    if len(found) != n:
        raise ValueError(f"ax holds {len(found)} axes, but {caller} needs {n}, one for each panel, or a single one.")
    return found


@contextmanager
def closed_after_error() -> Iterator[None]:
    """Close the figures that were created in the block if it raises an error, such as one about a colour."""
    before = _open_figures()
    try:
        yield
    except BaseException:
        for number in _open_figures() - before:
            sys.modules["matplotlib.pyplot"].close(number)
        raise


def _open_figures() -> set[int]:
    """The numbers of the open figures. This does not import matplotlib."""
    plt = sys.modules.get("matplotlib.pyplot")
    return set() if plt is None else set(plt.get_fignums())


def without_formulas(legend: Any) -> None:
    """Show dollar signs in the labels of a legend as they are."""
    for text in legend.get_texts():
        text.set_parse_math(False)


def import_pyplot(caller: str) -> Any:
    """matplotlib.pyplot, or an error that says how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} draws with matplotlib, which is not installed: `pip install matplotlib` installs it."
        ) from error
    return plt


def _add_panels(figure: Any, grid: Any, stacked: bool) -> list[Any]:
    panels: list[Any] = []
    for spec in grid:
        panels.append(figure.add_subplot(spec, sharex=panels[0] if stacked and panels else None))
    return panels
