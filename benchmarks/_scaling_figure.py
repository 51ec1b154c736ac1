"""The figure of `scaling.py`: seconds and memory of fit and predict against the size, on logarithmic axes."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

# The axes that the figure shows, with their titles.
TITLES = {
    "texts": "short texts",
    "classes": "classes",
    "tokens": "distinct tokens",
    "bytes": "bytes of one text",
    "steps": "steps of each series",
}


def draw(points: list[dict[str, Any]], path: Path) -> None:
    """Two rows of panels, seconds above and megabytes below, with a dotted line that is proportional to the size."""
    mpl.use("Agg")  # writes files, needs no screen
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "seqclf"  # the same points give the same file
    shown = [axis for axis in TITLES if any(point["axis"] == axis for point in points)]
    size = (2.6 * len(shown) + 0.6, 4.8)
    figure, panels = plt.subplots(2, len(shown), figsize=size, layout="constrained", squeeze=False, sharey="row")
    for column, axis in enumerate(shown):
        for what, colour in (("fit", "#1f77b4"), ("predict", "#d95f02")):
            found = [point for point in points if (point["axis"], point["what"]) == (axis, what) and "seconds" in point]
            sizes = [point["size"] for point in found]
            for panel, values in (
                (panels[0, column], [point["processor_seconds"] for point in found]),
                (panels[1, column], [max(point["peak_mb"] - point["before_mb"], 0.1) for point in found]),
            ):
                panel.loglog(sizes, values, "o-", color=colour, label=what)
                if found:
                    line = [values[-1] * size / sizes[-1] for size in sizes]
                    panel.loglog(sizes, line, ":", color=colour, linewidth=1)
        panels[0, column].set_title(TITLES[axis], fontsize=10)
        low, high = panels[0, column].get_xlim()
        panels[1, column].set_xlim(low, high)
    lowest = min(point["processor_seconds"] for point in points if "seconds" in point)
    panels[0, 0].set_ylim(bottom=lowest / 2)
    panels[1, 0].set_ylim(bottom=0.5)
    panels[0, 0].set_ylabel("processor seconds")
    panels[1, 0].set_ylabel("MB above the data")
    panels[0, 0].legend(fontsize=9)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
