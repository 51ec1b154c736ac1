"""Series with missing values: the accuracy of `RNNClassifier` for each `missing=`, and for filling with the mean.

    SEQCLF_DATA=... python benchmarks/missing.py            the table
    SEQCLF_DATA=... python benchmarks/missing.py --smoke    a few rows and epochs, to test this script

50 % and 80 % of the values are removed at random from training and test rows. The mean is that of the training rows.
Each number is the mean over the seeds; a seed determines the removed values and the network. The first column has all
values.
"""

import argparse
from collections.abc import Callable

import numpy as np
from _report import load as load_of_machine
from _report import machine, print_load, print_table
from _sets import Split, load

from seqclf import RNNClassifier

SETS = ("GunPoint", "ItalyPowerDemand", "ArrowHead")
FRACTIONS = (0.5, 0.8)
Pair = tuple[np.ndarray, np.ndarray]


def with_holes(split: Split, fraction: float, seed: int) -> Pair:
    """Both halves, with that fraction of their values removed."""
    rng = np.random.default_rng(seed)
    halves = []
    for X in (split.X_train, split.X_test):
        holed = np.array(X, dtype=np.float64)
        holed[rng.random(holed.shape) < fraction] = np.nan
        halves.append(holed)
    return halves[0], halves[1]


def filled_with_mean(train: np.ndarray, test: np.ndarray) -> Pair:
    """Both halves, with holes filled with the mean of their channel in the training rows."""
    mean = np.nanmean(train, axis=(0, 1))
    return np.where(np.isnan(train), mean, train), np.where(np.isnan(test), mean, test)


def as_rows(train: np.ndarray, test: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Both halves as lists of rows, in which NaN at the ends is not padding."""
    return list(train), list(test)


WAYS: dict[str, tuple[str, Callable[..., tuple]]] = {
    "mean": ("raise", filled_with_mean),
    '`missing="forward"`': ("forward", as_rows),
    '`missing="interpolate"`': ("interpolate", as_rows),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="20 rows, one epoch, one seed, to test this script")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    settings = {"n_threads": options.threads} | ({"max_epochs": 1} if options.smoke else {})
    seeds = range(1 if options.smoke else 2)
    before = load_of_machine()

    def accuracy(split: Split, train: object, test: object, missing: str, seed: int) -> float:
        model = RNNClassifier(missing=missing, random_state=seed, **settings).fit(train, split.y_train)
        return float(model.score(test, split.y_test))

    rows = []
    for name in SETS:
        split = load(name).head(20 if options.smoke else None)
        whole = np.mean([accuracy(split, split.X_train, split.X_test, "raise", seed) for seed in seeds])
        for fraction in FRACTIONS:
            cells = [name, f"{whole:.3f}", f"{fraction:.0%}"]
            for missing, form in WAYS.values():
                scores = [accuracy(split, *form(*with_holes(split, fraction, seed)), missing, seed) for seed in seeds]
                cells.append(f"{np.mean(scores):.3f}")
            rows.append(cells)
            print(" ".join(cells), flush=True)
    print()
    print_table(["data", "all values", "removed", *WAYS], rows)
    print()
    print(machine(options.threads))
    print_load(before)


if __name__ == "__main__":
    main()
