"""A search of eight fits: in one process, in two worker processes of joblib (loky) and on two workers of Dask.

    python benchmarks/searches.py [--rounds 5] [--rows 2000] [--json benchmarks/results/searches.json]

The grid has four points and two folds. With ``n_threads=1`` each fit uses one thread, so that two workers can take at
most half of the time; the goal is 0.6 of it. With the default ``n_threads=None`` the fits of one process use all
processors, and those of a worker its part of them; the goal is that two workers are never slower. Workers are started
before the time is measured, by a search that is not counted. The columns of a round are measured one after the other;
figures are medians over the rounds. The processor seconds are those of the process that uses the most: on a busy
machine they show what the division of the work saves, without the time in which processes wait. The script checks that
all searches have the same scores for the same number of threads, to the bit. Dask is left out if `distributed` is not
installed.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from _report import load, machine, print_load, print_table, reached, seconds_of, with_spread
from sklearn.model_selection import GridSearchCV

from seqclf import RNNTextClassifier, datasets

GRID = {"cell": ["lstm", "gru"], "units": [8, 16]}
N_FITS = 8
# The goals: the time of two workers divided by that of one process.
GOALS = {1: 0.6, None: 1.0}

Search = Callable[[int | None], GridSearchCV]


def score(model: RNNTextClassifier, X: list[str], y: np.ndarray) -> dict[str, float]:
    """The accuracy, and the processor seconds that this process has used so far."""
    accuracy = model.score(X, y)
    return {"accuracy": accuracy, "process": os.getpid(), "processor": time.process_time()}


def searches(X: list[str], y: np.ndarray, client: Any, grid: dict[str, list]) -> dict[str, Search]:
    """A function of the number of threads for each column."""

    def search(n_threads: int | None, n_jobs: int | None) -> GridSearchCV:
        model = RNNTextClassifier(max_epochs=3, random_state=0, n_threads=n_threads)
        return GridSearchCV(model, grid, cv=2, refit=False, scoring=score, n_jobs=n_jobs, error_score="raise").fit(X, y)

    def on_dask(n_threads: int | None) -> GridSearchCV:
        with joblib.parallel_config(backend="dask", scatter=[X, y]):
            return search(n_threads, -1)

    columns = {"n_jobs=1": lambda n: search(n, 1), "n_jobs=2": lambda n: search(n, 2)}
    return columns if client is None else columns | {"Dask, 2 workers": on_dask}


@contextmanager
def dask_client() -> Iterator[Any]:
    """A client of two worker processes; None without Dask."""
    if find_spec("distributed") is None:
        yield None
        return
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


def processor_seconds(search: GridSearchCV) -> dict[float, float]:
    """The processor seconds of each process at its last fit of a search."""
    found: dict[float, float] = {}
    for split in range(search.n_splits_):
        results = (search.cv_results_[f"split{split}_test_{name}"] for name in ("process", "processor"))
        for process, seconds in zip(*results, strict=True):
            found[process] = max(found.get(process, 0.0), seconds)
    return found


def measure(columns: dict[str, Search], n_threads: int | None, n_rounds: int) -> dict[str, dict[str, list[float]]]:
    """The seconds of each column in each round; exit if results differ."""
    seconds: dict[str, dict[str, list[float]]] = {name: {"elapsed": [], "processor": []} for name in columns}
    scores, used = {}, dict[float, float]()
    for round_ in range(n_rounds + 1):
        for name, search in columns.items():
            used[os.getpid()] = time.process_time()
            found = []
            taken = seconds_of(lambda search=search, found=found: found.append(search(n_threads)))
            processor = processor_seconds(found[0])
            if round_:  # the first one starts the workers
                seconds[name]["elapsed"].append(taken)
                seconds[name]["processor"].append(max(processor[one] - used.get(one, 0.0) for one in processor))
            used |= processor
            scores[name] = found[0].cv_results_["mean_test_accuracy"].tolist()
    # The last bits of a fit can depend on its number of threads, which differs between the columns without a number.
    if n_threads is not None and len({tuple(each) for each in scores.values()}) > 1:
        sys.exit(f"The scores differ: {scores}")
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write all measurements to this file")
    parser.add_argument("--smoke", action="store_true", help="little data and two fits, to test this script")
    arguments = parser.parse_args()
    n_rows, n_rounds = (60, 1) if arguments.smoke else (arguments.rows, arguments.rounds)
    X, y = datasets.make_order_reviews(n_rows, random_state=0, return_X_y=True)
    y, before, content = np.asarray(y), load(), []
    print(machine(2), f"{N_FITS} fits on half of {n_rows:,} texts each; medians of {n_rounds} rounds.\n", flush=True)
    rows = []
    with dask_client() as client:
        columns = searches(X, y, client, {"units": [2]} if arguments.smoke else GRID)
        for n_threads, goal in GOALS.items():
            seconds = measure(columns, n_threads, n_rounds)
            medians = {
                name: {kind: statistics.median(times[kind]) for kind in times} for name, times in seconds.items()
            }
            for name, times in seconds.items():
                ratios = {kind: medians[name][kind] / medians["n_jobs=1"][kind] for kind in times}
                judged = "-" if name == "n_jobs=1" else f"at most {goal}: {reached(ratios['elapsed'] <= goal)}"
                cells = [cell for kind in times for cell in (with_spread(times[kind]), f"{ratios[kind]:.2f}")]
                rows.append([str(n_threads), name, *cells, judged])
            content.append({"n_threads": n_threads, "seconds": seconds})
    print_table(["n_threads", "", "s", "of n_jobs=1", "processor s", "of n_jobs=1", "goal of the first"], rows)
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(
            json.dumps({"machine": machine(2), "n_rows": n_rows, "searches": content}, indent=1) + "\n"
        )
    print()
    print_load(before)


if __name__ == "__main__":
    main()
