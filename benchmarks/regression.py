"""The defaults of the regressors, compared with common alternatives.

    python benchmarks/regression.py [--data Covid3Month,CardanoSentiment,imdb] [--seeds 0,1,2] [--threads 2]
    python benchmarks/regression.py --data Covid3Month --models ours

Series (`tser/NAME.npz`, the archive of Tan et al., 2021): the official split, and ten more that are drawn from all rows
with the sizes of the official one. The table shows the root mean squared error of each split, averaged over the seeds.
The rivals are the mean of y, ridge regression on flattened series, a random forest on them (500 trees), and aeon's
Rocket and MiniRocket if aeon can be installed. The best rival has the lowest mean over the drawn splits. Ours is
compared with it split by split.

Reviews (`imdb`): the ratings, 1 to 4 and 7 to 10, of the official halves, in R squared and root mean squared error. The
rival is ridge regression on TF-IDF of words and pairs.
"""

import argparse
import gzip
import json
import os
import time
from pathlib import Path
from typing import Any

import _minirocket
import numpy as np
from _peers import Peer
from _report import load as load_of_machine
from _report import machine, print_load, print_table, reached
from _sets import Split
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from seqclf import RNNRegressor, RNNTextRegressor

SERIES = ("Covid3Month", "CardanoSentiment")
N_DRAWN = 10
ROCKETS = {"Rocket": "Rocket, numbers", "MiniRocket": "MiniRocket, numbers"}


def load_series(name: str) -> Split:
    """The official split."""
    with np.load(Path(os.environ["SEQCLF_DATA"]) / "tser" / f"{name}.npz", allow_pickle=False) as arrays:
        return Split(*(arrays[name] for name in ("X_train", "y_train", "X_test", "y_test")))


def drawn(split: Split, seed: int) -> Split:
    """A random split of all rows, with the same sizes."""
    X, y = np.concatenate([split.X_train, split.X_test]), np.concatenate([split.y_train, split.y_test])
    order = np.random.default_rng(seed).permutation(len(y))
    train, test = order[: len(split.y_train)], order[len(split.y_train) :]
    return Split(X[train], y[train], X[test], y[test])


def load_reviews(n_rows: int | None) -> Split:
    """Texts and ratings, each half in random order."""
    halves: list[Any] = []
    for half in ("train", "test"):
        with gzip.open(Path(os.environ["SEQCLF_DATA"]) / "imdb" / f"{half}.jsonl.gz", "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        order = np.random.default_rng(0).permutation(len(rows))[:n_rows]
        halves += [[rows[i]["text"] for i in order], np.array([float(rows[i]["rating"]) for i in order])]
    return Split(*halves)


def flat_models(seed: int) -> dict[str, Any]:
    """Models of flattened series."""
    flat = FunctionTransformer(lambda X: X.reshape(len(X), -1))
    return {
        "mean of y": DummyRegressor(),
        "ridge": make_pipeline(flat, StandardScaler(), RidgeCV(np.logspace(-3, 6, 19))),
        "forest": make_pipeline(flat, RandomForestRegressor(500, random_state=seed, n_jobs=2)),
    }


def rmse(y: np.ndarray, predicted: np.ndarray) -> float:
    """Root mean squared error."""
    return float(np.sqrt(np.mean((predicted - y) ** 2)))


def errors_of(split: Split, peer: Peer | None, options: argparse.Namespace) -> dict[str, float]:
    """The error of each model, averaged over the seeds."""

    def mean_error(fitted: Any) -> float:
        return float(np.mean([rmse(split.y_test, model.predict(split.X_test)) for model in fitted]))

    common = {"n_threads": options.threads}
    seeds = options.seeds
    ours = [RNNRegressor(random_state=seed, **common).fit(split.X_train, split.y_train) for seed in seeds]
    errors = {"ours": mean_error(ours)}
    if options.models == "ours":
        return errors
    for name in flat_models(0):
        errors[name] = mean_error(flat_models(seed)[name].fit(split.X_train, split.y_train) for seed in seeds)
    for name, model in ROCKETS.items() if peer is not None else ():
        runs = _minirocket.runs(peer, split, seeds, options.threads, model)
        errors[name] = float(np.mean([rmse(split.y_test, each.predicted) for each in runs]))
    return errors


def measure_series(name: str, peer: Peer | None, options: argparse.Namespace) -> None:
    """Measure one series data set; print its table and the comparison with the best rival."""
    official = load_series(name)
    splits = {"official": official} | {f"drawn {seed}": drawn(official, seed) for seed in range(options.n_drawn)}
    errors = {}
    for label, split in splits.items():
        errors[label] = errors_of(split, peer, options)
        print(f"  {name}, {label}: " + ", ".join(f"{k} {v:.5f}" for k, v in errors[label].items()), flush=True)
    models = list(errors["official"])
    of_drawn = np.array([[errors[label][model] for model in models] for label in splits if label != "official"])
    rows = [
        [model, f"{errors['official'][model]:.5f}", f"{of_drawn[:, i].mean():.5f}"] for i, model in enumerate(models)
    ]
    print()
    print_table([f"{name}: RMSE", "official split", f"mean of {len(of_drawn)} drawn splits"], rows)
    if len(models) > 1:
        best = 1 + int(of_drawn[:, 1:].mean(axis=0).argmin())
        gaps = of_drawn[:, 0] - of_drawn[:, best]
        error = gaps.std(ddof=1) / np.sqrt(len(gaps)) if len(gaps) > 1 else np.nan
        goal = reached(bool(gaps.mean() <= error / 2))
        print(f"Against {models[best]}: {gaps.mean():+.5f} +- {error:.5f}. At most half a standard error: {goal}.")
    print()


def measure_reviews(options: argparse.Namespace) -> None:
    """Measure the ratings of films and print their table."""
    split = load_reviews(options.rows)
    models: dict[str, Any] = {
        f"RNNTextRegressor(), seed {seed}": RNNTextRegressor(random_state=seed, n_threads=options.threads)
        for seed in options.seeds
    }
    if options.models != "ours":
        pairs = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
        models["TF-IDF of words and pairs, Ridge()"] = make_pipeline(pairs, Ridge())
    rows = []
    with threadpool_limits(options.threads):
        for name, model in models.items():
            start = time.perf_counter()
            model.fit(split.X_train, split.y_train)
            fitted = time.perf_counter()
            predicted = model.predict(split.X_test)
            done = time.perf_counter()
            scores = [f"{r2_score(split.y_test, predicted):.4f}", f"{rmse(split.y_test, predicted):.3f}"]
            rows.append([name, *scores, f"{fitted - start:.1f}", f"{done - fitted:.1f}"])
            print("  " + ", ".join(rows[-1]), flush=True)
    print_table(["imdb ratings", "R squared", "RMSE", "fit, s", "predict, s"], rows)
    print()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=",".join([*SERIES, "imdb"]), type=lambda text: text.split(","))
    parser.add_argument("--models", default="both", choices=["ours", "both"])
    parser.add_argument("--seeds", default="0,1,2", type=lambda text: [int(seed) for seed in text.split(",")])
    parser.add_argument("--n-drawn", default=N_DRAWN, type=int)
    parser.add_argument("--rows", type=int, help="maximum number of reviews of each half, for a trial")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    before = load_of_machine()
    needed = options.models != "ours" and set(options.data) & set(SERIES)
    peer = _minirocket.start(options.threads) if needed else None
    print(machine(options.threads, peer.versions if peer else ""), flush=True)
    for name in options.data:
        if name == "imdb":
            measure_reviews(options)
        else:
            measure_series(name, peer, options)
    if peer is not None:
        peer.close()
    print_load(before)


if __name__ == "__main__":
    main()
