"""Series with holes: accuracy of `RNNClassifier` with the ways of `missing=`, next to filling with the mean of fit.

    SEQCLF_DATA=... python benchmarks/missing.py            the table
    SEQCLF_DATA=... python benchmarks/missing.py --smoke    a few rows and epochs, to see that it works

Values are removed at random from training and test rows alike, 50 % and 80 % of them. Each number is the mean over the
seeds; a seed draws the holes and the network. The first column has no holes.
"""

import argparse
from collections.abc import Callable

import numpy as np
from _report import load as load_of_machine
from _report import machine, print_load, print_table
from _sets import Split, load

from seqclf import RNNClassifier

SETS = ("GunPoint", "ItalyPowerDemand", "ArrowHead")
SHARES = (0.5, 0.8)
Pair = tuple[np.ndarray, np.ndarray]


def with_holes(split: Split, share: float, seed: int) -> Pair:
    """Both halves with that share of their values removed."""
    rng = np.random.default_rng(seed)
    halves = []
    for X in (split.X_train, split.X_test):
        holed = np.array(X, dtype=np.float64)
        holed[rng.random(holed.shape) < share] = np.nan
        halves.append(holed)
    return halves[0], halves[1]


def filled_with_mean(train: np.ndarray, test: np.ndarray) -> Pair:
    """Holes at the mean of the training values of their channel."""
    mean = np.nanmean(train, axis=(0, 1))
    return np.where(np.isnan(train), mean, train), np.where(np.isnan(test), mean, test)


def as_rows(train: np.ndarray, test: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Lists of rows, in which NaN at the ends is no padding."""
    return list(train), list(test)


WAYS: dict[str, tuple[str, Callable[..., tuple]]] = {
    "mean": ("raise", filled_with_mean),
    '`missing="forward"`': ("forward", as_rows),
    '`missing="interpolate"`': ("interpolate", as_rows),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="20 rows, one epoch, one seed")
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
        for share in SHARES:
            cells = [name, f"{whole:.3f}", f"{share:.0%}"]
            for missing, form in WAYS.values():
                scores = [accuracy(split, *form(*with_holes(split, share, seed)), missing, seed) for seed in seeds]
                cells.append(f"{np.mean(scores):.3f}")
            rows.append(cells)
            print(" ".join(cells), flush=True)
    print()
    print_table(["data", "whole", "share gone", *WAYS], rows)
    print()
    print(machine(options.threads))
    print_load(before)


if __name__ == "__main__":
    main()
