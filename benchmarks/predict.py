"""From raw text to label: reviews per second, the time of one call, and the time of the import, compared with TF-IDF.

    python benchmarks/predict.py [--train N] [--test N] [--rounds 5] [--calls 1000] [--threads 1,2] [--json FILE]
    python benchmarks/predict.py --profile          the time of one call, by function of our code

reviews per second
    `predict` on all reviews of the test half in one call: ``RNNTextClassifier()`` with each number of threads, and
    scikit-learn's ``TfidfVectorizer`` with ``LogisticRegression``, both trained on the same reviews (ours only for
    ``--epochs`` epochs, because accuracy does not affect speed). One process, one after the other in each round;
    medians of the rounds; the spread is half the interquartile range.
one call
    `predict` on a list with one review, a different one each time, with one thread; median and 99th percentile.
import
    ``import seqclf``, and ``from seqclf import RNNTextClassifier``, each in new processes, which measure the time
    themselves, so the start of Python is not included. Median of all but the first.

Before any time is printed, the script checks that the logits have the same bits for each number of threads and for
single reviews, and that both models have an accuracy of at least 60 %. Without reviews (the environment variable
SEQCLF_DATA) the texts are docstrings.
"""

import argparse
import cProfile
import json
import pstats
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
from _data import Texts, load_texts
from _report import load, machine, print_load, print_table, reached, seconds_of, with_spread
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

import seqclf
from seqclf import RNNTextClassifier

RIVAL = "TF-IDF + logistic regression"
# Goals in seconds: one call, and the import of the package.
CALL_GOAL, IMPORT_GOAL = 2e-3, 0.3
MIN_ACCURACY = 0.6
# Measures the time of the import, and lists the large libraries that it imported.
IMPORT = """
import sys, time
start = time.perf_counter()
{statement}
print(time.perf_counter() - start, *[name for name in ("numpy", "sklearn", "torch") if name in sys.modules])
"""


def train(texts: Texts, n_epochs: int, n_threads: int) -> tuple[RNNTextClassifier, Pipeline]:
    """Fit both models to the same texts."""
    ours = RNNTextClassifier(max_epochs=n_epochs, patience=None, n_threads=n_threads, random_state=0)
    rival = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    fits = [seconds_of(lambda model=model: model.fit(texts.train, texts.train_labels)) for model in (ours, rival)]
    print(f"Fit: ours {fits[0]:.1f} s (epochs: {n_epochs}), {RIVAL} {fits[1]:.1f} s.", flush=True)
    return ours, rival


def check(ours: RNNTextClassifier, rival: Pipeline, texts: Texts, threads: list[int], min_accuracy: float) -> tuple:
    """The accuracies; exit if they are too low, or if the logits depend on threads or other rows."""
    logits = [ours.set_params(n_threads=n).decision_function(texts.test) for n in threads]
    single = [ours.decision_function([text])[0] for text in texts.test[:100]]
    if any((other != logits[0]).any() for other in logits) or (logits[0][:100] != single).any():
        sys.exit("The logits depend on the number of threads, or on the other rows.")
    accuracies = ours.score(texts.test, texts.test_labels), rival.score(texts.test, texts.test_labels)
    if min(accuracies) < min_accuracy:
        sys.exit(f"Accuracies {accuracies[0]:.3f} and {accuracies[1]:.3f}: at least one is too low.")
    return accuracies


def measure_rates(ours: RNNTextClassifier, rival: Pipeline, texts: Texts, threads: list[int], n_rounds: int) -> dict:
    """The seconds of predicting all reviews, by column, interleaved."""
    runs = {f"ours, {n} thread{'s' * (n > 1)}": n for n in threads} | {RIVAL: None}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(n_rounds):
        for name, n_threads in runs.items():
            model = rival if n_threads is None else ours.set_params(n_threads=n_threads)
            seconds[name].append(seconds_of(lambda model=model: model.predict(texts.test)))
    return seconds


def measure_calls(ours: RNNTextClassifier, rival: Pipeline, texts: Texts, n_calls: int) -> dict:
    """The seconds of single calls, ours and the rival's interleaved, after a warm-up."""
    ours.set_params(n_threads=1)
    seconds: dict[str, list[float]] = {"ours, 1 thread": [], RIVAL: []}
    for call in range(-20, n_calls):
        one = [texts.test[call % len(texts.test)]]
        for name, model in zip(seconds, (ours, rival), strict=True):
            taken = seconds_of(lambda model=model, one=one: model.predict(one))
            if call >= 0:
                seconds[name].append(taken)
    return seconds


def measure_imports(n_times: int) -> dict[str, tuple[list[float], list[str]]]:
    """The seconds of each import, interleaved, in new processes, and the large libraries that it imported."""
    statements = "import seqclf", "from seqclf import RNNTextClassifier"
    imports: dict[str, tuple[list[float], list[str]]] = {statement: ([], []) for statement in statements}
    for repetition in range(n_times + 1):
        for statement in statements:
            command = [sys.executable, "-c", IMPORT.format(statement=statement)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            if repetition:  # the first one can include reading the files from disk
                imports[statement][0].append(float(output[0]))
                imports[statement][1][:] = output[1:]
    return imports


def print_profile(ours: RNNTextClassifier, texts: Texts, n_calls: int) -> None:
    """Print the time of each function, without and with the functions that it calls, in milliseconds per call."""
    ours.set_params(n_threads=1)
    calls = [[texts.test[call % len(texts.test)]] for call in range(n_calls)]
    for one in calls[:20]:
        ours.predict(one)
    plain = seconds_of(lambda: [ours.predict(one) for one in calls])
    profile = cProfile.Profile()
    profile.enable()
    for one in calls:
        ours.predict(one)
    profile.disable()
    stats = pstats.Stats(profile)
    scale = 1e3 / n_calls
    print(f"\nOne call: {scale * plain:.3f} ms, and {scale * stats.total_tt:.3f} ms under the profiler, which", end=" ")
    print("overestimates small functions. Functions of seqclf by cumulative time, then all by their time:\n")
    package = str(Path(seqclf.__file__).parent)
    by_cumulative = sorted(stats.stats.items(), key=lambda item: -item[1][3])
    by_time = sorted(stats.stats.items(), key=lambda item: -item[1][2])
    for functions in ([item for item in by_cumulative if item[0][0].startswith(package)][:25], by_time[:15]):
        rows = []
        for (file, line, name), (_, count, seconds, cumulative, _) in functions:
            location = f"{file.removeprefix(package + '/')}:{line}" if file.startswith(package) else Path(file).name
            times = f"{scale * seconds:.3f}", f"{scale * cumulative:.3f}"
            rows.append([name, location, f"{count / n_calls:g}", *times])
        print_table(["function", "location", "calls", "ms", "cumulative, ms"], rows)
        print()


def print_all(rates: dict, calls: dict, imports: dict, accuracies: tuple, n_test: int) -> None:
    """Print three tables."""
    print(f"\nFrom raw text to label, {n_test:,} reviews in one call\n")
    rival = statistics.median(rates[RIVAL])
    rows = []
    for name, seconds in rates.items():
        median = statistics.median(seconds)
        speed = f"{n_test / median:,.0f}", f"{rival / median:.2f}x"
        rows.append([name, with_spread(seconds), *speed, f"{accuracies[name == RIVAL]:.3f}"])
    print_table(["", "s", "per second", f"speed against {RIVAL}", "accuracy"], rows)

    print("\nOne call for one review\n")
    rows = []
    for name, seconds in calls.items():
        median, slow = np.percentile(seconds, [50, 99])
        goal = "-" if name == RIVAL else f"median under {1e3 * CALL_GOAL:.0f} ms: {reached(median < CALL_GOAL)}"
        rows.append([name, f"{1e3 * median:.2f}", f"{1e3 * slow:.2f}", f"{len(seconds):,}", goal])
    print_table(["", "median, ms", "99th percentile, ms", "calls", "goal"], rows)

    print("\nImport in a new process\n")
    rows = []
    for statement, (seconds, libraries) in imports.items():
        goal = "-"
        if statement == "import seqclf":
            good = statistics.median(seconds) < IMPORT_GOAL and not {"torch", "sklearn"} & set(libraries)
            goal = f"under {IMPORT_GOAL} s, without torch and sklearn: {reached(good)}"
        rows.append([f"`{statement}`", with_spread(seconds, digits=4), ", ".join(libraries) or "none", goal])
    print_table(["", "s", "imports, of numpy, sklearn, torch", "goal"], rows)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", type=int, default=5_000, help="training reviews")
    parser.add_argument("--test", type=int, default=25_000, help="test reviews")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=1_000, help="calls with one review")
    parser.add_argument("--imports", type=int, default=7, help="processes per import")
    parser.add_argument("--threads", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2])
    parser.add_argument("--profile", action="store_true", help="print a profile of one call instead")
    parser.add_argument("--json", type=Path, help="also write all measurements to this file")
    parser.add_argument("--smoke", action="store_true", help="a few short texts, to test this script")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.rounds, arguments.calls, arguments.imports, arguments.epochs = 1, 20, 1, 1
    return arguments


def main() -> None:
    """Train, check, measure, print."""
    arguments = parse_arguments()
    texts = load_texts(arguments.train, arguments.test, smoke=arguments.smoke)
    before = load()
    print(f"{len(texts.train):,} and {len(texts.test):,} {texts.description}. {machine(max(arguments.threads))}")
    ours, rival = train(texts, arguments.epochs, max(arguments.threads))
    # A bag of words cannot separate the generated texts.
    accuracies = check(ours, rival, texts, arguments.threads, 0.0 if arguments.smoke else MIN_ACCURACY)
    if arguments.profile:
        print_profile(ours, texts, arguments.calls)
    else:
        rates = measure_rates(ours, rival, texts, arguments.threads, arguments.rounds)
        calls = measure_calls(ours, rival, texts, arguments.calls)
        imports = measure_imports(arguments.imports)
        print_all(rates, calls, imports, accuracies, len(texts.test))
        if arguments.json:
            content = {"texts": len(texts.test), "rates": rates, "calls": calls, "imports": imports}
            arguments.json.write_text(json.dumps(content, indent=1) + "\n")
    print()
    print_load(before)


if __name__ == "__main__":
    main()
