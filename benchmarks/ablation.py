"""The effect of a setting over all sets, measured on inner splits of the training halves; test halves are not used.

    python benchmarks/ablation.py [--data texts] [--settings default,mgu] [--splits 3] [--rows 6000] [--threads 2]
    python benchmarks/ablation.py --data series [--json FILE]

Each set is split three times, 80 to 20, stratified, with equal texts on one side; `--rows` rows of a larger set are
drawn first. The number of the split is also the `random_state`. Texts are the ten sets that `accuracy.py` averages,
nsmc, sms_spam and imdb. The settings are in the tables below. The first one named is the base; the others are compared
with it.

The table shows the accuracy of the first setting, and for each other setting the difference from it, with the paired
standard error of the difference over the held-out rows. The last line is the mean over the sets; its standard error is
that of a mean of independent sets.

Decisions from such comparisons when the linear model was added: mean accuracy on held-out rows of the training halves,
over the ten sets, NSMC, SMS spam, and 1,000 and 5,000 reviews of IMDB; at most 6,000 rows; one to three splits;
settings that are not parameters were changed in the code:

| tried | accuracy without / with it | decision |
|---|---|---|
| the linear model (2 splits) | 0.8973 / 0.9087 (the linear model alone: 0.9035) | added |
| the means of the ratios in the last layer, with weights that start at 0 (2 splits) | 0.9087 / 0.9094 | added |
| the same, with weights that start at 1 (1 split) | 0.9093 / 0.9078 | no |
| ratios next to the tokens (1 split) | 0.9059 / 0.9090 | added, for up to ten classes |
| 16 ratios of halves of the classes: HWU64, ATIS (1 split) | 0.8780, 0.9786 / 0.8795, 0.9766 | removed |
| trained weights of the scores (2 splits) | 0.9073 / 0.9094 | trained |
| C of the linear model chosen out of fold from 0.3, 1, 3 (10 sets, that model alone) | 0.9183 / 0.9195 | chosen |
| triples of words; characters 2-4; characters 2-6 (the same) | 0.9183 / 0.9182; 0.9184; 0.9185 | no |
| words and pairs of a single row (3 splits) | 0.9091 / 0.9097 (MPQA 0.8385 / 0.8437) | added |
| weight decay of 2.4 / rows (3 splits) | 0.9091 / 0.9091 (log loss 0.241 / 0.239) | no |
| at most 3, at most 6 epochs instead of "auto" (2 splits) | 0.9103 / 0.9098, 0.9094 | no |
| half the learning rate; token_dropout=0.4 (2 splits) | 0.9094 / 0.9081; 0.9096 | no |

Series, 4-fold cross-validation of the training halves of seven sets: the linear model alone 0.9305, with 200 updates of
the network 0.9322, with 500 0.9287. The network alone, with 500 updates, 0.7925 on eight sets.
"""

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _figures import paired_difference
from _ours import defaults
from _report import load as load_of_machine
from _report import machine, print_load, print_table
from _sets import SERIES, TEN_TEXTS, Split, inner_splits, load, names_of

TEXT_SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "without the linear model": {"wide": False},
    "without ratios": {"nb_ngrams": 0},
    "the plain network": {"wide": False, "nb_ngrams": 0},
    "gru": {"cell": "gru"},
    "mgu": {"cell": "mgu"},
}
SERIES_SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "without the linear model": {"wide": False},
    "without layers of convolution": {"conv_filters": 0},
    "the plain network": {"wide": False, "conv_filters": 0},
    "mgu": {"cell": "mgu"},
}
TEXTS = (*TEN_TEXTS, "nsmc", "sms_spam", "imdb")


@dataclass
class Cell:
    """One setting on one data set."""

    data: str
    setting: str
    accuracy: float
    difference: float
    error: float
    seconds: float


def hits_of(data: str, splits: list[tuple[Split, np.ndarray]], settings: dict[str, Any]) -> np.ndarray:
    """Correct (1) or not (0) for the held-out rows of all splits."""
    hits: list[np.ndarray] = []
    for number, (split, _) in enumerate(splits):
        model = defaults(data, random_state=number, **settings).fit(split.X_train, split.y_train)
        hits.append((model.predict(split.X_test) == split.y_test).astype(float))
    return np.concatenate(hits)


def measure(data: str, settings: dict[str, dict[str, Any]], options: argparse.Namespace) -> list[Cell]:
    """Measure all settings on one set."""
    splits = inner_splits(load(data), options.splits, options.rows)
    rows = np.concatenate([held_out for _, held_out in splits])
    cells: list[Cell] = []
    first = None
    for name, changes in settings.items():
        start = time.perf_counter()
        hits = hits_of(data, splits, {"n_threads": options.threads} | changes)
        seconds = (time.perf_counter() - start) / len(splits)
        first = hits if first is None else first
        cell = Cell(data, name, float(hits.mean()), *paired_difference(hits, first, rows), seconds)
        print(f"  {data}, {name}: {cell.accuracy:.4f}, {seconds:.1f} s", flush=True)
        cells.append(cell)
    return cells


def as_lines(cells: list[Cell], settings: list[str]) -> list[list[str]]:
    """The lines of the table: a line per set, a column per setting, means at the end."""
    cell_of = {(cell.data, cell.setting): cell for cell in cells}
    sets = list(dict.fromkeys(cell.data for cell in cells))
    first, *others = settings
    lines = []
    for data in sets:
        compared = [cell_of[data, name] for name in others]
        differences = [f"{cell.difference:+.4f} ± {cell.error:.4f}" for cell in compared]
        lines.append([data, f"{cell_of[data, first].accuracy:.4f}", *differences])
    last = ["**mean**", f"{statistics.mean(cell_of[data, first].accuracy for data in sets):.4f}"]
    for name in others:
        each = [cell_of[data, name] for data in sets]
        error = np.sqrt(sum(cell.error**2 for cell in each)) / len(sets)
        last.append(f"{statistics.mean(cell.difference for cell in each):+.4f} ± {error:.4f}")
    return [*lines, last, ["seconds", *(_seconds(cells, name) for name in settings)]]


def _seconds(cells: list[Cell], setting: str) -> str:
    return f"{statistics.mean(cell.seconds for cell in cells if cell.setting == setting):.1f}"


def sets_of(text: str) -> tuple[str, ...]:
    """The sets as in `accuracy.py`, except that "texts" has no draws of imdb."""
    return TEXTS if text == "texts" else names_of(text)


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", default="texts", type=sets_of, help="texts, series, or names of either, separated by commas"
    )
    parser.add_argument("--settings", help="names separated by commas (default: all of the table)")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--rows", type=int, default=6_000, help="maximum number of rows of a training half")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the cells to this file, after each data set")
    parser.add_argument("--smoke", action="store_true", help="100 rows, one split, to test this script")
    options = parser.parse_args(arguments)
    kinds = {data in (*SERIES, "mnist") for data in options.data}
    if len(kinds) > 1:
        parser.error("--data: texts and series have different settings; name one kind")
    table = SERIES_SETTINGS if kinds.pop() else TEXT_SETTINGS
    chosen = list(table) if options.settings is None else options.settings.split(",")
    if unknown := set(chosen) - set(table):
        parser.error(f"--settings {', '.join(sorted(unknown))}: expected {', '.join(table)}")
    options.settings = {name: table[name] for name in chosen}
    if options.smoke:
        options.rows, options.splits = 100, 1
    return options


def main() -> None:
    """Measure, print and save."""
    options = options_of()
    before = load_of_machine()
    print(machine(options.threads), flush=True)
    cells: list[Cell] = []
    for data in options.data:
        cells += measure(data, options.settings, options)
        if options.json:
            options.json.write_text(json.dumps([asdict(cell) for cell in cells], indent=1))
    first, *others = options.settings
    print()
    print_table(["data", first, *others], as_lines(cells, list(options.settings)))
    for name, changes in options.settings.items():
        print(f"{name}: {changes or 'defaults'}")
    print_load(before)


if __name__ == "__main__":
    main()
