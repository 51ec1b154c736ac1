"""`HiddenStatesDisplay`: the states of one text or series over its steps, as a heat map."""

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqclf._validation.containers import shorten
from seqclf.inspection._axes import closed_after_error, panel_axes, without_formulas
from seqclf.inspection._fitted_estimator import fitted_estimator, network_config
from seqclf.inspection._steps import as_X, steps_of

# The largest number of tokens that are written at the axis, of characters of a token, and of channels in a legend.
_MAX_TOKENS, _MAX_CHARACTERS, _MAX_CHANNELS = 70, 18, 8
# The size of a figure in inches: the smallest and the largest width, and the width of a step.
_MIN_WIDTH, _MAX_WIDTH, _STEP_WIDTH = 5.5, 14.0, 0.2


class HiddenStatesDisplay:
    """The states of the last recurrent layer for one text or series, with a heat map for each direction.

    Use :meth:`from_estimator`, which calls `hidden_states`.

    Parameters
    ----------
    states : list of ndarray of shape (n_steps, n_units)
        The states of each direction: forward, and reverse if there are two.
    tokens : list of str, default=None
        The token of each step of a text.
    series : ndarray of shape (n_steps, n_channels), default=None
        The values of each step of a series, which are drawn above the states.
    channel_names : list of str, default=None
        The names of the channels, for a legend.
    units : array-like of int, default=None
        The numbers of the units at the axis; by default 0, 1, 2, ...

    Attributes
    ----------
    figure_ : Figure
        The figure.
    ax_ : Axes
        The axes of the states of the forward direction.
    axes_ : list of Axes
        All axes from top to bottom: the series, if there is one, and the states of each direction.
    images_ : list of AxesImage
        The heat map of each direction.
    colorbar_ : Colorbar or None
        The scale of the colours; None with ``colorbar=False``.

    Examples
    --------
    >>> from seqclf import RNNTextClassifier
    >>> from seqclf.inspection import HiddenStatesDisplay
    >>> texts, labels = ["good, not bad", "bad, not good"] * 20, ["praise", "blame"] * 20
    >>> classifier = RNNTextClassifier(units=8, batch_size=8, random_state=0).fit(texts, labels)
    >>> display = HiddenStatesDisplay.from_estimator(classifier, "good, not bad")
    >>> display.tokens, [states.shape for states in display.states]
    (['good', ',', 'not', 'bad'], [(4, 8), (4, 8)])
    """

    def __init__(
        self,
        states: list[NDArray[np.float32]],
        *,
        tokens: list[str] | None = None,
        series: NDArray[np.float64] | None = None,
        channel_names: list[str] | None = None,
        units: ArrayLike | None = None,
    ) -> None:
        self.states = states
        self.tokens = tokens
        self.series = series
        self.channel_names = channel_names
        self.units = units

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X_row: Any,
        *,
        units: ArrayLike | None = None,
        ax: Any = None,
        vmax: float | None = None,
        cmap: Any = "RdBu_r",
        colorbar: bool = True,
    ) -> Self:
        """Compute and draw the states of one text or series.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator of this package.
        X_row : str, list or array
            One row of X: a text, a list of tokens or token ids, or a series.
        units : array-like of int, default=None
            The units to draw in each direction, from top to bottom, numbered from 0. None draws all.
        ax : Axes or sequence of Axes, default=None
            Where to draw: one axes for each panel, or a single one, which is divided. None creates a figure.
        vmax : float, default=None
            The value of the darkest red; the darkest blue is ``-vmax``. None uses the largest absolute state. Set it
            to compare several sequences.
        cmap : str or Colormap, default="RdBu_r"
            The colours. The default shows 0 as white.
        colorbar : bool, default=True
            Whether to draw the scale of the colours.

        Returns
        -------
        HiddenStatesDisplay
            The display, drawn.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as described, or X_row has no steps.
        NotFittedError
            If the estimator is not fitted.
        ImportError
            If matplotlib is not installed.

        Notes
        -----
        The steps are those that the network processes. A token in parentheses is not in the vocabulary, so the network
        reads the unknown token. With a tokenizer that is no `TextTokenizer`, the ids are shown.
        """
        fitted = fitted_estimator(estimator)
        X = as_X(fitted, X_row)
        steps, states = steps_of(fitted, X), fitted.hidden_states(X)[0]
        if not len(states):
            raise ValueError("X_row has no steps, so it has no states: pass a text or series with at least one step.")
        directions = np.split(states, network_config(fitted).n_directions, axis=1)
        display = cls(
            [_select(each, units) for each in directions],
            tokens=steps.tokens,
            series=steps.values,
            channel_names=steps.channel_names,
            units=units,
        )
        return display.plot(ax, vmax=vmax, cmap=cmap, colorbar=colorbar)

    @closed_after_error()
    def plot(self, ax: Any = None, *, vmax: float | None = None, cmap: Any = "RdBu_r", colorbar: bool = True) -> Self:
        """Draw the states.

        Parameters
        ----------
        ax : Axes or sequence of Axes, default=None
            As in :meth:`from_estimator`.
        vmax : float, default=None
            As in :meth:`from_estimator`.
        cmap : str or Colormap, default="RdBu_r"
            As in :meth:`from_estimator`.
        colorbar : bool, default=True
            As in :meth:`from_estimator`.

        Returns
        -------
        HiddenStatesDisplay
            The display itself.
        """
        if vmax is not None and not (isinstance(vmax, Real) and 0 < vmax < np.inf):
            raise ValueError(f"vmax must be None or a number above 0; got {shorten(vmax)}.")
        ratios = ([1.0] if self.series is not None else []) + [1.6] * len(self.states)
        n_steps = len(self.states[0])
        margin = 1.0 if self.tokens is None else 1.8
        size = (float(np.clip(2 + _STEP_WIDTH * n_steps, _MIN_WIDTH, _MAX_WIDTH)), margin + 1.4 * sum(ratios))
        self.axes_ = panel_axes(ax, ratios, size, stacked=True, caller=type(self).__name__)
        *above, self.ax_ = self.axes_[: len(self.axes_) - len(self.states) + 1]
        self.figure_ = self.ax_.get_figure()
        limit = vmax or max(float(np.abs(states).max(initial=0)) for states in self.states) or 1.0
        for axes in above:
            self._draw_series(axes)
        self.images_ = []
        for axes, states, direction in zip(self.axes_[len(above) :], self.states, ("forward", "reverse"), strict=False):
            self.images_.append(_draw_states(axes, states, limit, cmap))
            self._label_units(axes)
            axes.set_ylabel(f"{direction} unit" if len(self.states) > 1 else "unit")
        for axes in self.axes_[:-1]:
            axes.tick_params(labelbottom=False)
        self._label_steps(self.axes_[-1])
        self.colorbar_ = None
        if colorbar:
            self.colorbar_ = self.figure_.colorbar(self.images_[0], ax=self.axes_, label="state", fraction=0.05)
        return self

    def _draw_series(self, ax: Any) -> None:
        assert self.series is not None
        n_steps, n_channels = self.series.shape
        lines = ax.plot(np.arange(1, n_steps + 1), self.series, marker="." if n_steps <= _MAX_TOKENS else "")
        ax.set_ylabel("value")
        if 1 < n_channels <= _MAX_CHANNELS:
            names = self.channel_names or [f"channel {channel}" for channel in range(n_channels)]
            without_formulas(ax.legend(lines, names, fontsize="small", loc="best"))

    def _label_units(self, ax: Any) -> None:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        units = np.arange(self.states[0].shape[1]) if self.units is None else np.asarray(self.units)
        ax.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.yaxis.set_major_formatter(
            FuncFormatter(lambda position, _: str(units[int(position)]) if 0 <= position < len(units) else "")
        )

    def _label_steps(self, ax: Any) -> None:
        if self.tokens is None:
            ax.set_xlabel("step")
            return
        every = -(-len(self.tokens) // _MAX_TOKENS)
        tokens = [_tick_label(token) for token in self.tokens[::every]]
        # A dollar sign in a token does not begin a formula.
        ax.set_xticks(np.arange(1, len(self.tokens) + 1, every), tokens, rotation=90, parse_math=False)
        if every > 1:
            ax.set_xlabel(f"tokens, 1 of {every}")


def _select(states: NDArray[np.float32], units: ArrayLike | None) -> NDArray[np.float32]:
    """The states of these units, in this order."""
    if units is None:
        return states
    n_units = states.shape[1]
    try:
        chosen = np.asarray(units)
    except ValueError:  # for lists of unequal length
        chosen = np.empty(0)
    valid = chosen.ndim == 1 and chosen.size and chosen.dtype.kind in "iu"
    if not valid or chosen.min() < 0 or chosen.max() >= n_units:
        raise ValueError(f"units must be None or a sequence of integers from 0 to {n_units - 1}; got {shorten(units)}.")
    return states[:, chosen]


def _draw_states(ax: Any, states: NDArray[np.float32], limit: float, cmap: Any) -> Any:
    """A heat map of units by steps; steps are numbered from 1."""
    n_steps, n_units = states.shape
    extent = (0.5, n_steps + 0.5, n_units - 0.5, -0.5)
    return ax.imshow(states.T, cmap=cmap, vmin=-limit, vmax=limit, aspect="auto", extent=extent)


def _tick_label(token: str) -> str:
    shown = token if len(token) <= _MAX_CHARACTERS else f"{token[: _MAX_CHARACTERS - 1]}…"
    return repr(shown)[1:-1] if not shown.isprintable() else shown
