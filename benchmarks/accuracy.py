"""How right the defaults are, on official test halves, beside what one would pick instead.

    python benchmarks/accuracy.py --data imdb [--seeds 0,1,2] [--rows N] [--threads 2] [--json FILE]
    python benchmarks/accuracy.py --data all

Each of our rows is fitted once for each seed (`random_state`); the rivals have no seed. Fit and predict go from raw
text or series to labels, all in one run. Nothing is chosen here: every setting is printed in the table.

| data | ours | rival | measure |
|---|---|---|---|
| imdb | defaults; `BEST`, below; blends with NB-SVM | TF-IDF of words, of words and pairs; NB-SVM | accuracy |
| nsmc | `TextTokenizer(level="char")` | TF-IDF of 1 to 4 characters | accuracy |
| sms_spam | defaults | TF-IDF of words and pairs | F1 of spam |
| five series | defaults | one nearest neighbour (series of one length) | accuracy |
| mnist | `cell="lstm", units=128` | none | accuracy |

NB-SVM is logistic regression on which words, pairs and triples a review holds, times their naive-Bayes log-count ratios
(Wang & Manning 2012). The expected calibration error has 15 bins of equal width.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _report import load as load_of_machine
from _report import machine, print_load, print_table
from _sets import NAMES, SERIES, Split, load
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from seqclf import RNNClassifier, RNNTextClassifier, TextTokenizer

N_BINS = 15
# The best setting that we know for reviews of this length, whatever it costs.
BEST: dict[str, Any] = {"units": 64, "embedding_dim": 64}


@dataclass
class Row:
    """One model on one set of data."""

    data: str
    model: str
    measure: str
    scores: list[float]
    calibration_error: float | None
    fit_seconds: float
    predict_seconds: float
    n_parameters: int | None


class NBFeatures(TransformerMixin, BaseEstimator):
    """Counts of two classes as presence times log-count ratio."""

    def fit(self, X: sparse.csr_matrix, y: np.ndarray) -> "NBFeatures":
        positive, negative = (1 + np.asarray(X[y == label].sum(axis=0)).ravel() for label in np.unique(y)[::-1])
        self.ratios_ = np.log(positive / positive.sum()) - np.log(negative / negative.sum())
        return self

    def transform(self, X: sparse.csr_matrix) -> sparse.csr_matrix:
        return X.multiply(self.ratios_).tocsr()


def tfidf(n: int, **vectorizer: Any) -> Any:
    """What most people pick."""
    return make_pipeline(TfidfVectorizer(ngram_range=(1, n), **vectorizer), LogisticRegression(C=10, max_iter=1000))


def nb_svm() -> Any:
    """The strongest of the linear models here."""
    counts = CountVectorizer(ngram_range=(1, 3), binary=True, min_df=2, dtype=np.float64)
    return make_pipeline(counts, NBFeatures(), LogisticRegression(C=0.1, max_iter=1000))


def nearest_neighbour() -> Any:
    """Series of one length, as rows of a table."""
    return make_pipeline(FunctionTransformer(lambda X: X.reshape(len(X), -1)), KNeighborsClassifier(1))


def calibration_error(probabilities: np.ndarray, hits: np.ndarray) -> float:
    """How far the confidence in the predicted class is from its accuracy, over bins of confidence."""
    confidence = probabilities.max(axis=1)
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    sizes = np.bincount(bins, minlength=N_BINS)
    gaps = np.bincount(bins, confidence, N_BINS) - np.bincount(bins, hits, N_BINS)
    return float(np.abs(gaps[sizes > 0]).sum() / len(hits))


class Bench:
    """Fits models on one set of data, and keeps what came out."""

    def __init__(self, data: str, split: Split, seeds: list[int]):
        self.data, self.split, self.seeds = data, split, seeds
        self.measure = "F1 of spam" if data == "sms_spam" else "accuracy"
        self.rows: list[Row] = []

    def score(self, predicted: np.ndarray) -> float:
        """The measure of this data."""
        function = f1_score if self.measure.startswith("F1") else accuracy_score
        return float(function(self.split.y_test, predicted))

    def run(self, model: str, make: Callable[[int], Any], *, seeded: bool = True) -> list[np.ndarray]:
        """Fit and judge a model for each seed; gives the probabilities of the test rows."""
        scores, errors, fit_seconds, predict_seconds, given = [], [], [], [], []
        estimator: Any = None
        for seed in self.seeds if seeded else self.seeds[:1]:
            estimator = make(seed)
            start = time.perf_counter()
            estimator.fit(self.split.X_train, self.split.y_train)
            fitted = time.perf_counter()
            probabilities = estimator.predict_proba(self.split.X_test)
            predict_seconds.append(time.perf_counter() - fitted)
            fit_seconds.append(fitted - start)
            predicted = estimator.classes_[probabilities.argmax(axis=1)]
            scores.append(self.score(predicted))
            errors.append(calibration_error(probabilities, predicted == self.split.y_test))
            given.append(probabilities)
        n_parameters = getattr(estimator, "n_parameters_", None)
        times = statistics.median(fit_seconds), statistics.median(predict_seconds)
        self.keep(Row(self.data, model, self.measure, scores, statistics.mean(errors), *times, n_parameters))
        return given

    def blend(self, model: str, parts: list[np.ndarray]) -> None:
        """Judge the mean of several models' probabilities."""
        mean = np.mean(parts, axis=0)
        predicted = np.unique(self.split.y_train)[mean.argmax(axis=1)]
        error = calibration_error(mean, predicted == self.split.y_test)
        self.keep(Row(self.data, model, self.measure, [self.score(predicted)], error, float("nan"), float("nan"), None))

    def keep(self, row: Row) -> None:
        self.rows.append(row)
        print(f"  {row.data}, {row.model}: {as_cells(row)[3]}", flush=True)


def measure(data: str, seeds: list[int], n_rows: int | None, n_threads: int) -> list[Row]:
    """All rows of one set of data."""
    bench = Bench(data, load(data).head(n_rows), seeds)
    common = {"n_threads": n_threads}
    if data == "imdb":
        bench.run("TF-IDF of words + logistic regression", lambda _: tfidf(1), seeded=False)
        bench.run("TF-IDF of words and pairs + logistic regression", lambda _: tfidf(2), seeded=False)
        linear = bench.run("NB-SVM, words to triples", lambda _: nb_svm(), seeded=False)
        ours = bench.run("RNNTextClassifier()", lambda seed: RNNTextClassifier(random_state=seed, **common))
        settings = ", ".join(f"{name}={value!r}" for name, value in BEST.items())
        best = bench.run(
            f"RNNTextClassifier({settings})", lambda seed: RNNTextClassifier(random_state=seed, **BEST, **common)
        )
        bench.blend("mean of the defaults' seeds", ours)
        bench.blend("mean of the defaults, seed 0, and NB-SVM", [ours[0], linear[0]])
        bench.blend("mean of all of the best setting and NB-SVM", [np.mean(best, axis=0), linear[0]])
    elif data == "nsmc":
        bench.run(
            "TF-IDF of 1 to 4 characters + logistic regression",
            lambda _: tfidf(4, analyzer="char", min_df=2, sublinear_tf=True),
            seeded=False,
        )
        bench.run(
            'RNNTextClassifier(TextTokenizer(level="char"))',
            lambda seed: RNNTextClassifier(TextTokenizer(level="char"), random_state=seed, **common),
        )
    elif data == "sms_spam":
        bench.run("TF-IDF of words and pairs + logistic regression", lambda _: tfidf(2), seeded=False)
        bench.run("RNNTextClassifier()", lambda seed: RNNTextClassifier(random_state=seed, **common))
    elif data == "mnist":
        bench.run(
            'RNNClassifier(cell="lstm", units=128)',
            lambda seed: RNNClassifier(cell="lstm", units=128, random_state=seed, **common),
        )
    else:
        if isinstance(bench.split.X_train, np.ndarray):
            bench.run("one nearest neighbour", lambda _: nearest_neighbour(), seeded=False)
        bench.run("RNNClassifier()", lambda seed: RNNClassifier(random_state=seed, **common))
    return bench.rows


def as_cells(row: Row) -> list[str]:
    """A row of the printed table."""
    scores = " / ".join(f"{score:.4f}" for score in row.scores)
    if len(row.scores) > 1:
        scores = f"**{statistics.mean(row.scores):.4f}** ({scores})"
    return [
        row.data,
        row.model,
        row.measure,
        scores,
        "" if row.calibration_error is None else f"{row.calibration_error:.3f}",
        "" if np.isnan(row.fit_seconds) else f"{row.fit_seconds:.1f}",
        "" if np.isnan(row.predict_seconds) else f"{row.predict_seconds:.1f}",
        "" if row.n_parameters is None else f"{row.n_parameters:,}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="all", help=f"names with commas between: {', '.join(NAMES)}; series; all")
    parser.add_argument("--seeds", default="0,1,2", help="random_state of our rows")
    parser.add_argument("--rows", type=int, help="at most so many rows of each half (to try it out)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the rows there too")
    options = parser.parse_args()
    named = {"all": NAMES, "series": SERIES}.get(options.data, tuple(options.data.split(",")))
    if unknown := set(named) - set(NAMES):
        parser.error(f"--data {', '.join(sorted(unknown))}: expected {', '.join(NAMES)}, series or all")
    before = load_of_machine()
    print(machine(options.threads), flush=True)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    rows = [row for data in named for row in measure(data, seeds, options.rows, options.threads)]
    header = ["data", "model", "measure", "score (seeds)", "calibration error", "fit, s", "predict, s", "parameters"]
    print_table(header, [as_cells(row) for row in rows])
    print_load(before)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
