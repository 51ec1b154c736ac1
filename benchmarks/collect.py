"""Collects the `--json` files of `accuracy.py` into a small file under `results/`, which the tables and figures read.

    python benchmarks/collect.py texts FILE...

If a model was measured more than once on the same data, its accuracies are those of the file with the most seeds, and
its processor times are the smallest: other processes can only make a fit slower.
"""

import argparse
import datetime
import json
import math
from collections.abc import Iterable
from pathlib import Path

from _figures import Row
from accuracy import read_rows

TIMES = ("fit_cpu_seconds", "predict_cpu_seconds")
RESULTS = Path(__file__).resolve().parent / "results"


def _fastest(seconds: Iterable[float]) -> float | None:
    known = [value for value in seconds if not math.isnan(value)]
    return round(min(known), 2) if known else None


def merged(rows: list[Row]) -> dict[str, object]:
    """One entry from the rows of one model on one data set."""
    measured = max(rows, key=lambda row: len(row.accuracies))
    entry = {
        "data": measured.data,
        "model": measured.model,
        "role": measured.role,
        "n_train": measured.n_rows[0],
        "n_test": measured.n_rows[1],
        "accuracies": [round(accuracy, 4) for accuracy in measured.accuracies],
    } | {name: _fastest(getattr(row, name) for row in rows) for name in TIMES}
    return entry | ({"chosen": measured.extra["chosen"]} if "chosen" in measured.extra else {})


def collect(files: list[Path]) -> dict[str, object]:
    """The content of a file under `results/`."""
    by_model: dict[tuple[str, str], list[Row]] = {}
    for row in (row for file in files for row in read_rows(file)):
        by_model.setdefault((row.data, row.model), []).append(row)
    machines = dict.fromkeys(json.loads(file.read_text())["machine"] for file in files)
    month = datetime.date.fromtimestamp(max(file.stat().st_mtime for file in files)).strftime("%B %Y")
    return {
        "machine": max(machines, key=len),
        "measured": month,
        "rows": [merged(rows) for _, rows in sorted(by_model.items(), key=lambda item: item[0])],
    }


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="the name under results/, such as texts")
    parser.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args()
    content = collect(options.files)
    head, lines = {name: content[name] for name in ("machine", "measured")}, map(json.dumps, content["rows"])
    text = json.dumps(head, indent=1)[:-2] + ',\n "rows": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{options.name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
