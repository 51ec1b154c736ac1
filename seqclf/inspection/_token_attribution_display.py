"""`TokenAttributionDisplay`: shows how much each token of a text, or each value of a series, contributed."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._validation.containers import shorten
from seqclf._validation.numbers import type_of
from seqclf.inspection._attribution_html import to_html
from seqclf.inspection._attribution_text import to_text
from seqclf.inspection._axes import closed_after_error, import_pyplot, panel_axes
from seqclf.inspection._contributions import Contributions
from seqclf.inspection._explained_model import ExplainedModel
from seqclf.inspection._text_pieces import largest_contribution, text_pieces, title
from seqclf.inspection._token_contributions import Method, explain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Sizes of a figure in inches.
_WIDTH, _MARGIN, _LEGEND, _TITLE, _CHANNEL, _STEP_AXIS = 9.0, 0.25, 0.35, 0.4, 0.8, 0.45
_LEFT_OF_SERIES = 0.9


class TokenAttributionDisplay:
    """Texts coloured by the contributions of their tokens, or series above strips of colours.

    Red parts raised the output that is explained, blue parts lowered it. The strongest colour is the largest
    contribution of all rows. A notebook shows the display as HTML, `plot` draws it with matplotlib, and `str` returns
    plain text.

    Parameters
    ----------
    contributions : list of Contributions
        The contributions of each row, as `token_contributions` returns them.
    texts : list of str, default=None
        The texts as given. Without them tokens are shown, separated by spaces.
    series : list of ndarray of shape (n_steps, n_channels), default=None
        The series whose values contributed.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure of the last call of `plot`.
    axes_ : list of matplotlib Axes
        Its axes, one for each row.

    Raises
    ------
    ValueError, TypeError
        If there is not one text or series for each row of `contributions`.

    See Also
    --------
    token_contributions : Computes the contributions.

    Notes
    -----
    The texts are untrusted input: HTML in them is escaped, ``$`` is no formula, and control characters are replaced.

    Examples
    --------
    >>> from seqclf import RNNTextClassifier
    >>> from seqclf.inspection import TokenAttributionDisplay
    >>> texts, labels = ["a good film", "a bad film"] * 20, ["praise", "blame"] * 20
    >>> classifier = RNNTextClassifier(units=8, batch_size=8, random_state=0).fit(texts, labels)
    >>> display = TokenAttributionDisplay.from_estimator(classifier, ["A good film"])
    >>> display.contributions[0].target
    'praise'
    >>> "[good +" in str(display)
    True
    """

    figure_: Any
    axes_: "list[Axes]"

    def __init__(
        self,
        contributions: list[Contributions],
        *,
        texts: list[str] | None = None,
        series: list[NDArray[np.floating]] | None = None,
    ):
        if not isinstance(contributions, list | tuple):
            advice = ": pass [contributions] for one row" if isinstance(contributions, Contributions) else ""
            raise TypeError(f"contributions must be a list of Contributions, got {type_of(contributions)}{advice}.")
        self.contributions = list(contributions)
        self.texts = _rows(texts, "texts", len(contributions))
        self.series = _rows(series, "series", len(contributions))
        _check_spans(self.contributions, self.texts)

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        X: Any,
        *,
        target: Any = None,
        method: Method = "integrated_gradients",
        n_steps: int = 64,
    ) -> Self:
        """Compute the contributions of rows, and return their display.

        Parameters
        ----------
        model : estimator or Predictor
            A fitted model, as in :func:`token_contributions`.
        X : array-like
            The rows to show: texts, lists of tokens, token ids or series.
        target : object, default=None
            The class or label to explain; the index of one of several numbers; for a tagger a step, or (step, class).
            None is the most probable class of each row, or the only number.
        method : {"integrated_gradients", "leave_out"}, default="integrated_gradients"
            "leave_out" predicts a row once for each of its tokens. Models of series need it if they have a linear
            model.
        n_steps : int, default=64
            The number of points at which gradients are computed; the time grows in proportion.

        Returns
        -------
        TokenAttributionDisplay

        Raises
        ------
        ValueError, TypeError
            As in :func:`token_contributions`.
        """
        explained = ExplainedModel(model, X)
        found = explain(explained, target, method, n_steps)
        return cls(found, texts=explained.texts(), series=explained.series())

    @closed_after_error()
    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the display with matplotlib.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw a display of one row; a long text gets a smaller font. None creates a figure with axes for
            each row.

        Returns
        -------
        TokenAttributionDisplay
            The display itself, with `figure_` and `axes_`.

        Raises
        ------
        ValueError
            If `ax` is given for a display of several rows.
        TypeError
            If `ax` is not a matplotlib Axes.
        ImportError
            If matplotlib is not installed.

        Warns
        -----
        UserWarning
            From matplotlib when the figure is drawn, if a character of a text is in no installed font.
        """
        from seqclf.inspection._attribution_plot import draw_legend, draw_series, draw_text

        import_pyplot(type(self).__name__)
        if ax is not None and len(self.contributions) != 1:
            raise ValueError(
                f"ax is given, but the display has {len(self.contributions)} rows: plot() without ax creates axes for "
                "each of them, and a display of one row can be drawn into ax."
            )
        self.axes_ = (
            self._new_axes() if ax is None else panel_axes(ax, [1], (0, 0), stacked=True, caller=type(self).__name__)
        )
        self.figure_ = self.axes_[0].figure if self.axes_ else None
        largest = largest_contribution(self.contributions)
        for position, (found, axes) in enumerate(zip(self.contributions, self.axes_, strict=True)):
            if found.tokens is None:
                draw_series(axes, self._series(position), found.contributions, largest, title(found))
            else:
                draw_text(axes, text_pieces(found, self._text(position)), largest, title(found))
        if ax is None and self.axes_:
            draw_legend(self.figure_, largest)
        return self

    def to_text(self, *, ansi: bool = False) -> str:
        """Return the display as text for a terminal.

        Parameters
        ----------
        ansi : bool, default=False
            Whether to mark tokens by ANSI colours instead of brackets and numbers.

        Returns
        -------
        str
            A line for each row, and a list of its largest contributions.
        """
        return to_text(self.contributions, self.texts, ansi)

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return to_html(self.contributions, self.texts)

    def _text(self, position: int) -> str | None:
        return None if self.texts is None else self.texts[position]

    def _series(self, position: int) -> NDArray[np.floating]:
        """The values of a series; zeros if only contributions were given."""
        if self.series is not None:
            return np.asarray(self.series[position]).reshape(self.contributions[position].contributions.shape)
        return np.zeros_like(self.contributions[position].contributions)

    def _new_axes(self) -> "list[Axes]":
        """Axes for each row, below each other in a new figure."""
        plt = import_pyplot(type(self).__name__)
        heights = [self._height(position) for position in range(len(self.contributions))]
        total = _LEGEND + sum(heights) + len(heights) * _TITLE + _MARGIN
        figure = plt.figure(figsize=(_WIDTH, total))
        top, axes = total - _LEGEND, []
        for found, height in zip(self.contributions, heights, strict=True):
            left, below = (_LEFT_OF_SERIES, _STEP_AXIS) if found.tokens is None else (_MARGIN, 0.0)
            bottom = top - _TITLE - height
            box = (
                left / _WIDTH,
                (bottom + below) / total,
                (_WIDTH - _MARGIN - left) / _WIDTH,
                (height - below) / total,
            )
            axes.append(figure.add_axes(box))
            top = bottom
        return axes

    def _height(self, position: int) -> float:
        """The height of a row in inches."""
        from seqclf.inspection._attribution_plot import text_height

        found = self.contributions[position]
        if found.tokens is None:
            return _CHANNEL * max(found.contributions.shape[1], 1) + _STEP_AXIS
        return text_height(text_pieces(found, self._text(position)), _WIDTH - 2 * _MARGIN)


def _check_spans(rows: list[Contributions], texts: list[str] | None) -> None:
    for row, (found, text) in enumerate(zip(rows, texts or [], strict=texts is not None)):
        if text is not None and found.spans is not None and found.spans.max(initial=0) > len(text):
            raise ValueError(
                f"texts[{row}] is shorter than the text that the contributions belong to: pass the texts that "
                "token_contributions got, in the same order."
            )


def _rows(rows: Any, name: str, n_rows: int) -> list[Any] | None:
    """Texts or series as a list, by position; those of a pandas Series have an index."""
    if rows is None:
        return None
    if isinstance(rows, str) or not hasattr(rows, "__len__"):
        raise TypeError(f"{name} must hold one of the {name} for each row of contributions; got {shorten(rows)}.")
    if len(rows) != n_rows:
        raise ValueError(f"{name} has {len(rows)} rows, but contributions has {n_rows}: pass one for each row.")
    return list(rows)
