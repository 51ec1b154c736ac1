"""Draws accuracy against the time of `fit` from `results/texts.json`: docs/accuracy_and_time.svg.

python benchmarks/draw_results.py            write the figure
python benchmarks/draw_results.py --check    check that it is up to date
"""

import math
import statistics
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURE = ROOT / "docs" / "accuracy_and_time.svg"
sys.path.insert(0, str(ROOT / "docs"))

from _tables import KERAS, NB_SVM, OURS, TFIDF, as_seconds, load, means_besides_imdb  # noqa: E402

# Okabe and Ito's colours, which people with colour blindness can distinguish; grey for Keras.
MODELS = {
    OURS: ("seqclf, defaults", "#d55e00"),
    TFIDF: ("TF-IDF + logistic regression", "#0072b2"),
    NB_SVM: ("NB-SVM", "#009e73"),
    KERAS: ("Keras, one LSTM layer", "#5a5a5a"),
}
WIDTH, HEIGHT = 900, 360
TOP, BOTTOM, PLOT_WIDTH = 62, 300, 370
LEFTS = (66, 506)
LINE = 38


@dataclass(frozen=True)
class Point:
    """A model of a panel."""

    model: str
    seconds: float
    accuracy: float


@dataclass(frozen=True)
class Panel:
    """The axes of one half of the figure."""

    left: int
    low_seconds: float
    high_seconds: float
    low: float
    high: float

    def x(self, seconds: float) -> float:
        """The position of a time, on a logarithmic scale."""
        part = math.log(seconds / self.low_seconds) / math.log(self.high_seconds / self.low_seconds)
        return self.left + part * PLOT_WIDTH

    def y(self, accuracy: float) -> float:
        """The position of an accuracy."""
        return BOTTOM - (accuracy - self.low) / (self.high - self.low) * (BOTTOM - TOP)


def points_of_imdb() -> list[Point]:
    """Accuracy and time on the reviews."""
    rows = load()["rows"]
    measured = [rows["imdb", model] for model in MODELS if ("imdb", model) in rows]
    return [Point(row["model"], row["fit_cpu_seconds"], statistics.mean(row["accuracies"])) for row in measured]


def points_of_the_mean() -> list[Point]:
    """The means of accuracy and time over the ten other data sets, of the models that were measured on all of them."""
    means = {model: means_besides_imdb(model) for model in MODELS}
    return [Point(model, mean[1], mean[0]) for model, mean in means.items() if mean is not None]


def panel_of(points: list[Point], left: int) -> Panel:
    """Axes with room for the points and their labels."""
    seconds = [point.seconds for point in points]
    accuracies = [point.accuracy for point in points]
    low, high = 10 ** math.floor(math.log10(min(seconds))), 10 ** (math.floor(math.log10(max(seconds))) + 1)
    return Panel(
        left, low, high, math.floor(min(accuracies) * 50 - 0.5) / 50, math.ceil(max(accuracies) * 50 + 0.5) / 50
    )


def text(x: float, y: float, content: str, **attributes: object) -> str:
    """A line of text; `_` in the name of an attribute is `-`, and `class_` is `class`."""
    shown = "".join(f' {name.rstrip("_").replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{shown}>{escape(content)}</text>'


def axes(panel: Panel, title: str) -> list[str]:
    """Title, frame, grid and numbers."""
    right = panel.left + PLOT_WIDTH
    lines = [text(panel.left, TOP - 20, title, font_weight="bold")]
    for step in range(round(panel.low * 50), round(panel.high * 50) + 1):
        y = panel.y(step / 50)
        lines.append(f'<path class="grid" d="M{panel.left} {y:.1f}H{right}"/>')
        lines.append(text(panel.left - 8, y + 4, f"{step / 50:.2f}", class_="number", text_anchor="end"))
    for power in range(round(math.log10(panel.low_seconds)), round(math.log10(panel.high_seconds)) + 1):
        x = panel.x(10.0**power)
        lines.append(f'<path class="grid" d="M{x:.1f} {TOP}V{BOTTOM}"/>')
        lines.append(text(x, BOTTOM + 18, f"{10.0**power:g} s", class_="number", text_anchor="middle"))
    lines.append(
        text(
            panel.left + PLOT_WIDTH / 2,
            BOTTOM + 40,
            "processor time of fit on one core, from raw texts",
            text_anchor="middle",
        )
    )
    return lines


def marks(panel: Panel, points: list[Point]) -> list[str]:
    """Points with their labels; labels that would overlap are moved apart."""
    lines, bottom = [], -math.inf
    for point in sorted(points, key=lambda point: -point.accuracy):
        label, colour = MODELS[point.model]
        x, y = panel.x(point.seconds), panel.y(point.accuracy)
        radius = 9 if point.model == OURS else 6
        to_left = x > panel.left + PLOT_WIDTH / 2
        anchor, label_x = ("end", x - radius - 6) if to_left else ("start", x + radius + 6)
        label_y = max(y - 18, bottom + LINE)  # above the point, not to hide others at its height
        bottom = label_y
        lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')
        weight = "bold" if point.model == OURS else "normal"
        lines.append(text(label_x, label_y, label, fill=colour, text_anchor=anchor, font_weight=weight))
        values = f"{point.accuracy:.3f}, {as_seconds(point.seconds)} s"
        lines.append(text(label_x, label_y + 15, values, fill=colour, font_size=12, text_anchor=anchor))
    return lines


def figure() -> str:
    """The figure."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="Helvetica, Arial, sans-serif" font-size="14">',
        "<title>Accuracy on test rows against the time of fit</title>",
        "<style>.grid { stroke: #e3e3e3; fill: none } .number { font-size: 12px; fill: #444 }</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#fff"/>',
    ]
    panels = (
        ("Accuracy on 25,000 film reviews (IMDB)", points_of_imdb()),
        ("Mean accuracy on ten other text data sets", points_of_the_mean()),
    )
    for left, (title, points) in zip(LEFTS, panels, strict=True):
        panel = panel_of(points, left)
        lines += [*axes(panel, title), *marks(panel, points)]
    return "\n".join([*lines, "</svg>", ""])


def main() -> None:
    """Write the figure, or check it."""
    drawn = figure()
    if "--check" not in sys.argv[1:]:
        FIGURE.write_text(drawn, encoding="utf-8")
    elif drawn != FIGURE.read_text(encoding="utf-8"):
        sys.exit(f"{FIGURE.relative_to(ROOT)} is not what benchmarks/draw_results.py draws: run it.")


if __name__ == "__main__":
    main()
