"""The results of one model on one data set: `Run` is one fit, `Row` summarises the runs of one model."""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from _sets import Split
from sklearn.metrics import f1_score

N_BINS = 15
# How often labels are drawn to estimate the calibration error of a perfectly calibrated model.
N_SIMULATIONS = 20


@dataclass
class Run:
    """One fit: the predictions of the test rows, and the times.

    The processor times are sums over the threads. Other processes hardly change them.
    """

    predicted: np.ndarray
    probabilities: np.ndarray | None
    fit_seconds: float
    predict_seconds: float
    n_parameters: int | None = None
    fit_cpu_seconds: float = math.nan
    predict_cpu_seconds: float = math.nan


@dataclass
class Row:
    """One model on one data set; lists have one value per run.

    `role` says how a summary uses the row: "ours" are the defaults, "rival" is the model that they are compared with,
    and "column" is one of the models that the rival was chosen from. "further" settings of ours and "other" rivals are
    only shown.
    """

    data: str
    model: str
    role: str
    n_rows: tuple[int, int]
    accuracies: list[float]
    macro_f1: list[float]
    hits: list[str]
    fit_seconds: float
    predict_seconds: float
    calibration_error: float | None = None
    error_by_chance: float | None = None
    n_parameters: int | None = None
    f1_of_spam: list[float] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    fit_cpu_seconds: float = math.nan
    predict_cpu_seconds: float = math.nan


def _clocks() -> np.ndarray:
    """The time, and the processor time of this process."""
    return np.array([time.perf_counter(), time.process_time()])


def run(model: Any, split: Split) -> Run:
    """Fit on the training half, predict the test half."""
    start = _clocks()
    model.fit(split.X_train, split.y_train)
    fitted = _clocks()
    if hasattr(model, "predict_proba"):
        probabilities = model.predict_proba(split.X_test)
        predicted = model.classes_[probabilities.argmax(axis=1)]
    else:
        probabilities, predicted = None, model.predict(split.X_test)
    done = _clocks()
    n_parameters = getattr(model, "n_parameters_", None)
    (fit_seconds, fit_cpu), (predict_seconds, predict_cpu) = (fitted - start).tolist(), (done - fitted).tolist()
    return Run(predicted, probabilities, fit_seconds, predict_seconds, n_parameters, fit_cpu, predict_cpu)


def calibration_error(confidence: np.ndarray, hits: np.ndarray) -> float:
    """Expected calibration error, 15 bins of equal width (Guo et al. 2017, equation 3)."""
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    gaps = np.bincount(bins, confidence, N_BINS) - np.bincount(bins, hits, N_BINS)
    return float(np.abs(gaps).sum() / len(hits))


def error_by_chance(confidence: np.ndarray) -> float:
    """The mean calibration error of a perfectly calibrated model with these confidences."""
    rng = np.random.default_rng(0)
    drawn = (rng.random(len(confidence)) < confidence for _ in range(N_SIMULATIONS))
    return statistics.mean(calibration_error(confidence, hits) for hits in drawn)


def paired_difference(ours: np.ndarray, rival: np.ndarray, rows: np.ndarray | None = None) -> tuple[float, float]:
    """The mean of the differences, and its standard error over rows.

    If a row occurs more than once, `rows` is the row of each difference: the contributions of one row are summed before
    they are squared.
    """
    differences = ours - rival
    mean = differences.mean()
    rows = np.arange(len(differences)) if rows is None else rows
    return float(mean), float(np.sqrt(np.sum(np.bincount(rows, differences - mean) ** 2)) / len(differences))


def pack_hits(hits: np.ndarray) -> str:
    """Correct or not for each test row, as text for JSON."""
    return np.packbits(hits).tobytes().hex()


def mean_hits(row: Row) -> np.ndarray:
    """The fraction of the runs that predicted each test row correctly."""
    n_test = row.n_rows[1]
    runs = [np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=n_test) for text in row.hits]
    return np.mean(runs, axis=0)


def row_of(
    data: str,
    model: str,
    role: str,
    runs: Sequence[Run],
    y_test: np.ndarray,
    n_train: int,
    **extra: Any,
) -> Row:
    """Score runs on the same test rows."""
    hits = [run.predicted == y_test for run in runs]
    options = {"average": "macro", "labels": np.unique(y_test), "zero_division": 0}
    row = Row(
        data,
        model,
        role,
        (n_train, len(y_test)),
        accuracies=[float(hit.mean()) for hit in hits],
        macro_f1=[float(f1_score(y_test, run.predicted, **options)) for run in runs],
        hits=[pack_hits(hit) for hit in hits],
        fit_seconds=statistics.median(run.fit_seconds for run in runs),
        predict_seconds=statistics.median(run.predict_seconds for run in runs),
        n_parameters=runs[-1].n_parameters,
        extra=extra,
        fit_cpu_seconds=statistics.median(run.fit_cpu_seconds for run in runs),
        predict_cpu_seconds=statistics.median(run.predict_cpu_seconds for run in runs),
    )
    confidences = [run.probabilities.max(axis=1) for run in runs if run.probabilities is not None]
    if len(confidences) == len(runs):
        errors = [calibration_error(confidence, hit) for confidence, hit in zip(confidences, hits, strict=True)]
        row.calibration_error = statistics.mean(errors)
        row.error_by_chance = statistics.mean(map(error_by_chance, confidences))
    if data == "sms_spam":
        row.f1_of_spam = [float(f1_score(y_test, run.predicted)) for run in runs]
    return row
