"""Time and memory of `fit` and `predict` against the size of the data, as tables and as a figure.

    python benchmarks/scaling.py [--axes texts,classes] [--threads 1] [--json benchmarks/results/scaling.json]
    python benchmarks/scaling.py --figure docs/scaling.svg --from benchmarks/results/scaling.json

Each point is measured in a process of its own, so that its peak memory is its own: a fit of the defaults for one epoch,
and a prediction of the same rows by the saved model. Seconds are the processor's (`time.process_time`), with one
thread, so that other load has little effect on them; the file has the elapsed time too. A small fit or prediction comes
first, and imports what a first call needs. "MB" is the peak memory of the process minus its memory before the call,
which includes the data. The data are generated (`_scaling_worker.py`):

texts       1,000 to 1,000,000 short texts (8 words on average) of two classes
classes     2 to 5,000 classes of 10,000 such texts
tokens      1,000 to 1,000,000 distinct tokens among the 2,000,000 of 250,000 texts, each with its own vector; batches
            of 256
bytes       15 short texts and one of 50 kB to 50 MB
steps       ten series of 1,000 to 1,000,000 steps, one in each batch
length      the same million words in texts of 10 to 1,000 words
batch       the same million words in texts of 20, in batches of 32 to 2,048
units       200,000 words in texts of 20, in batches of 512, with 16 to 256 units

The last three show the cost of a word, of a batch and of a larger network. `growth` is the exponent of the last step of
a column: the logarithm of the quotient of two times, divided by that of the quotient of the sizes. 1 is proportional.
With `--json` the points of axes that are not measured are kept from the existing file.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _report import load, machine, print_load, print_table
from _scaling_figure import draw
from _scaling_worker import AXES

SIZES = {
    "texts": (1_000, 10_000, 100_000, 1_000_000),
    "classes": (2, 10, 100, 1_000, 5_000),
    "tokens": (1_000, 10_000, 100_000, 1_000_000),
    "bytes": (50_000, 500_000, 5_000_000, 50_000_000),
    "steps": (1_000, 10_000, 100_000, 1_000_000),
    "length": (10, 30, 100, 300, 1_000),
    "batch": (32, 128, 512, 2_048),
    "units": (16, 64, 256),
}
SMOKE_SIZES = {"texts": (100, 200), "bytes": (1_000, 2_000), "steps": (50, 100)}

Point = dict[str, Any]


def measure(axis: str, size: int, n_threads: int) -> list[Point]:
    """A fit and a prediction, each in a new process."""
    points = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.joblib"
        for what in ("fit", "predict"):
            if what == "predict" and not file.exists():  # the fit was refused
                continue
            worker = Path(__file__).with_name("_scaling_worker.py")
            command = [sys.executable, worker, axis, str(size), what, file, "--threads", str(n_threads)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            points.append({"axis": axis, "size": size, "what": what, **json.loads(done.stdout)})
    return points


def growth(points: list[Point], name: str) -> float:
    """The exponent between the last two points."""
    (last, before) = points[-1], points[-2]
    return math.log(last[name] / before[name]) / math.log(last["size"] / before["size"])


def print_axis(axis: str, points: list[Point]) -> None:
    """A table of the points of an axis."""
    by_call = {what: [point for point in points if point["what"] == what] for what in ("fit", "predict")}
    rows = []
    for fit in by_call["fit"]:
        predict = next((point for point in by_call["predict"] if point["size"] == fit["size"]), None)
        row = [f"{fit['size']:,}"]
        for point in (fit, predict):
            if point is None or "refused" in point:
                row += ["-", "-"]
            else:
                row += [f"{point['processor_seconds']:,.2f}", f"{point['peak_mb'] - point['before_mb']:,.0f}"]
        rows.append([*row, f"{1e6 * fit['epoch_seconds'] / fit['n_steps']:,.2f}" if "epoch_seconds" in fit else "-"])
    print(f"\n{axis}\n")
    print_table([AXES[axis][0], "fit, s", "fit, MB", "predict, s", "predict, MB", "microseconds per step, epoch"], rows)
    for what, measured in by_call.items():
        measured = [point for point in measured if "refused" not in point]
        if len(measured) > 1:
            print(f"growth of the seconds of {what}: {growth(measured, 'processor_seconds'):.2f}")
    for point in points:
        if "refused" in point:
            print(f"{point['what']} of {point['size']:,}: {point['refused']}")
    sys.stdout.flush()


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axes", type=lambda text: text.split(","), help=f"default: {','.join(AXES)}")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write all points to this file")
    parser.add_argument("--from", type=Path, dest="source", help="show the points of this file; measure nothing")
    parser.add_argument("--figure", type=Path, help="draw the points")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to test this script")
    return parser.parse_args()


def main() -> None:
    """Measure or read, print, and draw."""
    arguments = parse_arguments()
    sizes = SMOKE_SIZES if arguments.smoke else SIZES
    points: list[Point] = []
    stored = arguments.source or arguments.json
    if stored is not None and stored.exists():
        points = json.loads(stored.read_text())["points"]
    if arguments.source is None:
        before, described = load(), machine(arguments.threads)
        print(described)
        for axis in arguments.axes or sizes:
            points = [point for point in points if point["axis"] != axis]
            for size in sizes[axis]:
                points += measure(axis, size, arguments.threads)
                if arguments.json is not None:
                    arguments.json.parent.mkdir(parents=True, exist_ok=True)
                    content = {"machine": described, "threads": arguments.threads, "points": points}
                    arguments.json.write_text(json.dumps(content, indent=1) + "\n")
        print_load(before)
    for axis in AXES:
        if of_axis := [point for point in points if point["axis"] == axis]:
            print_axis(axis, of_axis)
    if arguments.figure is not None:
        draw(points, arguments.figure)


if __name__ == "__main__":
    main()
