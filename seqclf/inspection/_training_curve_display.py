"""`TrainingCurveDisplay`: losses and scores by epoch."""

from collections.abc import Iterator, Sequence
from typing import Any, Self

from seqclf._validation.containers import shorten
from seqclf.inspection._axes import closed_after_error, import_pyplot, panel_axes, without_formulas
from seqclf.inspection._training_curve import TrainingCurve, training_curves

_METRICS = ("loss", "score")
# Up to this many epochs each one is a point on the line.
_MAX_POINTS = 30
_MARK = {"marker": "o", "markersize": 9, "markeredgewidth": 1.5, "fillstyle": "none", "linestyle": ""}


class TrainingCurveDisplay:
    """Training and validation loss and score of each epoch, with a mark at the best epoch.

    Use :meth:`from_estimator`, which reads `history_` and `best_epoch_` of fitted estimators.

    Parameters
    ----------
    curves : list of TrainingCurve
        For each estimator its name, the epochs, and the values of each epoch. :meth:`from_estimator` makes them.

    Attributes
    ----------
    figure_ : Figure
        The figure.
    ax_ : Axes
        The axes of the first metric.
    axes_ : list of Axes
        One axes for each metric.
    lines_ : list of list of Line2D
        For each metric its lines: for each estimator the training curve, then the validation curve, if there is one.
    best_epochs_ : list of list of Line2D
        For each metric the mark at the best epoch of each estimator.

    Examples
    --------
    >>> from seqclf import RNNClassifier, datasets
    >>> from seqclf.inspection import TrainingCurveDisplay
    >>> X, y = datasets.make_order_series(60, random_state=0)
    >>> classifier = RNNClassifier(units=4, max_epochs=3, patience=2, random_state=0).fit(X, y)
    >>> display = TrainingCurveDisplay.from_estimator(classifier)
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['loss', 'accuracy']
    """

    def __init__(self, curves: list[TrainingCurve]) -> None:
        self.curves = curves

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        metric: str | Sequence[str] = _METRICS,
        ax: Any = None,
        name: str | Sequence[str] | None = None,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the training curves of one or several fitted estimators.

        Parameters
        ----------
        estimator : estimator, list of estimators, or dict of str to estimator
            Fitted estimators of this package. The keys of a dict are names in the legend.
        metric : "loss", "score", or a sequence of them, default=("loss", "score")
            What to draw. Each metric has its own panel.
        ax : Axes or sequence of Axes, default=None
            Where to draw: one axes for each metric, or a single one, which is divided. None creates a figure.
        name : str or list of str, default=None
            The name of each estimator in the legend; by default its class.
        line_kw : dict, default=None
            Arguments of ``Axes.plot`` for all lines.

        Returns
        -------
        TrainingCurveDisplay
            The display, drawn.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as described.
        NotFittedError
            If an estimator is not fitted.
        ImportError
            If matplotlib is not installed.

        Notes
        -----
        Training values are measured during an epoch, with dropout, and validation values after it. So the validation
        loss can be lower than the training loss. There are validation values only with `patience` or `X_val`.
        """
        metrics = _check_metrics(metric)
        return cls(training_curves(estimator, name)).plot(ax, metric=metrics, line_kw=line_kw)

    @closed_after_error()
    def plot(
        self, ax: Any = None, *, metric: str | Sequence[str] = _METRICS, line_kw: dict[str, Any] | None = None
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : Axes or sequence of Axes, default=None
            As in :meth:`from_estimator`.
        metric : "loss", "score", or a sequence of them, default=("loss", "score")
            As in :meth:`from_estimator`.
        line_kw : dict, default=None
            As in :meth:`from_estimator`.

        Returns
        -------
        TrainingCurveDisplay
            The display itself.
        """
        metrics = _check_metrics(metric)
        if line_kw is not None and not isinstance(line_kw, dict):
            raise TypeError(f"line_kw must be None or a dict of settings for Axes.plot; got {shorten(line_kw)}.")
        import_pyplot(type(self).__name__)
        size = (5.2 * len(metrics), 3.8)
        self.axes_ = panel_axes(ax, [1] * len(metrics), size, stacked=False, caller=type(self).__name__)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].get_figure()
        self.lines_: list[list[Any]] = []
        self.best_epochs_: list[list[Any]] = []
        for axes, each in zip(self.axes_, metrics, strict=True):
            self._draw(axes, each, line_kw or {})
        return self

    def _draw(self, ax: Any, metric: str, line_kw: dict[str, Any]) -> None:
        from matplotlib import rcParams
        from matplotlib.ticker import MaxNLocator

        lines, best_epochs = [], []
        for curve, colors in zip(self.curves, self._colors(), strict=True):
            drawn = list(self._draw_lines(ax, curve, metric, colors, line_kw))
            lines += drawn
            if drawn:
                best_epochs.append(self._mark_best_epoch(ax, curve, drawn[-1]))
        if len(self.curves) > 1:
            ax.plot([], [], color=rcParams["text.color"], label="best epoch", **_MARK)  # only for the legend
        self.lines_.append(lines)
        self.best_epochs_.append(best_epochs)
        n_epochs = max((curve.epochs[-1] for curve in self.curves if len(curve.epochs)), default=1)
        ax.set_xlim(0.5, n_epochs + max(0.03 * n_epochs, 0.5))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.set_xlabel("epoch")
        score_names = {curve.score_name for curve in self.curves}
        ax.set_ylabel("loss" if metric == "loss" else score_names.pop() if len(score_names) == 1 else "score")
        without_formulas(ax.legend())

    def _colors(self) -> Iterator[tuple[str, str]]:
        """The colours of training and validation: two for one estimator, else one for each."""
        if len(self.curves) == 1:
            yield "C0", "C1"
            return
        for number in range(len(self.curves)):
            yield f"C{number}", f"C{number}"

    def _draw_lines(
        self, ax: Any, curve: TrainingCurve, metric: str, colors: tuple[str, str], line_kw: dict[str, Any]
    ) -> Iterator[Any]:
        several = len(self.curves) > 1
        has_validation = f"valid_{metric}" in curve.values
        for part, title, color in zip(("train", "valid"), ("training", "validation"), colors, strict=True):
            values = curve.values.get(f"{part}_{metric}")
            if values is None:
                continue
            settings: dict[str, Any] = {
                "color": color,
                "label": f"{curve.name}, {title}" if several else title,
                "marker": "." if len(values) <= _MAX_POINTS else "",
                "linestyle": "--" if several and has_validation and part == "train" else "-",
            }
            (line,) = ax.plot(curve.epochs, values, **(settings | line_kw))
            yield line

    def _mark_best_epoch(self, ax: Any, curve: TrainingCurve, line: Any) -> Any:
        """A circle on the line of validation, or of training if there is none."""
        position = curve.best_epoch - 1
        label = None if len(self.curves) > 1 else f"best epoch ({curve.best_epoch})"
        x, y = (values[position : position + 1] for values in (curve.epochs, line.get_ydata()))
        (mark,) = ax.plot(x, y, color=line.get_color(), label=label, **_MARK)
        return mark


def _check_metrics(metric: Any) -> tuple[str, ...]:
    metrics = (metric,) if isinstance(metric, str) else tuple(metric) if isinstance(metric, Sequence) else ()
    if not metrics or any(each not in _METRICS for each in metrics):
        raise ValueError(f"metric must be 'loss', 'score', or a sequence of them; got {shorten(metric)}.")
    return metrics
